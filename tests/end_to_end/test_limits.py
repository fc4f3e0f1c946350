"""Limits, quotas and usage on the whole embedded server, route by route, and over a restart."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from projections.credentials import RateLimits

pytestmark = pytest.mark.full

OPEN = {
    "/v1/connectors/{connector_id}/events",
    "/v1/ops/alive",
    "/v1/ops/health",
    "/v1/passwords",
    "/v1/sign-in",
    "/v1/sign-in/{tenant_id}",
    "/v1/sign-in/{tenant_id}/{provider_id}",
}
"""Routes under /v1 that need no key."""


BY_MESSAGES = {"/v1/tasks/{task_id}/stream"}
"""Routes that count the messages of a tenant, and not the requests of a key."""


class Server(NamedTuple):
    app: FastAPI
    demo: httpx.AsyncClient
    operator: httpx.AsyncClient


@asynccontextmanager
async def server(folder: Path, key: str | None = None) -> AsyncIterator[tuple[Server, str]]:
    with Embedded.open(folder) as embedded:
        key = embedded.first_start() or key
        app = create_app(embedded, host_metrics=False)
        operators = operator_key(folder)
        async with app.router.lifespan_context(app), client(app, key) as demo, client(app, operators) as operator:
            yield Server(app, demo, operator), str(key)


def client(app: FastAPI, key: str | None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"X-API-Key": key or ""}, timeout=60)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        if path.startswith("/v1/") and path not in OPEN | BY_MESSAGES:
            yield from ((method.upper(), path) for method in methods)


def test_every_route_with_a_key_is_limited(tmp_path: Path) -> None:
    async def ask() -> dict[tuple[str, str], int]:
        async with server(tmp_path) as (running, _):
            # the operator's, so that it has the right to every route
            asked = {"name": "slow", "scopes": ["*"], "limits": {"minute": 1}}
            slow = (await running.operator.post("/v1/keys", json=asked)).json()["api_key"]
            async with client(running.app, slow) as calling:
                assert (await calling.get("/v1/devices")).status_code == 200
                return {
                    (method, path): (await calling.request(method, path.replace("{", "").replace("}", ""))).status_code
                    for method, path in routes(running.app)
                }

    found = asyncio.run(ask())
    assert len(found) > 50
    assert not {at: status for at, status in found.items() if status != 429}


def test_every_route_refuses_a_parameter_that_it_does_not_read(tmp_path: Path) -> None:
    async def ask() -> dict[tuple[str, str], int]:
        async with server(tmp_path) as (running, _):
            return {
                (method, path): (
                    await running.operator.request(method, path.replace("{", "").replace("}", "") + "?nothing=1")
                ).status_code
                for method, path in routes(running.app)
            }

    found = asyncio.run(ask())
    assert len(found) > 50
    assert not {at: status for at, status in found.items() if status != 400}


def test_usage_and_quotas_are_known_after_a_restart(tmp_path: Path) -> None:
    async def first() -> str:
        async with server(tmp_path) as (running, key):
            answer = await running.operator.post("/v1/tenants/demo/quota", json={"events_per_day": 100})
            assert answer.json()["events"] == ["tenant.quota.set"]
            for _ in range(5):
                assert (await running.demo.get("/v1/devices")).status_code == 200
            return key

    async def second(key: str) -> dict[str, object]:
        async with server(tmp_path, key) as (running, _):
            for _ in range(100):
                answer = (await running.demo.get("/v1/usage", params={"by": "route"})).json()
                if answer["rows"]:
                    return dict(answer)
                await asyncio.sleep(0.1)
        pytest.fail("what was asked before the restart is not known")

    found = asyncio.run(second(asyncio.run(first())))
    [row] = [row for row in found["rows"] if row["route"] == "GET /v1/devices"]  # type: ignore[attr-defined]
    assert row["requests"] == 5
    assert found["quotas"] == {"events_per_day": {"limit": 100, "remaining": 100, "ends_in_s": None}}


def test_default_is_what_the_server_is_told(tmp_path: Path) -> None:
    async def ask() -> httpx.Headers:
        with Embedded.open(tmp_path) as embedded:
            key = embedded.first_start()
            app = create_app(embedded, host_metrics=False, usual_limits=RateLimits(7, 8, 9))
            async with app.router.lifespan_context(app), client(app, key) as demo:
                asked = {"name": "agent", "scopes": ["*"]}
                agent = (await demo.post("/v1/keys", json=asked)).json()["api_key"]
                async with client(app, agent) as calling:
                    return (await calling.get("/v1/devices")).headers

    headers = asyncio.run(ask())
    assert [headers[f"X-RateLimit-Limit-{window}"] for window in ("Minute", "Hour", "Day")] == ["7", "8", "9"]
