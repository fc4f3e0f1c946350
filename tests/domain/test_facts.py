"""What a sender of telemetry may say, and what it may leave out."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported, LogRecorded
from domain.message import adapter


def metrics(**fields: Any) -> DeviceMetricsReported:
    fact: DeviceMetricsReported = adapter(DeviceMetricsReported).validate_python(fields)
    return fact


def test_heartbeat_needs_nothing() -> None:
    assert adapter(DeviceHeartbeat).validate_python({}) == DeviceHeartbeat(agent_version=None)


def test_log_line_needs_severity_and_summary_alone() -> None:
    line = adapter(LogRecorded).validate_python({"severity": "Error", "summary": "disk full"})
    assert line == LogRecorded(severity="error", summary="disk full")


def test_log_line_without_summary_is_invalid() -> None:
    with pytest.raises(ValidationError):
        adapter(LogRecorded).validate_python({"severity": "error"})


def test_whole_number_is_a_reading() -> None:
    assert metrics(metrics={"requests": 7}).metrics == {"requests": 7.0}


@pytest.mark.parametrize("reading", [float("nan"), float("inf"), -float("inf"), 10**400, "0.5", True, None, [1.0]])
def test_reading_that_is_no_finite_number_is_invalid(reading: object) -> None:
    with pytest.raises(ValidationError):
        metrics(metrics={"cpu": reading})


@pytest.mark.parametrize("count", [1, 200])
def test_up_to_200_readings_come_in_one_fact(count: int) -> None:
    assert len(metrics(metrics={f"m{n}": 1.0 for n in range(count)}).metrics) == count


@pytest.mark.parametrize("count", [0, 201])
def test_no_readings_or_too_many_are_invalid(count: int) -> None:
    with pytest.raises(ValidationError):
        metrics(metrics={f"m{n}": 1.0 for n in range(count)})


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
def test_metric_without_a_proper_name_is_invalid(name: str) -> None:
    with pytest.raises(ValidationError):
        metrics(metrics={name: 1.0})
