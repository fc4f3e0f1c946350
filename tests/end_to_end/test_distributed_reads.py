"""Reads of the distributed profile: one's own writes at once, pages at any gateway, a worker or store that is away.

Some of what people do in the rooms of the page all day is done here too, as it is in the embedded profile.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from factline.worker import Worker
from infra.handlers.deliver import deliver_webhooks
from infra.handlers.kinds import DELIVER
from schemas.standard_webhooks import signature, signing_key
from tests.end_to_end.conftest import Server
from tests.end_to_end.deployment import OTHER_GATEWAY, Deployment

# they run here as well, with the server and the page of this module
from tests.end_to_end.test_rooms import (  # noqa: F401
    test_accountant_approves_an_invoice_and_pays_it,
    test_technician_acknowledges_many_alerts_at_once_and_resolves_one_with_a_note,
)
from tests.end_to_end.test_rooms_of_agents import (  # noqa: F401
    test_supervisor_approves_what_waits_and_sees_the_graph_go_on,
)
from tests.infra.handlers.kit import LOCAL
from tests.infra.handlers.web_server import web_server
from tests.waiting import eventually

if TYPE_CHECKING:
    from infra.engines.mongo import Mongo


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[httpx.Client]:
    """Give a client of a tenant of its own, with a device."""
    with httpx.Client(base_url=deployment.url(), timeout=60, trust_env=False) as client:
        client.headers["X-API-Key"] = key_of_a_tenant(deployment, "core")
        register(client, "web-1")
        yield client


@pytest.fixture(scope="module")
def server(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Give a gateway as the tests of the page know a server; this one is kept going by others."""
    server = Server(tmp_path_factory.mktemp("unused"))
    server.address, server.api_key = deployment.url(), key_of_a_tenant(deployment, "rooms")
    return server


def key_of_a_tenant(deployment: Deployment, tenant_id: str) -> str:
    """Register a tenant and return its key, once that is good."""
    operator, told = {"X-API-Key": deployment.operator_key}, {"tenant_id": tenant_id, "name": tenant_id.title()}
    with httpx.Client(base_url=deployment.url(), timeout=60, trust_env=False) as client:
        answer = eventually(lambda: _created(client.post("/v1/tenants", json=told, headers=operator)))
        key: str = answer["api_key"]
        eventually(lambda: client.get("/v1/devices", headers={"X-API-Key": key}).status_code == 200)
    return key


def _created(answer: httpx.Response) -> Any:
    # the operator's key may be a moment older than what this gateway knows
    return answer.json() if answer.status_code == 201 else None


def register(client: httpx.Client, device: str) -> str:
    return command(client, "RegisterDevice", device_id=device, hostname=f"{device}.example")


def command(client: httpx.Client, name: str, **body: str) -> str:
    """Execute a command and return the token of its reply."""
    answer = client.post(f"/v1/commands/fleet/{name}", json=body)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["position"]["token"]
    return token


def read(client: httpx.Client, path: str, token: str, **query: str) -> list[dict[str, Any]]:
    answer = client.get(path, params=query, headers={"X-Consistent-With": token})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


def test_command_is_in_all_three_stores_for_who_reads_with_its_token(client: httpx.Client) -> None:
    def tagged(counted: int) -> str:
        return command(client, "TagDevice", device_id="web-1", key="step", value=str(counted))

    tagged(0)
    [before] = [row["events"] for row in read(client, "/v1/analytics/events", tagged(1)) if "tagged" in row["type"]]
    for step in range(2, 7):
        [device] = read(client, "/v1/devices/web-1", tagged(step * 10))
        assert device["tag:step"] == str(step * 10)
        [newest] = read(client, "/v1/audit/events", tagged(step * 10 + 1), limit="1")
        assert newest["data"]["value"] == str(step * 10 + 1)
        *_, last = read(client, "/v1/devices/web-1/history", tagged(step * 10 + 2), limit="100")
        assert last["data"]["value"] == str(step * 10 + 2)
        counts = {row["type"]: row["events"] for row in read(client, "/v1/analytics/events", tagged(step * 10 + 3))}
        assert counts["device.tagged"] == before + 4 * (step - 1)


def test_webhooks_are_sent_by_a_worker_with_the_events_that_the_gateway_gives_it(
    client: httpx.Client, deployment: Deployment
) -> None:
    async def work(url: str, until: Callable[[], Any]) -> None:
        worker = Worker(url, client.headers["X-API-Key"], wait_s=1)
        worker.task(DELIVER)(deliver_webhooks(LOCAL))
        working = asyncio.create_task(worker.work())
        await asyncio.to_thread(eventually, until)
        worker.stop()
        await working

    with web_server(lambda _: (204, {}, b"")) as receiver:
        hook = {"endpoint_id": "hook", "url": receiver.url, "types": ["device.registered", "device.retired"]}
        secret = client.post("/v1/webhook_endpoints", json=hook).json()["secret"]
        names = [f"hooked-{n}" for n in range(5)]
        for name in names:
            register(client, name)
        asyncio.run(work(deployment.url(), lambda: len(receiver.sent) >= len(names)))
        assert [json.loads(sent.body)["data"]["data"]["hostname"] for sent in receiver.sent] == [
            f"{name}.example" for name in names
        ]
        sent = receiver.sent[0]
        id_, at_s = sent.headers["webhook-id"], int(sent.headers["webhook-timestamp"])
        assert sent.headers["webhook-signature"] == signature(signing_key(secret), id_, at_s, sent.body)
    eventually(lambda: _hook(client).items() >= {"delivered": 5, "waiting": False}.items(), lambda: str(_hook(client)))


def _hook(client: httpx.Client) -> dict[str, Any]:
    row: dict[str, Any] = client.get("/v1/webhook_endpoints/hook").json()["rows"][0]
    return row


def test_changes_of_a_connector_are_recorded_once(client: httpx.Client, deployment: Deployment) -> None:
    said = {"connector_id": "crm", "tool_type": "postgresql", "format": "debezium"}
    made = client.post("/v1/connectors", json=said).json()
    source = {"db": "shop", "schema": "public", "table": "orders"}
    rows = [{"op": "c", "after": {"id": n % 5}, "source": {**source, "lsn": n}} for n in range(20)]
    with httpx.Client(base_url=deployment.url(), trust_env=False, timeout=60) as outside:
        outside.headers["Authorization"] = f"Bearer {made['secret']}"
        # the gateway hears of the secret within a second
        eventually(lambda: outside.post(made["address"], json=rows[:10]).status_code == 200)
        answers = [outside.post(made["address"], json=rows).json() for _ in range(2)]
    assert answers == [{"received": 10, "repeated": 10}, {"received": 0, "repeated": 20}]
    eventually(lambda: [row["version"] for row in _received(client)] == [4] * 5, lambda: str(_received(client)))


def _received(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/received_changes", params={"connector_id": "crm"}).json()["rows"]
    return found


def test_fact_is_in_all_three_stores_for_who_reads_with_its_token(client: httpx.Client) -> None:
    window = {"start": "2026-01-31T08:00:00Z", "end": "2026-01-31T09:00:00Z", "metric": "load"}
    for minute in range(3):
        fact = {"device_id": "web-1", "happened_at": f"2026-01-31T08:{minute * 10:02}:00Z"}
        answer = client.post(
            "/v1/telemetry",
            json=[
                {**fact, "type": "device.metrics.reported", "data": {"metrics": {"load": minute}}},
                {**fact, "type": "log.recorded", "data": {"severity": "info", "summary": f"line {minute}"}},
            ],
        )
        assert answer.status_code == 200, answer.text
        token = answer.json()["position"]
        assert read(client, "/v1/devices/web-1", token)[0]["last_seen_at"]
        assert [row["value"] for row in read(client, "/v1/devices/web-1/metrics", token, **window)][-1] == minute
        assert read(client, "/v1/logs", token, limit="1")[0]["summary"] == f"line {minute}"
        points = read(client, "/v1/analytics/timeseries", token, device_id="web-1", **window)
        assert [row["value"] for row in points] == list(range(minute + 1))


def test_view_whose_worker_hangs_says_how_far_it_is_and_the_others_answer(
    client: httpx.Client, deployment: Deployment
) -> None:
    worker = deployment.processes["timeline"]
    worker.send_signal(signal.SIGSTOP)
    try:
        token = register(client, "web-2")
        answer = client.get("/v1/audit/events", headers={"X-Consistent-With": token})
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert f"not yet at {token.partition('@')[0]}" in answer.json()["detail"]
        assert read(client, "/v1/devices/web-2", token)
    finally:
        worker.send_signal(signal.SIGCONT)
    eventually(lambda: client.get("/v1/audit/events", headers={"X-Consistent-With": token}).is_success)
    assert "device-web-2" in {row["stream"] for row in read(client, "/v1/audit/events", token)}


def test_store_that_is_away_stops_no_command_no_other_answer_and_no_gateway_from_starting(
    client: httpx.Client, deployment: Deployment, own_mongo: "Mongo"
) -> None:
    page = client.get("/v1/audit/events", params={"limit": 1}).json()
    own_mongo.pause()
    try:
        answer = client.get("/v1/devices")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        deployment.run_gateway(OTHER_GATEWAY)
        there = deployment.url(OTHER_GATEWAY)
        with httpx.Client(base_url=there, headers=client.headers, timeout=60, trust_env=False) as other:
            eventually(lambda: other.get("/v1/audit/events").is_success)
            token = register(other, "web-3")
            assert "device-web-3" in {row["stream"] for row in read(other, "/v1/audit/events", token)}
            assert {row["type"] for row in read(client, "/v1/analytics/events", token)} > {"device.registered"}
            # a cursor is good at every gateway
            assert other.get("/v1/audit/events", params={"limit": 1, "cursor": page["next"]}).is_success
            health = other.get("/v1/ops/health").json()
            assert health["parts"] == {
                "timeline": "ok",
                "analytics": "ok",
                "documents": "failing",
                "log": "ok",
                "keys": "ok",
                "answers": "ok",
                "issuer_keys": "ok",
                "sign_in_providers": "ok",
            }
    finally:
        own_mongo.resume()
    eventually(lambda: client.get("/v1/devices/web-3").is_success)
    eventually(lambda: client.get("/v1/ops/health").is_success)
