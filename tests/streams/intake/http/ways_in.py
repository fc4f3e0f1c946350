"""The ways in over HTTP on a real log, without the views: a table of keys says who calls."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from domain.catalog import event_from, facts_of
from infra.master_key import MasterKey
from infra.provider_secrets import ProviderSecrets
from infra.sqlite.credentials import SqliteCredentials
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.last_places import PlacesInFile
from projections.automation import tasks
from projections.credentials import Quota, RateLimits
from projections.integration import webhook_endpoints
from projections.projection import Projection
from projections.readers import DocumentsReader
from projections.rows import Document, Patch
from read_api.edge.asking import add_edge
from read_api.edge.auth import Caller, Unauthenticated
from read_api.edge.ephemeral import LocalEphemerals
from read_api.edge.rates import RateLimiter
from schemas.envelope import SYSTEM_TENANT, Entry, Envelope, TenantId, Topic
from schemas.personal import Subject
from streams.intake.http.accounts import Accounts
from streams.intake.http.app import add_intake_problems, add_own_issuer
from streams.intake.http.bodies import BodyBudget
from streams.intake.http.commands import commands_router
from streams.intake.http.connectors import connectors_router
from streams.intake.http.deliveries import Deliveries
from streams.intake.http.importing import Imports
from streams.intake.http.imports import imports_router
from streams.intake.http.keys import keys_router
from streams.intake.http.onboarding import Tenants
from streams.intake.http.passwords import Passwords
from streams.intake.http.provider_keys import TaskSecrets, provider_keys_router
from streams.intake.http.received import received_router
from streams.intake.http.senders import Senders
from streams.intake.http.sign_in import sign_in_router
from streams.intake.http.streaming import streaming_router
from streams.intake.http.tasks import tasks_router
from streams.intake.http.telemetry import TelemetryGate, telemetry_router
from streams.intake.http.tenants import tenants_router
from streams.intake.http.webhooks import webhooks_router
from streams.intake.live_keys import by_log
from streams.ports import SystemClock
from streams.project.feed import LogFeed
from streams.write.gate import MAX_WAITING, CommandGate
from streams.write.writer import Writer
from tests.serving import NO_TLS, Prompt, address_of
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
        self.ephemerals: LocalEphemerals = app.state.ephemerals
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


class NoKeys:
    """The log of these tests has personal fields in the open."""

    def find(self, subjects: Collection[Subject]) -> Mapping[Subject, bytes]:
        del subjects
        return {}


_VIEWS = {view.name: view for view in (tasks.PROJECTION, webhook_endpoints.PROJECTION)}


class TasksOfLog:
    """The views of tasks and webhook endpoints, made of the log whenever somebody asks; all others are empty."""

    def __init__(self, log: SqliteEventLog) -> None:
        self._log = log

    def get(self, view: str, tenant_id: TenantId, id_: str) -> Document | None:
        fields = self._rows(_VIEWS[view], tenant_id).get(id_) if view in _VIEWS else None
        return None if fields is None else Document(tenant_id, id_, 1, fields)

    def find(
        self, view: str, tenant_id: TenantId, *, filters: Mapping[str, str], sort: str, limit: int, **_: Any
    ) -> Sequence[Document]:
        rows = self._rows(_VIEWS[view], tenant_id)
        fitting = [(id_, fields) for id_, fields in rows.items() if filters.items() <= fields.items()]
        fitting.sort(key=lambda one: (one[1][sort], one[0]))
        return [Document(tenant_id, id_, 1, fields) for id_, fields in fitting[:limit]]

    def _rows(self, view: Projection, tenant_id: TenantId) -> Mapping[str, dict[str, Any]]:
        types = {event.TYPE for event in view.events or ()}
        found: dict[str, dict[str, Any]] = {}
        for entry in self._log.read(Topic.EVENTS, 0, after=0, limit=100_000):
            if isinstance(entry, Envelope) and entry.tenant_id == tenant_id and entry.type in types:
                event: Any = event_from(entry)
                for patch in view.project(entry, event):
                    assert isinstance(patch, Patch)
                    found.setdefault(patch.id, {}).update(patch.fields)
        return found


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
    telemetry = TelemetryGate(log, taking)
    app.include_router(telemetry_router(telemetry))
    app.state.imports = Imports(gate, telemetry, b"a key of fingerprints")
    app.include_router(imports_router(app.state.imports, PlacesInFile))
    tenants = Tenants(gate, by_log(log))
    app.include_router(tenants_router(tenants))
    app.include_router(keys_router(tenants))
    app.include_router(sign_in_router(Accounts(gate, credentials, Passwords())))
    box = ProviderSecrets(MasterKey(b"m" * 32))
    documents = cast("DocumentsReader", TasksOfLog(log))
    deliveries = Deliveries(credentials, box, LogFeed(log), NoKeys())
    secrets = TaskSecrets(credentials, box)
    app.include_router(tasks_router(gate, documents, secrets, deliveries, b"a key of fingerprints"))
    app.include_router(webhooks_router(gate, box, documents))
    app.include_router(connectors_router(gate, box))
    app.include_router(received_router(gate, Senders(credentials, box), b"a key of fingerprints"))
    app.state.ephemerals = LocalEphemerals()
    app.include_router(streaming_router(documents, app.state.ephemerals))
    app.include_router(provider_keys_router(gate, box, b"a key of fingerprints"))
    add_own_issuer(app, gate, credentials, box, b"a key of fingerprints")
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
    server = Prompt(uvicorn.Config(app, log_level="critical", ws="none"))
    with (
        address_of(server) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False, verify=NO_TLS) as client,
    ):
        yield client


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem document of a refused request."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found
