"""The demo fills a tenant of a real server so that every view has something to show, and once."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any

import pytest
from click.testing import Result

from factline.client import Client
from infra.cli.demo_story import Order, opening, steps
from infra.cli.servers import REFUSED
from streams.intake.http import usage
from tests.conformance import Target, target
from tests.factline.test_with_server import factline
from tests.waiting import eventually

pytestmark = pytest.mark.full

EMPTY: Mapping[str, str] = {
    "/v1/ops/dead-letters": "nothing of it fails",
    "/v1/operator/dead-letters": "the operator's",
    "/v1/tenants": "the operator's",
    "/v1/live": "has no end",
    **dict.fromkeys(
        (f"/v1/{name}{of}" for name in ("clients", "consents") for of in ("", "/{id}", "/filters", "/_filters")),
        "the secret of a client would be nobody's",
    ),
    **dict.fromkeys(
        (f"/v1/sign_in_providers{of}" for of in ("", "/{id}", "/filters", "/_filters")),
        "nobody of a demo has a provider",
    ),
    **dict.fromkeys(
        (f"/v1/webhook_endpoints{of}" for of in ("", "/{id}", "/filters", "/_filters")),
        "it would send to nobody",
    ),
    **dict.fromkeys(
        (
            f"/v1/{name}{of}"
            for name in ("connectors", "received_changes")
            for of in ("", "/{id}", "/filters", "/_filters")
        ),
        "no system outside sends to a demo",
    ),
    **dict.fromkeys(
        (f"/v1/agent_actions{of}" for of in ("", "/{id}", "/filters", "/_filters")),
        "without a model nobody proposes an action",
    ),
    **dict.fromkeys(
        (f"/v1/vector_documents{of}" for of in ("", "/{id}", "/filters", "/_filters")),
        "a document is in once its task is done, and this server does no tasks itself",
    ),
}
"""Paths that are not asked, and why."""

ASKED: Mapping[str, Mapping[str, str]] = {
    "/v1/analytics/timeseries": {"metric": "cpu_percent", "device_id": "demo-web-1"},
    "/v1/metrics/top": {"metric": "cpu_percent"},
    "/v1/devices/{id}/metrics": {"metric": "cpu_percent"},
    "/v1/analytics/statement": {"party": "old-town-hotel"},
}
"""Parameters of paths that need some."""

OWN: Mapping[str, str] = {
    "/v1/audit/streams/{stream}": "device-demo-web-1",
    "/v1/devices/{id}/state": "demo-web-1",
    "/v1/devices/{id}/metrics": "demo-web-1",
    "/v1/devices/{id}/logs": "demo-web-1",
    "/v1/devices/{id}/history": "demo-web-1",
    "/v1/executions/{id}/logs": "demo-triage-1",
}
"""Whose rows the paths show that are about one thing but no list's."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server of its own, so that everything there is comes from the demo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage, "EVERY_S", 0.2)
        with target(tmp_path_factory.mktemp("demo") / "data") as server:
            yield server


@pytest.fixture(scope="module")
def first(server: Target) -> Result:
    return factline(server, "demo", "--json")


@pytest.fixture(scope="module")
def client(server: Target, first: Result) -> Iterator[Client]:
    with Client(server.url, server.tenant_key) as client:
        yield client


def counted(result: Result) -> dict[str, tuple[int, int, int]]:
    said = json.loads(result.stdout)
    assert (said["refused"], said["unseen"]) == ([], [])
    return {row["what"]: (row["things"], row["recorded"], row["recorded before"]) for row in said["rows"]}


def lists(client: Client) -> dict[str, Any]:
    """Return the paths that give rows, with an id where they need one."""
    paths = client.get("/openapi.json")["paths"]
    found: dict[str, Any] = {}
    for path, operations in paths.items():
        answer = operations.get("get", {}).get("responses", {}).get("200", {})
        schema = json.dumps(answer.get("content", {}).get("application/json", {}))
        if path not in EMPTY and '"rows"' in schema:
            found[path] = ASKED.get(path, {})
    return found


def shown(client: Client, path: str, parameters: Any) -> list[Any]:
    rows: list[Any] = client.get(path, **parameters)["rows"]
    return rows


def test_every_list_of_the_api_has_rows(client: Client) -> None:
    found = lists(client)
    # a change of how answers are described must not empty this list
    assert len(found) > 60
    for path, parameters in found.items():
        for_one = OWN.get(path)
        if "{" in path and for_one is None:
            of_list = path.split("/{")[0]
            for_one = client.get(of_list, limit=1)["rows"][0]["event_id" if "events" in of_list else "id"]
        asked = path.replace("{" + path.partition("{")[2].partition("}")[0] + "}", for_one or "")
        assert eventually(partial(shown, client, asked, parameters)), path


def test_workflows_end_in_each_way(client: Client) -> None:
    found = {row["id"]: row["status"] for row in client.rows("/v1/executions")}
    assert found["demo-triage-1"] == "COMPLETED"
    assert found["demo-patch-1"] == "FAILED"
    [waiting] = client.get("/v1/approvals", status="PENDING")["rows"]
    assert waiting["execution_id"] == "demo-welcome-2"


def test_a_second_run_at_any_speed_records_nothing(server: Target, first: Result) -> None:
    began = monotonic()
    again = counted(factline(server, "demo", "--json", "--speed", "1000"))
    assert monotonic() - began > 0.5
    assert {what: recorded for what, (_, recorded, _) in again.items() if recorded} == {}
    once = counted(first)
    assert again.keys() == once.keys()
    assert all(again[what][2] == recorded for what, (_, recorded, _) in once.items() if what != "task")
    said = factline(server, "demo").stdout
    assert "are not recorded twice" in said
    assert "nothing new was recorded" in said


def test_key_that_may_not_do_all_of_it_is_refused_at_once(server: Target, client: Client) -> None:
    key = client.post("/v1/keys", {"name": "narrow", "scopes": ["fleet:write"]})["api_key"]
    assert "identity:write" in factline(server, "demo", key=key, status=REFUSED).stderr


def test_story_has_the_same_ids_whenever_it_is_told() -> None:
    today, later = (steps(datetime(2026, 11, day, tzinfo=UTC)) for day in (1, 27))
    assert [step.key for step in today if isinstance(step, Order)] == [
        step.key for step in later if isinstance(step, Order)
    ]
    moved = [step.happened_at for story in (today, later) for step in story if isinstance(step, Order)]
    assert len(set(moved)) > len(moved) / 5
    assert opening() == today[0] == later[0]
