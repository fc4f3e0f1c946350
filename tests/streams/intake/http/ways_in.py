"""The ways in over HTTP on a real log, without the views: a table of keys says who calls."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from domain.catalog import event_from, facts_of
from infra.master_key import MasterKey
from infra.provider_secrets import ProviderSecrets
from infra.sqlite.credentials import SqliteCredentials
from infra.sqlite.event_log import SqliteEventLog
from projections.automation import tasks
from projections.credentials import Quota, RateLimits
from projections.readers import DocumentsReader
from projections.rows import Document
from read_api.edge.asking import add_edge
from read_api.edge.auth import Caller, Unauthenticated
from read_api.edge.rates import RateLimiter
from schemas.envelope import SYSTEM_TENANT, Entry, Envelope, TenantId, Topic
from streams.intake.http.accounts import Accounts
from streams.intake.http.app import add_intake_problems
from streams.intake.http.bodies import BodyBudget
from streams.intake.http.commands import commands_router
from streams.intake.http.keys import keys_router
from streams.intake.http.onboarding import Tenants
from streams.intake.http.passwords import Passwords
from streams.intake.http.provider_keys import TaskSecrets, provider_keys_router
from streams.intake.http.sign_in import sign_in_router
from streams.intake.http.tasks import tasks_router
from streams.intake.http.telemetry import TelemetryGate, telemetry_router
from streams.intake.http.tenants import tenants_router
from streams.intake.live_keys import by_log
from streams.ports import SystemClock
from streams.write.gate import MAX_WAITING, CommandGate
from streams.write.writer import Writer
from tests.streams.kit import register_tenant

CALLERS: Mapping[str, Caller] = {
    "demo": Caller(TenantId("demo"), "demo", ("*",)),
    "acme": Caller(TenantId("acme"), "acme", ("*",)),
    "reader": Caller(TenantId("demo"), "reader", ("devices:read", "fleet:read")),
    "fleet": Caller(TenantId("demo"), "fleet", ("fleet:write",)),
    "worker": Caller(TenantId("demo"), "worker", ("tasks:write",)),
    "trusted": Caller(TenantId("demo"), "trusted", ("tasks:write", "secrets:read")),
    "keys": Caller(TenantId("demo"), "keys", ("identity:*", "devices:*", "logs:read")),
    "slow": Caller(
        TenantId("demo"), "slow", ("identity:*", "fleet:write"), limits=RateLimits(3, 5, 9), usual=RateLimits(2, 5, 9)
    ),
    "poor": Caller(TenantId("demo"), "poor", ("devices:read",), limits=RateLimits(3, 5, 9)),
    "quota": Caller(TenantId("acme"), "quota", ("*",), quota=Quota(events_per_day=3, facts_per_day=2)),
    "nobody": Caller(TenantId("nobody"), "nobody", ("*",)),
    "operator": Caller(SYSTEM_TENANT, "operator", ("*",)),
}


async def _identify(header: str | None) -> Caller:
    if caller := CALLERS.get(header or ""):
        return caller
    raise Unauthenticated("the api key is not valid")


class WaysIn:
    """The application, its log, and a client that sends the key of the tenant `demo`."""

    def __init__(self, client: httpx.Client, log: SqliteEventLog, app: FastAPI, credentials: SqliteCredentials) -> None:
        self.credentials = credentials
        self.client = client
        self.log = log
        self.app = app
        self.bodies: BodyBudget = app.state.body_budget

    def post(self, path: str, body: Any = None, *, key: str = "demo", **more: Any) -> httpx.Response:
        headers = {"X-API-Key": key, **more.pop("headers", {})}
        how = {"content": body} if isinstance(body, bytes | str) else {"json": body}
        return self.client.post(path, headers=headers, **how, **more)

    def command(self, name: str, body: Any, **more: Any) -> httpx.Response:
        return self.post(f"/v1/commands/{name.replace('.', '/')}", body, **more)

    def batch(self, *items: Any, **more: Any) -> list[dict[str, Any]]:
        response = self.post("/v1/commands", list(items), **more)
        assert response.status_code == 200, response.text
        replies: list[dict[str, Any]] = response.json()["replies"]
        return replies

    def telemetry(self, body: Any, content_type: str = "application/json", **more: Any) -> httpx.Response:
        return self.post(
            "/v1/telemetry", body, headers={"Content-Type": content_type, **more.pop("headers", {})}, **more
        )

    def entries(self, topic: Topic, tenant: str = "demo") -> list[Envelope]:
        found: list[Entry] = list(self.log.read(topic, 0, after=0, limit=100_000))
        positions = [entry.position for entry in found]
        assert positions == (list(range(1, len(found) + 1)) if topic is Topic.EVENTS else sorted(set(positions)))
        return [entry for entry in found if entry.tenant_id == tenant and isinstance(entry, Envelope)]

    def facts(self, tenant: str = "demo") -> list[Envelope]:
        """Return a tenant's facts as its senders say them."""
        return [fact for record in self.entries(Topic.TELEMETRY, tenant) for fact in facts_of(record)]


class TasksOfLog:
    """The view of tasks, made of the log whenever somebody asks."""

    def __init__(self, log: SqliteEventLog) -> None:
        self._log = log

    def find(
        self, view: str, tenant_id: TenantId, *, filters: Mapping[str, str], sort: str, limit: int, **_: Any
    ) -> Sequence[Document]:
        assert view == tasks.PROJECTION.name
        found: dict[str, dict[str, Any]] = {}
        for entry in self._log.read(Topic.EVENTS, 0, after=0, limit=100_000):
            if isinstance(entry, Envelope) and entry.tenant_id == tenant_id and entry.type.startswith("task."):
                event: Any = event_from(entry)
                for patch in tasks.project(entry, event):
                    found.setdefault(patch.id, {}).update(patch.fields)
        fitting = [(id_, fields) for id_, fields in found.items() if filters.items() <= fields.items()]
        fitting.sort(key=lambda one: (one[1][sort], one[0]))
        return [Document(tenant_id, id_, 1, fields) for id_, fields in fitting[:limit]]


@contextmanager
def ways_in(folder: Path, *, max_waiting: int = MAX_WAITING, limiter: RateLimiter | None = None) -> Iterator[WaysIn]:
    log = SqliteEventLog(folder)
    credentials = SqliteCredentials(folder / "events.sqlite")
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), register_tenant("acme"), register_tenant("system")])
    deciding, taking = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    gate = CommandGate(writer, deciding, max_waiting=max_waiting)
    app = FastAPI()
    add_edge(app, _identify, "", limiter)
    add_intake_problems(app)
    app.include_router(commands_router(gate, b"a key of fingerprints"))
    app.include_router(telemetry_router(TelemetryGate(log, taking)))
    tenants = Tenants(gate, by_log(log))
    app.include_router(tenants_router(tenants))
    app.include_router(keys_router(tenants))
    app.include_router(sign_in_router(Accounts(gate, credentials, Passwords())))
    box = ProviderSecrets(MasterKey(b"m" * 32))
    documents = cast("DocumentsReader", TasksOfLog(log))
    app.include_router(tasks_router(gate, documents, TaskSecrets(credentials, box), b"a key of fingerprints"))
    app.include_router(provider_keys_router(gate, box, b"a key of fingerprints"))
    try:
        with served(app) as client:
            yield WaysIn(client, log, app, credentials)
    finally:
        deciding.shutdown()
        taking.shutdown()
        credentials.close()
        log.close()


@contextmanager
def served(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application on a free port of the loopback and give a client of it."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem document of a refused request."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found
