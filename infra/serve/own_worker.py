"""The embedded server does harmless tasks itself: it is a worker like others, by way of the API and without a key."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from domain.operations.task import TaskStatus
from infra.handlers.calls import calls_of_tasks
from infra.handlers.kinds import ONE_AT_A_TIME
from infra.handlers.places import stop, work, workers_of
from infra.handlers.settings import HandlerSettings
from infra.outside import Outside
from infra.qdrant.vectors import QdrantVectors
from projections.automation.tasks import PROJECTION as TASKS
from projections.credentials import Credentials, RateLimits
from projections.readers import DocumentsReader
from projections.stores import StoreUnavailable
from read_api.edge.asking import OWN_CALLER
from read_api.edge.auth import Caller
from schemas.envelope import Actor, ActorType, TenantId
from streams.intake.http.provider_keys import SECRETS

if TYPE_CHECKING:
    from factline.worker import Task, Worker
    from infra.handlers.catalog import HandlersOf
    from infra.handlers.web import Handler

_LOG = logging.getLogger(__name__)

NAME = "factline-serve"
"""What the list of tasks calls this worker."""

_ACTIVE = "ACTIVE"
_CONCURRENCY = 4
"""Tasks of a tenant at a time, beside its deliveries to webhook endpoints."""

_STOP_S = 5.0
_CLAIM_WAITS_S = 1.0  # a server that is stopped waits for the end of a claim
_LOOK_S = 1.0
_IDLE_S = 60.0
"""A tenant that had no task for so long is only looked at, so that many tenants cost little."""

_LOOKS_SHARE = 20
"""The time between two looks is at least so many times that of a look, so that many tenants cost little too."""


class Shipped(NamedTuple):
    """Tasks that the server does itself.

    Shape: `load` gives what gives the handlers of the `kinds`, which takes a moment: it is called when there is a task
    for one. They call other systems through `outside`; `close` gives back what they hold open.
    """

    kinds: Sequence[str]
    load: "Callable[[], HandlersOf]"
    outside: Outside
    close: Callable[[], None] = lambda: None


def shipped_of(settings: HandlerSettings, kinds: Sequence[str], vectors_folder: Path) -> Shipped | None:
    """Return these kinds with the handlers that ship, None where there are no kinds.

    Shape: vectors are kept in `vectors_folder`, where the settings name no server for them.
    """
    vectors = QdrantVectors(settings.qdrant or vectors_folder)
    outside = calls_of_tasks(_CONCURRENCY)

    def load() -> "HandlersOf":
        # a fifth of a second of every start: only where there is a task for one
        from infra.handlers.catalog import handlers  # noqa: PLC0415

        return handlers(settings, kinds, outside, vectors)

    return Shipped(kinds, load, outside, vectors.close) if kinds else None


class _Own(Caller):
    """The server itself, which may do the tasks of a tenant."""

    @property
    def actor(self) -> Actor:
        return Actor(ActorType.SYSTEM, self.id)


class OwnWorkers:
    """One worker for each tenant that has a task of these kinds, or had one a while ago."""

    def __init__(self, app: ASGIApp, shipped: Shipped, documents: DocumentsReader, credentials: Credentials) -> None:
        self._app = app
        self._shipped = shipped
        self._handlers_of: HandlersOf | None = None
        self._documents = documents
        self._credentials = credentials
        self._working: dict[TenantId, tuple[Sequence[Worker], asyncio.Task[None]]] = {}
        self._seen: dict[TenantId, float] = {}

    @property
    def at_work(self) -> Collection[TenantId]:
        """Return the tenants that are worked for now."""
        return [tenant_id for tenant_id, (_, working) in self._working.items() if not working.done()]

    async def run(self) -> None:
        """Look for tenants with tasks, and work for them, until it is cancelled."""
        while True:
            began = perf_counter()
            try:
                wanted = await asyncio.to_thread(self._tenants_with_tasks)
                if wanted and self._handlers_of is None:
                    self._handlers_of = await asyncio.to_thread(self._shipped.load)
                if self._handlers_of is not None:
                    self._begin_or_stop(wanted, self._handlers_of)
            except StoreUnavailable as error:
                _LOG.warning("tasks cannot be looked for now: %s", error)
            except Exception as error:  # noqa: BLE001 - a package may have changed since the start; nobody else would say so
                _LOG.warning("no task is done now: %s: %s", type(error).__name__, error)
            await asyncio.sleep(max(_LOOK_S, _LOOKS_SHARE * (perf_counter() - began)))

    def _begin_or_stop(self, wanted: Sequence[TenantId], handlers_of: "HandlersOf") -> None:
        now = perf_counter()
        self._seen |= dict.fromkeys(wanted, now)
        for tenant_id, (workers, working) in list(self._working.items()):
            if working.done():
                del self._working[tenant_id]
            elif now - self._seen[tenant_id] > _IDLE_S:
                stop(workers)
        for tenant_id in wanted:
            if tenant_id not in self._working:
                self._begin(tenant_id, handlers_of(tenant_id))

    async def stop(self) -> None:
        """Let what goes on end; what does not end in time is given back."""
        for workers, _ in self._working.values():
            stop(workers)
        await asyncio.gather(*(working for _, working in self._working.values()), return_exceptions=True)
        await asyncio.to_thread(self._shipped.close)

    def _tenants_with_tasks(self) -> Sequence[TenantId]:
        return [
            tenant_id
            for tenant_id, status in self._credentials.tenants().items()
            if status == _ACTIVE and self._has_task(tenant_id)
        ]

    def _has_task(self, tenant_id: TenantId) -> bool:
        # one that is claimed may be of the run before, and comes again when its lease is over
        return any(
            self._documents.find(
                TASKS.name,
                tenant_id,
                filters={"status": status.value, "kind": kind},
                sort="ready_at",
                descending=False,
                after=None,
                limit=1,
            )
            for kind in self._shipped.kinds
            for status in (TaskStatus.WAITING, TaskStatus.CLAIMED)
        )

    def _begin(self, tenant_id: TenantId, handlers: "Mapping[str, Handler]") -> None:
        workers = workers_of(handlers, _CONCURRENCY, partial(self._worker, tenant_id))
        working = asyncio.create_task(work(workers))
        working.add_done_callback(lambda done: _say_why(tenant_id, done))
        self._working[tenant_id] = (workers, working)

    def _worker(self, tenant_id: TenantId, handlers: "Mapping[str, Handler]", places: int) -> "Worker":
        # the handlers have loaded both
        import httpx  # noqa: PLC0415

        from factline.worker import Worker  # noqa: PLC0415

        worker = Worker(
            "http://127.0.0.1",
            "",
            name=NAME,
            concurrency=places,
            wait_s=_CLAIM_WAITS_S,
            stop_s=_STOP_S,
            transport=httpx.ASGITransport(_as_own(self._app, lambda: self._caller_of(tenant_id))),
        )
        for kind, handler in handlers.items():
            worker.task(kind)(_one_at_a_time(handler) if kind in ONE_AT_A_TIME else handler)
        return worker

    def _caller_of(self, tenant_id: TenantId) -> Caller:
        # what it records is the tenant's, how often it asks is not
        quota = self._credentials.quota_of(tenant_id)._replace(requests=RateLimits())
        return _Own(tenant_id, NAME, ("tasks:write", SECRETS), quota=quota)


def _one_at_a_time(handler: "Handler") -> "Handler":
    """Return a handler for one tenant, which holds no place while it waits for another of its own."""
    turn = asyncio.Lock()

    async def handle(task: "Task") -> Any:
        async with turn:
            return await handler(task)

    return handle


def _say_why(tenant_id: TenantId, done: "asyncio.Task[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        # the tenant may be suspended; where it is not, the next look begins anew
        _LOG.warning("the tasks of tenant %s are left to other workers for now: %s", tenant_id, error)


def _as_own(app: ASGIApp, caller_of: Callable[[], Caller]) -> ASGIApp:
    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, OWN_CALLER: await asyncio.to_thread(caller_of)}, receive, send)

    return asked


@asynccontextmanager
async def working(own: OwnWorkers | None) -> AsyncIterator[None]:
    """Do tasks while the block runs; nothing without `own`."""
    if own is None:
        yield
        return
    looking = asyncio.create_task(own.run())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await own.stop()
