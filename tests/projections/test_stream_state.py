"""What was known of one thing at some moment."""

from typing import Any

import pytest

from domain.message import Event
from projections.history.stream_state import state_at
from schemas.envelope import StreamId
from tests.examples import Place, envelope_of
from tests.examples.finance import APPROVED, CATEGORISED, PAID_IN_PART, RECEIVED
from tests.examples.fleet import ALERT_RAISED, ALERT_RESOLVED, DESCRIPTION, REGISTERED, RETIRED, TAGGED, UPDATED
from tests.examples.identity import KEY_ISSUED, KEY_ROTATED, TENANT_REGISTERED, TENANT_SUSPENDED


def state(*events: Event) -> dict[str, Any] | None:
    return state_at([envelope_of(event, Place(version=version)) for version, event in enumerate(events, 1)])


def test_stream_without_events_has_no_state() -> None:
    assert state() is None


def test_stream_of_a_category_without_rules_has_no_state() -> None:
    assert state_at([envelope_of(REGISTERED)._replace(stream=StreamId("not_a_category-1"))]) is None


def test_device_is_known_as_its_events_left_it() -> None:
    pending = {"status": "PENDING", "description": {"hostname": "web-1", **DESCRIPTION}, "tags": {}}
    assert state(REGISTERED) == pending
    assert state(REGISTERED, UPDATED, TAGGED, RETIRED) == {
        "status": "DECOMMISSIONED",
        "description": {"hostname": "web-1", **DESCRIPTION, "os_version": "13"},
        "tags": {"site": "Berlin"},
    }


def test_alert_is_known_as_its_events_left_it() -> None:
    assert state(ALERT_RAISED, ALERT_RESOLVED) == {
        "status": "RESOLVED",
        "severity": "warning",
        "rule": "cpu high",
        "device_id": "42",
    }


def test_invoice_is_known_with_its_status_and_exact_amounts() -> None:
    assert state(RECEIVED, CATEGORISED, APPROVED, PAID_IN_PART) == {
        "status": "PART_PAID",
        "kind": "invoice",
        "direction": "out",
        "currency": "GBP",
        "total": "16.32495000",
        "category": "sales",
        "categorised_by": "rule 7",
        "review": "APPROVED",
        "disputed": False,
        "overdue": False,
        "closed": None,
        "paid_total": "10.00000000",
        "open_amount": "6.32495000",
        "payments": {"p1": {"amount": "10.00000000", "refunded": False, "returned": "0"}},
    }


def test_tenant_and_key_are_known_as_their_events_left_them() -> None:
    assert state(TENANT_REGISTERED, TENANT_SUSPENDED) == {"name": "Acme", "status": "SUSPENDED", "quota": None}
    key = state(KEY_ISSUED, KEY_ROTATED)
    assert key == {"secret_sha256": None, "scopes": ["devices:read", "commands:write"], "revoked": False}


def test_stream_that_does_not_begin_with_its_first_event_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        state(RETIRED)


def test_event_that_no_rule_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        state_at([envelope_of(REGISTERED)._replace(type="device.exploded")])
