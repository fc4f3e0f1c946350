"""Metrics, logs and history of a device."""

from typing import Any

import pytest

from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from tests.read_api.world import ACME, BOLT, Caller, Stores, at, problem


@pytest.fixture(scope="module", autouse=True)
def readings(stores: Stores) -> None:
    rows = [MetricRow(ACME, "web-1", "cpu", at(minute), float(minute), "%", minute + 1) for minute in range(12)]
    rows.append(MetricRow(ACME, "web-1", "disk", at(0), 1.5, "%", 20))
    rows.append(MetricRow(ACME, "web-1", "cpu", at(-60 * 24), 99.0, "%", 21))
    rows.append(MetricRow(BOLT, "web-1", "secret", at(0), 7.0, "%", 22))
    stores.write("device_metrics", rows)
    stores.write(
        "device_logs",
        [LogRow(ACME, at(n), f"f{n}", f"web-{n % 2}", "error", "t", "h", f"Line {n}", "", n + 1) for n in range(6)],
    )


def test_without_a_metric_the_names_are_given(acme: Caller) -> None:
    assert acme.rows("/v1/devices/web-1/metrics") == [{"metric": "cpu"}, {"metric": "disk"}]


def test_without_a_range_the_last_day_is_given(acme: Caller) -> None:
    rows = acme.rows("/v1/devices/web-1/metrics", metric="cpu")
    assert len(rows) == 12
    assert rows[0] == {"at": "2026-01-31T02:00:00Z", "value": 0.0, "readings": 1}


@pytest.mark.parametrize("step", ["300", "5m"])
def test_a_step_gives_points(acme: Caller, step: str) -> None:
    rows = acme.rows("/v1/devices/web-1/metrics", metric="cpu", step=step, aggregate="max")
    assert [(row["value"], row["readings"]) for row in rows] == [(4.0, 5), (9.0, 5), (11.0, 2)]


def test_a_range_holds_its_start_and_not_its_end(acme: Caller) -> None:
    rows = acme.rows(
        "/v1/devices/web-1/metrics", metric="cpu", start="2026-01-31T02:03:00Z", end="2026-01-31T03:05:00+01:00"
    )
    assert [row["value"] for row in rows] == [3.0, 4.0]


def test_an_unknown_device_has_no_readings(acme: Caller) -> None:
    assert acme.rows("/v1/devices/nope/metrics", metric="cpu") == []


@pytest.mark.parametrize("step", ["5 minutes", "-1", "m", "1w", "99999999999"])
def test_a_step_of_another_form_is_refused(acme: Caller, step: str) -> None:
    body = problem(acme.get("/v1/devices/web-1/metrics", metric="cpu", step=step), 422)
    assert body["errors"] == [
        {"where": "query.step", "what": "must be seconds, or a number with s, m, h or d, like 5m"}
    ]


def test_too_many_points_are_refused(acme: Caller) -> None:
    long: dict[str, Any] = {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z", "metric": "cpu"}
    assert "step" in problem(acme.get("/v1/devices/web-1/metrics", **long, step="1s"), 400)["detail"]
    assert "step" in problem(acme.get("/v1/devices/web-1/metrics", **long), 400)["detail"]
    assert len(acme.rows("/v1/devices/web-1/metrics", **long, step="1d")) == 0


@pytest.mark.parametrize("path", ["/v1/devices/web-1/metrics?metric=cpu", "/v1/logs", "/v1/analytics/revenue"])
def test_a_range_that_ends_before_it_starts_is_refused(acme: Caller, path: str) -> None:
    joint = "&" if "?" in path else "?"
    url = f"{path}{joint}start=2026-01-31T00:00:00Z&end=2026-01-30T00:00:00Z"
    assert problem(acme.http.get(url), 400)["detail"] == "start must be before end"


@pytest.mark.parametrize("start", ["yesterday", "1700000000", "2026-01-31T00:00:00"])
def test_an_instant_without_an_offset_is_refused(acme: Caller, start: str) -> None:
    problem(acme.get("/v1/logs", start=start), 422)


def test_logs_are_asked_for_by_program_and_say_user_and_address(bolt: Caller, stores: Stores) -> None:
    details = [
        "pid=7 user=kim ip=192.0.2.9 facility=auth",
        'user="a \\"b" ip=::1',
        "ip=192.0.2.8",
        "user",
        "[x user=y]",
    ]
    rows = [
        LogRow(BOLT, at(n), f"p{n}", "gw", "info", f"sshd({n})", "gw", "m", said, n) for n, said in enumerate(details)
    ]
    stores.write("device_logs", rows)
    [found] = bolt.rows("/v1/devices/gw/logs", program="sshd(0)")
    assert (found["program"], found["user"], found["ip"]) == ("sshd(0)", "kim", "192.0.2.9")
    assert bolt.rows("/v1/logs", program="sshd") == []
    people = [(row["user"], row["ip"]) for row in bolt.rows("/v1/devices/gw/logs")]
    assert people == [("", ""), ("", ""), ("", "192.0.2.8"), ('a \\"b', "::1"), ("kim", "192.0.2.9")]


def test_logs_come_newest_first(acme: Caller) -> None:
    rows = acme.all_rows("/v1/logs", limit=2)
    assert [row["id"] for row in rows] == ["f5", "f4", "f3", "f2", "f1", "f0"]
    assert rows[0]["happened_at"] == "2026-01-31T02:05:00Z"


def test_logs_of_a_device_are_only_its_own(acme: Caller) -> None:
    assert {row["device_id"] for row in acme.rows("/v1/devices/web-1/logs")} == {"web-1"}
    assert [row["id"] for row in acme.rows("/v1/devices/web-1/logs", contains="LINE 3")] == ["f3"]


def test_the_metrics_of_another_tenant_are_not_seen(acme: Caller, bolt: Caller) -> None:
    assert bolt.rows("/v1/devices/web-1/metrics") == [{"metric": "secret"}]
    assert acme.rows("/v1/devices/web-1/metrics", metric="secret") == []
