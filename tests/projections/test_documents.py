"""The patches of the document views."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.message import Event
from projections.documents import sort_text
from projections.finance import invoices
from projections.fleet import alerts, devices, watches
from projections.identity import api_keys, tenants
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from tests.examples import (
    ACME,
    ALERT_ACKNOWLEDGED,
    ALERT_RAISED,
    ALERT_RESOLVED,
    APPROVED,
    CANCELLED,
    CATEGORISED,
    DESCRIPTION,
    DISPUTED,
    HEARTBEAT,
    KEY_ISSUED,
    KEY_REVOKED,
    KEY_ROTATED,
    LOG,
    METRICS,
    PAID_IN_PART,
    RECEIVED,
    REFUNDED,
    REGISTERED,
    REJECTED,
    RETIRED,
    SHA_1,
    SHA_2,
    STATUS_CHANGED,
    TAGGED,
    TENANT_CLOSED,
    TENANT_REGISTERED,
    TENANT_SUSPENDED,
    UPDATED,
    WATCH_DEFINED,
    WATCH_REMOVED,
    Place,
)
from tests.given_when_then import Rows

HAPPENED = "2010-12-01T08:26:00.000000Z"
RECORDED = "2026-01-31T08:30:00.250000Z"

CASES: list[tuple[Projection, str, Event, dict[str, Any]]] = [
    (
        devices.PROJECTION,
        "42",
        REGISTERED,
        {"hostname": "web-1", **DESCRIPTION, "status": "PENDING", "registered_at": HAPPENED},
    ),
    (devices.PROJECTION, "42", UPDATED, {"os_version": "13"}),
    (devices.PROJECTION, "42", TAGGED, {"tag:site": "Berlin"}),
    (devices.PROJECTION, "42", STATUS_CHANGED, {"status": "ONLINE", "status_reason": "first heartbeat"}),
    (devices.PROJECTION, "42", RETIRED, {"status": "DECOMMISSIONED", "status_reason": "replaced"}),
    (
        alerts.PROJECTION,
        "a1",
        ALERT_RAISED,
        {
            "status": "OPEN",
            "severity": "warning",
            "rule": "cpu high",
            "device_id": "42",
            "value": 97.5,
            "threshold": 90.0,
            "window": 300,
            "raised_at": HAPPENED,
        },
    ),
    (
        alerts.PROJECTION,
        "a1",
        ALERT_ACKNOWLEDGED,
        {
            "status": "ACKNOWLEDGED",
            "acknowledged_at": HAPPENED,
            "acknowledged_by": "ann",
            "acknowledged_note": "looking",
        },
    ),
    (
        alerts.PROJECTION,
        "a1",
        ALERT_RESOLVED,
        {"status": "RESOLVED", "resolved_at": HAPPENED, "resolved_by": "ann", "resolved_note": "restarted"},
    ),
    (
        watches.PROJECTION,
        "w1",
        WATCH_DEFINED,
        {
            "status": "ACTIVE",
            "name": "cpu high",
            "severity": "warning",
            "device_id": "42",
            "quiet_s": 600,
            "kind": "threshold",
            "rule": {"metric": "cpu.load", "above": 90.0, "clear": 80.0, "for_s": 300},
            "defined_at": HAPPENED,
        },
    ),
    (
        watches.PROJECTION,
        "w1",
        WATCH_REMOVED,
        {"status": "REMOVED", "removed_at": HAPPENED, "removed_reason": "too loud"},
    ),
    (
        invoices.PROJECTION,
        "17850:536365",
        RECEIVED,
        {
            "number": "536365",
            "party": "17850",
            "kind": "invoice",
            "direction": "out",
            "country": "United Kingdom",
            "currency": "GBP",
            "status": "RECEIVED",
            "issue_date": HAPPENED,
            "due_date": "2010-12-31T00:00:00.000000Z",
            "net": "13.60495000",
            "tax": "2.7200",
            "total": "16.32495000",
            "paid_total": "0.0000",
            "line_count": 2,
        },
    ),
    (
        invoices.PROJECTION,
        "17850:536365",
        CATEGORISED,
        {"category": "sales", "categorised_by": "rule 7", "status": "CATEGORISED"},
    ),
    (invoices.PROJECTION, "17850:536365", APPROVED, {"status": "APPROVED", "status_reason": "checked"}),
    (invoices.PROJECTION, "17850:536365", REJECTED, {"status": "REJECTED", "status_reason": "not ours"}),
    (invoices.PROJECTION, "17850:536365", CANCELLED, {"status": "CANCELLED", "status_reason": "written twice"}),
    (invoices.PROJECTION, "17850:536365", DISPUTED, {"status": "DISPUTED", "status_reason": "wrong price"}),
    (invoices.PROJECTION, "17850:536365", PAID_IN_PART, {"status": "PART_PAID", "paid_total": "10.0000"}),
    (invoices.PROJECTION, "17850:536365", REFUNDED, {"status": "RECEIVED", "paid_total": "0.0000"}),
    (
        tenants.PROJECTION,
        "acme",
        TENANT_REGISTERED,
        {"name": "Acme", "domain": "acme.example", "owner_id": "ann", "status": "ACTIVE", "registered_at": HAPPENED},
    ),
    (tenants.PROJECTION, "acme", TENANT_SUSPENDED, {"status": "SUSPENDED", "status_reason": "unpaid"}),
    (tenants.PROJECTION, "acme", TENANT_CLOSED, {"status": "CLOSED", "status_reason": "moved away"}),
    (
        api_keys.PROJECTION,
        "k1",
        KEY_ISSUED,
        {
            "key_id": "k1",
            "tenant": "acme",
            "name": "ci",
            "secret_sha256": SHA_1,
            "scopes": ["devices:read", "commands:write"],
            "revoked": False,
            "issued_at": HAPPENED,
        },
    ),
    (api_keys.PROJECTION, "k1", KEY_ROTATED, {"secret_sha256": SHA_2, "rotated_at": HAPPENED}),
    (api_keys.PROJECTION, "k1", KEY_REVOKED, {"revoked": True, "revoked_at": HAPPENED}),
]


@pytest.mark.parametrize(("view", "id_", "event", "fields"), CASES, ids=[case[2].TYPE for case in CASES])
def test_event_sets_its_fields_in_the_order_of_its_version(
    view: Projection, id_: str, event: Event, fields: dict[str, Any]
) -> None:
    Rows(view).when(event, Place(version=3)).then(Patch(ACME, id_, "events", 3, fields))


def test_every_event_of_a_document_view_is_a_case() -> None:
    for view in (devices, alerts, watches, invoices, tenants, api_keys):
        decided = {event for event in view.PROJECTION.events or () if event.TYPE not in FACT_TYPES}
        assert {type(event) for projection, _, event, _ in CASES if projection is view.PROJECTION} == decided


FACT_TYPES = {HEARTBEAT.TYPE, METRICS.TYPE, LOG.TYPE}


@pytest.mark.parametrize("fact", [HEARTBEAT, METRICS, LOG])
def test_any_fact_of_a_device_says_when_it_was_last_heard_of_in_the_order_of_the_log(fact: Event) -> None:
    Rows(devices.PROJECTION).when(fact, Place(position=9)).then(
        Patch(ACME, "42", "telemetry", 9, {"last_seen_at": RECORDED})
    )


def test_fields_of_the_two_lanes_of_a_device_are_disjoint() -> None:
    decided = {name for projection, _, _, fields in CASES if projection is devices.PROJECTION for name in fields}
    assert "last_seen_at" not in decided


def test_what_is_not_known_is_left_out() -> None:
    received = replace(RECEIVED, due_date=None)
    (row,) = Rows(invoices.PROJECTION).when(received).rows()
    assert isinstance(row, Patch)
    assert "due_date" not in row.fields


def test_category_given_by_nobody_takes_the_name_of_the_earlier_one_away() -> None:
    (row,) = Rows(invoices.PROJECTION).when(replace(CATEGORISED, by=None)).rows()
    assert isinstance(row, Patch)
    assert row.fields["categorised_by"] == ""


NUMBER = some.integers(-(2**53), 2**53) | some.floats(allow_nan=False)


@given(one=NUMBER, other=NUMBER)
def test_texts_of_numbers_are_in_the_order_of_the_numbers(one: float, other: float) -> None:
    layout = Documents(sorts=("score",), numbers=("score",))
    texts = [sort_text(layout, "score", value) for value in (one, other)]
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
    assert "" == sort_text(layout, "score", None) < texts[0]
