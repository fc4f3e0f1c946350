"""Reads of the distributed profile: one's own writes at once, pages at any gateway, a worker or store that is away."""

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.end_to_end.deployment import OTHER_GATEWAY, Deployment
from tests.waiting import eventually

if TYPE_CHECKING:
    from infra.engines.mongo import Mongo


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[httpx.Client]:
    """Give a client of a tenant of its own, with a device."""
    operator = {"X-API-Key": deployment.operator_key}
    with httpx.Client(base_url=deployment.url(), timeout=60, trust_env=False) as client:
        told = {"tenant_id": "core", "name": "Core"}
        answer = eventually(lambda: _created(client.post("/v1/tenants", json=told, headers=operator)))
        client.headers["X-API-Key"] = answer["api_key"]
        eventually(lambda: client.get("/v1/devices").status_code == 200)
        register(client, "web-1")
        yield client


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
    assert read(client, "/v1/audit/events", token)[0]["stream"] == "device-web-2"


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
            assert read(other, "/v1/audit/events", token)[0]["stream"] == "device-web-3"
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
            }
    finally:
        own_mongo.resume()
    eventually(lambda: client.get("/v1/devices/web-3").is_success)
    eventually(lambda: client.get("/v1/ops/health").is_success)
