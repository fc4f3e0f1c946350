"""The rules for alerts."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from domain.fleet.alert import ALERT, RaiseAlert
from domain.message import Command, adapter
from domain.rejection import Kind
from tests.examples.fleet import (
    ACKNOWLEDGE_ALERT,
    ALERT_ACKNOWLEDGED,
    ALERT_RAISED,
    ALERT_RESOLVED,
    RAISE_ALERT,
    RESOLVE_ALERT,
)
from tests.given_when_then import Rules

alert = Rules(ALERT)


def test_new_alert_is_raised() -> None:
    alert.given().when(RAISE_ALERT).then(ALERT_RAISED)


def test_alert_is_raised_with_severity_and_rule_alone() -> None:
    bare = replace(ALERT_RAISED, device_id=None, value=None, threshold=None, window=None)
    alert.given().when(RaiseAlert(alert_id="a1", severity="warning", rule="cpu high")).then(bare)


def test_raising_twice_is_refused() -> None:
    alert.given(ALERT_RAISED).when(RAISE_ALERT).then_refused(
        Kind.CONFLICT, "alert a1 is raised already; a new occurrence needs a new alert_id"
    )


@pytest.mark.parametrize("command", [ACKNOWLEDGE_ALERT, RESOLVE_ALERT])
def test_unknown_alert_is_not_found(command: Command) -> None:
    alert.given().when(command).then_refused(Kind.NOT_FOUND, "alert a1 is not known")


def test_open_alert_is_acknowledged() -> None:
    alert.given(ALERT_RAISED).when(ACKNOWLEDGE_ALERT).then(ALERT_ACKNOWLEDGED)


def test_acknowledging_twice_records_nothing() -> None:
    alert.given(ALERT_RAISED, ALERT_ACKNOWLEDGED).when(ACKNOWLEDGE_ALERT).then_nothing()


def test_open_alert_is_resolved() -> None:
    alert.given(ALERT_RAISED).when(RESOLVE_ALERT).then(ALERT_RESOLVED)


def test_acknowledged_alert_is_resolved() -> None:
    alert.given(ALERT_RAISED, ALERT_ACKNOWLEDGED).when(RESOLVE_ALERT).then(ALERT_RESOLVED)


def test_resolving_twice_records_nothing() -> None:
    alert.given(ALERT_RAISED, ALERT_RESOLVED).when(RESOLVE_ALERT).then_nothing()


def test_acknowledging_a_resolved_alert_is_refused() -> None:
    alert.given(ALERT_RAISED, ALERT_RESOLVED).when(ACKNOWLEDGE_ALERT).then_refused(
        Kind.NOT_ALLOWED, "alert a1 is RESOLVED"
    )


def test_severity_is_held_in_lower_case() -> None:
    raised = adapter(RaiseAlert).validate_python({"alert_id": "a1", "severity": "WARNING", "rule": "cpu high"})
    assert raised.severity == "warning"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "97.5", True])
def test_value_that_is_no_finite_number_is_invalid(value: object) -> None:
    with pytest.raises(ValidationError):
        adapter(RaiseAlert).validate_python({"alert_id": "a1", "severity": "low", "rule": "cpu", "value": value})
