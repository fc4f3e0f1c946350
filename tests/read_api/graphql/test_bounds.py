"""No request over GraphQL makes an answer that is too big for the server that all share, however it is written."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from read_api.app import create_app
from read_api.graphql import context, meter
from tests.read_api.graphql.test_graphql import PATH, answer, data, send
from tests.read_api.graphql.test_subscriptions import connected
from tests.read_api.world import ACME, Caller, Stores, World, at, problem

_POINTS = 2_100
_STEP = ', start: "2026-01-31", end: "2026-02-01", step: "10m"'


def _readings(fields: str, more: str = ', start: "2026-01-31", end: "2026-02-02"') -> str:
    return f'readings(deviceId: "web-1", metric: "cpu"{more}) {{ {fields} }}'


def _aliases(field: str, count: int) -> str:
    return " ".join(f"a{n}: {field}" for n in range(count))


_FRAGMENTS = (
    f"fragment f on LogLine {{ {_aliases('summary', 50)} }} fragment g on LogLine {{ ...f }} {{ logs(first: 100) {{"
    " nodes { ...f } x: nodes { ... on LogLine { ...g } } y: nodes { ...g } z: nodes { ...g } } }"
)


@pytest.fixture(scope="module", autouse=True)
def reported(stores: Stores) -> None:
    for n in range(20):
        stores.put("devices", ACME, f"web-{n}", hostname=f"web-{n}.example", status="ONLINE", organization_id="org")
    stores.put("organizations", ACME, "org", name="North", status="ACTIVE")
    stores.write(
        "device_metrics", [MetricRow(ACME, "web-1", "cpu", at(n), float(n), "%", n + 1) for n in range(_POINTS)]
    )
    lines = [LogRow(ACME, at(n), f"f{n}", "web-1", "error", "sshd", "h", "x" * 900, "", n + 1) for n in range(100)]
    stores.write("device_logs", lines)


def _spied(stores: Stores, monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    asked: list[str] = []
    was: Callable[..., Any] = getattr(stores.timeline, name)

    def spy(view: str, *more: Any, **named: Any) -> Any:
        asked.append(view)
        return was(view, *more, **named)

    monkeypatch.setattr(stores.timeline, name, spy)
    return asked


def test_list_of_readings_has_so_many_points_and_says_which_step_to_ask_for(acme: Caller) -> None:
    found = answer(acme, f"{{ {_readings('points { at }')} }}")
    assert "more than 2000 points; ask for a greater step (87 or more)" in found["errors"][0]["message"]
    assert found["data"] is None or found["data"]["readings"] is None
    points = data(acme, f"{{ {_readings('points { at value readings } window { start end }', _STEP)} }}")
    assert points["readings"]["points"]


@pytest.mark.parametrize(
    "fields",
    [
        f"points {{ {_aliases('value', 200)} }}",
        " ".join(f"p{n}: points {{ value at readings }}" for n in range(60)),
        f"points {{ {_aliases('__typename', 200)} }}",
    ],
    ids=["fields", "lists", "names of types"],
)
def test_points_times_fields_are_bounded(acme: Caller, fields: str) -> None:
    found = answer(acme, f"{{ {_readings(fields)} }}")
    assert "points; ask for a greater step" in found["errors"][0]["message"]


def test_largest_answer_leaves_the_event_loop_to_others(world: World, stores: Stores) -> None:
    # 1,990 points with seven fields are just within the bound
    ask = _readings(
        f"points {{ {_aliases('value', 7)} }}", ', start: "2026-01-31T02:00:00Z", end: "2026-02-01T11:10:00Z"'
    )
    key = stores.issue_key(ACME, "largest", "*")

    async def longest() -> tuple[float, Any]:
        gaps: list[float] = []

        async def beat() -> None:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                gaps.append(time.perf_counter() - began)

        transport = httpx.ASGITransport(create_app(world.answers()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"X-API-Key": key}) as http:
            await http.post(PATH, json={"query": get_introspection_query()})
            beating = asyncio.create_task(beat())
            response = await http.post(PATH, json={"query": f"{{ {ask} }}"})
            await asyncio.sleep(0.01)
            beating.cancel()
        return max(gaps), response.json()

    gap, found = asyncio.run(longest())
    assert len(found["data"]["readings"]["points"]) > 1_900, found
    # a fifth of a second where nothing else runs
    assert gap < 1


@pytest.mark.parametrize(
    "ask",
    [
        f"{{ logs(first: 100) {{ nodes {{ {_aliases('summary', 220)} }} }} }}",
        f"{{ logs(first: 100) {{ edges {{ node {{ {_aliases('__typename', 220)} }} }} }} }}",
        f"{{ logs(first: 100) {{ {_aliases('nodes { id summary program }', 60)} }} }}",
        f"{{ logs(first: 100) {{ nodes {{ {_aliases('device { id }', 20)} }} }} }}",
        _FRAGMENTS,
    ],
    ids=["fields", "names of types", "lists", "things", "fragments"],
)
def test_rows_times_fields_are_bounded_before_they_are_read(
    acme: Caller, stores: Stores, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    asked = _spied(stores, monkeypatch, "rows")
    found = answer(acme, ask)
    assert "its rows times the fields of a row" in found["errors"][0]["message"]
    assert not asked


def test_lists_in_rows_are_bounded_together(acme: Caller) -> None:
    logs = f"logs(first: 50) {{ nodes {{ {_aliases('summary', 40)} }} }}"
    found = answer(acme, f"{{ devices(first: 20) {{ nodes {{ {logs} }} }} }}")
    assert {"its rows times the fields of a row" in error["message"] for error in found["errors"]} == {True}


def test_nothing_is_read_when_nothing_is_left(acme: Caller, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _spied(stores, monkeypatch, "points")
    lists = " ".join(f"a{n}: {_readings('points { at value readings }')}" for n in range(20))
    answer(acme, f"{{ {lists} }}")
    assert len(asked) <= meter.MOST_VALUES // (context.MOST_POINTS * 4) + 1
    asked.clear()
    found = data(acme, "{ " + " ".join(f"a{n}: {_readings('points { at }', _STEP)}" for n in range(20)) + " }")
    # what a list does not need is there for the next one
    assert len(found) == len(asked) == 20


@pytest.mark.parametrize(
    "name", ["summary", "x" * 900 + ": id", "x" * 900 + ": device { id }"], ids=["values", "names", "things"]
)
def test_bytes_of_an_answer_are_bounded(acme: Caller, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    ask = f"{{ logs(first: 100) {{ nodes {{ {name} }} }} }}"
    assert "errors" not in answer(acme, ask)
    monkeypatch.setattr(meter, "MOST_BYTES", 80_000)
    assert "the answer would have more than" in problem(send(acme, ask), 422)["detail"]


def test_whole_documents_count_with_all_their_bytes(acme: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = f"{{ devices(first: 20) {{ nodes {{ {_aliases('document', 10)} }} }} }}"
    assert "errors" not in answer(acme, ask)
    monkeypatch.setattr(meter, "MOST_BYTES", 10_000)
    assert "the answer would have more than" in problem(send(acme, ask), 422)["detail"]


def test_refusals_are_few(acme: Caller) -> None:
    ask = f"{{ devices(first: 20) {{ nodes {{ {_aliases('alerts(first: 0) { nodes { id } }', 10)} }} }} }}"
    assert "more than 100 parts of the answer are refused" in problem(send(acme, ask), 422)["detail"]


def test_refusals_count_with_the_path_that_they_name(acme: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MOST_BYTES", 100_000)
    ask = "{ devices(first: 20) { nodes { NAME: alerts(first: 0) { nodes { id } } } } }"
    assert len(answer(acme, ask.replace("NAME", "x" * 100))["errors"]) == 20
    # each name is sent as a field, which is 60,000, and in the path of its error
    found = problem(send(acme, ask.replace("NAME", "x" * 3_000)), 422)
    assert "the answer would have more than" in found["detail"]


def test_long_list_of_values_is_refused_before_it_is_gone_through(acme: Caller) -> None:
    ask = "query($ids: [String!]) { alerts(deviceId: $ids) { nodes { id } } }"
    assert data(acme, ask, ids=["web-1"] * 100) == {"alerts": {"nodes": []}}
    found = answer(acme, ask, ids=["web-1"] * 101)
    assert "device_id is asked for with 101 values; ask for at most 100" in found["errors"][0]["message"]


def test_schema_is_asked_for_alone_and_once(acme: Caller) -> None:
    assert "__schema" in data(acme, get_introspection_query(specified_by_url=True, input_value_deprecation=True))
    types = _aliases("types { fields { name args { name type { name } } } }", 40)
    assert "40,000 fields" in problem(send(acme, f"{{ __schema {{ {types} }} }}"), 422)["detail"]
    mixed = "{ devices { nodes { id } } ...f } fragment f on Query { ... on Query { __schema { types { name } } } }"
    assert "a request of its own" in problem(send(acme, mixed), 422)["detail"]


def test_each_event_that_is_told_is_bounded(
    address: str, stores: Stores, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = stores.issue_key(ACME, "bounded", "*")
    many = f"subscription {{ told {{ place record {{ {_aliases('document', 100)} }} }} }}"
    with connected(address) as client:
        client.init(api_key=key).subscribe(many).begun()
        world.feed.add(ACME, "device.heartbeat", "device-1")
        assert len(client.record()) == 100
        monkeypatch.setattr(meter, "MOST_BYTES", 10_000)
        client.subscribe("subscription { told { place record { document } } }", id_="once").begun("once")
        world.feed.add(ACME, "device.heartbeat", "device-1")
        heard = [client.socket.hear() for _ in range(2)]
    refused = next(one for one in heard if one["id"] == "1")
    assert refused["type"] == "error", refused
    assert "the answer would have more than" in refused["payload"][0]["message"]
    assert next(one for one in heard if one["id"] == "once")["type"] == "next"
