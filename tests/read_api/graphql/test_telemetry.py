"""Readings and log lines over GraphQL are those of the routes, with their bounds, rights and cursors."""

from collections.abc import Callable
from typing import Any

import pytest

from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from tests.read_api.graphql.test_graphql import answer, data
from tests.read_api.world import ACME, BOLT, Caller, Stores, at

READINGS = """query($metric: String!, $start: String, $end: String, $step: String, $aggregate: Aggregate) {
    device(id: "web-1") { readings(metric: $metric, start: $start, end: $end, step: $step, aggregate: $aggregate) {
        points { at value readings } window { start end } } } }"""
LINES = "{ edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } }"
ASKED = "query($first: Int, $after: String, $start: String)"
PAGE = f"{ASKED} {{ logs(first: $first, after: $after, start: $start) {LINES} }}"


@pytest.fixture(scope="module", autouse=True)
def reported(stores: Stores) -> None:
    stores.put("devices", ACME, "web-1", hostname="web-1.example", status="ONLINE", organization_id="org")
    stores.put("devices", ACME, "web-0", hostname="web-0.example", status="ONLINE")
    rows = [MetricRow(ACME, "web-1", "cpu", at(minute), float(minute), "%", minute + 1) for minute in range(12)]
    stores.write("device_metrics", [*rows, MetricRow(BOLT, "web-1", "cpu", at(0), 7.0, "%", 22)])
    lines = [
        LogRow(ACME, at(n), f"f{n}", f"web-{n % 2}", "error", "sshd", "h", f"Line {n}", "", n + 1) for n in range(6)
    ]
    stores.write("device_logs", [*lines, LogRow(BOLT, at(9), "of-bolt", "web-1", "error", "t", "h", "Secret", "", 9)])


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"step": "5m", "aggregate": "max"},
        {"start": "2026-01-31T02:03:00Z", "end": "2026-01-31T02:05:00Z"},
        {"step": "60"},
    ],
    ids=str,
)
def test_readings_are_those_of_the_route(acme: Caller, asked: dict[str, str]) -> None:
    over_rest = acme.table("/v1/devices/web-1/metrics", metric="cpu", **asked)
    found = data(acme, READINGS, metric="cpu", **asked)["device"]["readings"]
    assert found["points"] == over_rest["rows"]
    assert found["points"]
    if "end" in asked:
        assert found["window"] == over_rest["window"]
    named = ", ".join(f'{name}: "{value}"' for name, value in asked.items() if name != "aggregate")
    other = data(acme, f'{{ readings(deviceId: "web-1", metric: "cpu", {named}) {{ points {{ at }} }} }}')
    assert [one["at"] for one in other["readings"]["points"]] == [one["at"] for one in found["points"]]


def test_pages_of_lines_go_on_over_rest_and_back(acme: Caller) -> None:
    found, after = [], None
    for has_next in (True, True, False):
        page = data(acme, PAGE, first=2, after=after)["logs"]
        assert page["nodes"] == [edge["node"] for edge in page["edges"]]
        ends = {"hasNextPage": has_next, "hasPreviousPage": after is not None, "endCursor": page["edges"][-1]["cursor"]}
        assert page["pageInfo"] == ends
        after = page["pageInfo"]["endCursor"]
        found += [node["id"] for node in page["nodes"]]
    assert found == ["f5", "f4", "f3", "f2", "f1", "f0"]
    next_ = acme.table("/v1/logs", limit=2)["next"]
    assert data(acme, PAGE, first=1, after=next_)["logs"]["nodes"] == [{"id": "f3"}]
    cursor = data(acme, PAGE, first=3)["logs"]["edges"][0]["cursor"]
    assert acme.rows("/v1/logs", cursor=cursor)[0]["id"] == "f4"
    # a time before now is bound as it was said
    next_ = acme.table("/v1/logs", limit=2, start="-9000d")["next"]
    assert data(acme, PAGE, first=1, after=next_, start="-9000d")["logs"]["nodes"] == [{"id": "f3"}]


def test_lines_are_whole_and_name_their_device(acme: Caller) -> None:
    [row] = acme.rows("/v1/logs", contains="Line 3")
    asked = "id happenedAt deviceId severity eventType program user ip hostname summary details"
    found = data(acme, f'{{ logs(contains: "line 3") {{ nodes {{ {asked} device {{ hostname }} }} }} }}')["logs"]
    [line] = found["nodes"]
    assert line.pop("device") == {"hostname": "web-1.example"}
    assert {name.lower() for name in line} == {name.replace("_", "") for name in row}
    assert list(line.values()) == [row[name] for name in ("id", "happened_at", "device_id", *list(row)[3:])]


def test_lines_of_a_device_are_its_own_and_cursors_those_of_its_route(acme: Caller) -> None:
    ask = f'{{ device(id: "web-1") {{ logs(first: 2, severity: "error", program: "sshd") {LINES} }} }}'
    page = data(acme, ask)["device"]["logs"]
    assert [one["id"] for one in page["nodes"]] == ["f5", "f3"]
    cursor, more = page["pageInfo"]["endCursor"], {"severity": "error", "program": "sshd"}
    assert [row["id"] for row in acme.rows("/v1/devices/web-1/logs", cursor=cursor, **more)] == ["f1"]
    found = answer(acme, f'{{ logs(after: "{cursor}") {LINES} }}')
    assert "the cursor is not one of this list" in found["errors"][0]["message"]


def test_nothing_of_another_tenant_is_there(bolt: Caller) -> None:
    ask = f'{{ logs {LINES} readings(deviceId: "web-1", metric: "cpu", start: "2026-01-31") {{ points {{ value }} }} }}'
    found = data(bolt, ask)
    assert (found["logs"]["nodes"], found["readings"]["points"]) == ([{"id": "of-bolt"}], [{"value": 7.0}])


@pytest.mark.parametrize(
    ("ask", "said", "status"),
    [
        ("logs(first: 101) { nodes { id } }", "first must be 1 to 100, it is 101", 422),
        ('logs(start: "yesterday") { nodes { id } }', "start", 422),
        ('logs(start: "2026-02-01", end: "2026-01-01") { nodes { id } }', "start must be before end", 400),
        ('logs(deviceId: "a b") { nodes { id } }', "device_id", 422),
        ('readings(deviceId: "web-1", metric: "cpu", step: "1w") { points { at } }', "must be seconds", 422),
        (
            'readings(deviceId: "web-1", metric: "cpu", start: "2025-01-01", end: "2026-01-01") { points { at } }',
            "give a step",
            400,
        ),
    ],
)
def test_what_the_route_refuses_is_refused(acme: Caller, ask: str, said: str, status: int) -> None:
    found = answer(acme, f"{{ {ask} }}")
    [error] = found["errors"]
    assert said in error["message"]
    assert error["extensions"]["status"] == status


def test_rights_are_those_of_the_routes(stores: Stores, caller: Callable[[str | None], Caller]) -> None:
    of_device = 'device(id: "web-1") { logs { nodes { id } } readings(metric: "cpu") { points { at } } }'
    ask = f"{{ logs {{ nodes {{ id }} }} {of_device} }}"
    of_devices = answer(caller(stores.issue_key(ACME, "only-devices", "devices:read")), ask)
    assert of_devices["data"]["logs"] is None
    assert len(of_devices["data"]["device"]["logs"]["nodes"]) == 3
    of_logs = answer(caller(stores.issue_key(ACME, "only-logs", "logs:read")), ask)
    assert of_logs["data"]["device"] is None
    assert len(of_logs["data"]["logs"]["nodes"]) == 6


def test_readings_say_what_they_are_based_on(acme: Caller) -> None:
    based: Any = answer(acme, READINGS, metric="cpu")["extensions"]["as_of"]
    assert {"device_metrics", "devices"} <= based.keys()
