"""An operator acts on a data directory through these methods, by way of its running server if there is one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import orjson

from domain.identity.tenant import SetQuota
from domain.message import adapter
from factline.client import Client, ServerGone, ServerRefused
from infra.cli.progress import OnStep
from infra.collector import settle_collector
from infra.data_dir import DataDirError, DataDirInUse, operator_key, running_server
from infra.embedded import Embedded
from projections.stores import StoreUnavailable
from read_api.ops import status_answer
from schemas.envelope import Actor, ActorType, TenantId
from streams.intake.http.accepting import Refused
from streams.intake.http.commands import Gate
from streams.intake.http.onboarding import Tenants
from streams.intake.http.operator import letter_json, verdict_json
from streams.intake.live_keys import by_log
from streams.newer import NeedsUpdate
from streams.ports import LogDamaged, LogReader, LogUnavailable, Overloaded, Reply, Submission
from streams.project.parked import TooMuchPoison
from streams.project.same_log import AnotherLog
from streams.project.step import Step
from streams.project.verify import CannotCompare
from streams.project.view_jobs import BuildDiffers, UnknownProjection, ViewJobs, WrongBuild
from streams.write.writer import Writer

T = TypeVar("T")

Answer = Mapping[str, Any]

CLI = Actor(ActorType.SYSTEM, "command-line")


class Failed(Exception):  # noqa: N818
    """What was asked for was not done; the message says why and what to do."""


class Added(NamedTuple):
    """The API key of a tenant. Shape: `registered` says if the tenant is new."""

    api_key: str
    registered: bool


class Operator(Protocol):
    """What `factline projections`, `verify`, `dead-letters` and `tenants` ask for."""

    def projections(self) -> Sequence[Answer]:
        """Return the status of every projection."""

    def rebuild(self, name: str, on_step: OnStep, *, max_rate: float | None) -> str:
        """Build a view anew, at so many records a second; return the name of its table. Raises: Failed."""

    def switch(self, name: str, build: int, on_step: OnStep) -> str:
        """Answer from another build; return the name of its table. Raises: Failed."""

    def drop(self, name: str, build: int) -> str:
        """Remove a build that is not live; return the name of its table. Raises: Failed."""

    def verify(self, name: str, on_step: OnStep, *, full: bool) -> Answer:
        """Compare a view with the log, all of it anew where `full`; return the verdict. Raises: Failed."""

    def dead_letters(self) -> Iterator[Answer]:
        """Yield what the views have parked."""

    def retry(self, name: str) -> Answer:
        """Try a view's parked records again. Raises: Failed."""

    def discard(self, name: str) -> Answer:
        """Forget a view's parked records. Raises: Failed."""

    def tenants(self) -> Sequence[Answer]:
        """Return every tenant and its status. Raises: Failed."""

    def add_tenant(self, tenant_id: str, name: str) -> Added:
        """Register a tenant, or take up where that was broken off; return its API key. Raises: Failed."""

    def give_key(self, tenant_id: str) -> str:
        """Give a tenant one more API key and return it. Raises: Failed."""

    def suspend_tenant(self, tenant_id: str, reason: str) -> bool:
        """Let none of a tenant's keys do anything; tell if that is new. Raises: Failed."""

    def set_quota(self, tenant_id: str, quota: Answer) -> bool:
        """Say how much a tenant may do, in the words of the API; tell if that is new. Raises: Failed."""

    def reactivate_tenant(self, tenant_id: str, reason: str) -> bool:
        """Let a suspended tenant's keys work again; tell if that is new. Raises: Failed."""


@contextmanager
def operator_of(data_dir: Path) -> Iterator[Operator]:
    """Give the operator of a directory; a directory that a server has open is asked through that server.

    Raises: DataDirError, the directory cannot be used.
    """
    if not (data_dir / "factline.json").exists():
        raise DataDirError(f"there is no factline data in {data_dir}; name its folder with --data-dir")
    try:
        embedded = Embedded.open(data_dir)
    except DataDirInUse:
        server, key = running_server(data_dir), operator_key(data_dir)
        if server is None or key is None:
            raise
        with remote_operator(server.url, key, f"process {server.pid} has the directory open") as operator:
            yield operator
        return
    with embedded:
        views = embedded.views
        settle_collector()
        with named_failures():
            views.catch_up()
        yield _Local(embedded)


@contextmanager
def remote_operator(url: str, key: str, known: str) -> Iterator[Operator]:
    """Give the operator of a running server; `known` is said where it does not answer. Raises: Failed."""
    try:
        # a job must not be begun twice
        with Client(url, key, patience_s=0) as client:
            yield _Remote(client)
    except ServerRefused as refused:
        raise Failed(str(refused)) from refused
    except ServerGone as gone:
        raise Failed(f"{gone}; {known}") from gone


class SameProcess:
    """The operator of views that this process has open."""

    def __init__(self, operations: ViewJobs, log: LogReader) -> None:
        self._operations = operations
        self._log = log

    def projections(self) -> Sequence[Answer]:
        return [status_answer(status) for status in self._operations.projections()]

    def rebuild(self, name: str, on_step: OnStep, *, max_rate: float | None) -> str:
        with named_failures():
            return self._operations.rebuild(name, on_step, max_rate=max_rate).table

    def switch(self, name: str, build: int, on_step: OnStep) -> str:
        with named_failures():
            return self._operations.switch(name, build, on_step).table

    def drop(self, name: str, build: int) -> str:
        with named_failures():
            return self._operations.drop(name, build).table

    def verify(self, name: str, on_step: OnStep, *, full: bool) -> Answer:
        with named_failures():
            return verdict_json(self._operations.verify(name, on_step, full=full))

    def dead_letters(self) -> Iterator[Answer]:
        with named_failures():
            yield from map(letter_json, self._operations.all_dead_letters())

    def retry(self, name: str) -> Answer:
        with named_failures():
            return self._operations.retry_dead_letters(name)._asdict()

    def discard(self, name: str) -> Answer:
        with named_failures():
            return {"discarded": self._operations.discard_dead_letters(name)}

    def add_tenant(self, tenant_id: str, name: str) -> Added:
        given = self._ask(lambda tenants: tenants.add(TenantId(tenant_id), name, CLI))
        return Added(given.api_key, given.registered)

    def give_key(self, tenant_id: str) -> str:
        return self._ask(lambda tenants: tenants.give_key(TenantId(tenant_id), CLI)).api_key

    def suspend_tenant(self, tenant_id: str, reason: str) -> bool:
        return bool(self._ask(lambda tenants: tenants.suspend(TenantId(tenant_id), reason, CLI)).events)

    def reactivate_tenant(self, tenant_id: str, reason: str) -> bool:
        return bool(self._ask(lambda tenants: tenants.reactivate(TenantId(tenant_id), reason, CLI)).events)

    def set_quota(self, tenant_id: str, quota: Answer) -> bool:
        command = adapter(SetQuota).validate_python({"tenant_id": tenant_id, **quota})
        return bool(self._ask(lambda tenants: tenants.set_quota(command, CLI)).events)

    def _ask(self, what: Callable[[Tenants], Coroutine[Any, Any, T]]) -> T:
        with named_failures(), self._gate() as gate:
            return asyncio.run(what(Tenants(gate, by_log(self._log))))

    def _gate(self) -> AbstractContextManager[Gate]:
        """Give whoever decides commands."""
        raise NotImplementedError


class _Local(SameProcess):
    def __init__(self, embedded: Embedded) -> None:
        super().__init__(embedded.views.operations, embedded.log)
        self._embedded = embedded

    def tenants(self) -> Sequence[Answer]:
        found = self._embedded.credentials.tenants()
        return [{"tenant_id": tenant_id, "status": status} for tenant_id, status in sorted(found.items())]

    def _gate(self) -> AbstractContextManager[Gate]:
        return nullcontext(_OwnWriter(self._embedded.writer))


class _OwnWriter:
    """A gate to the writer of this process, which nobody else asks."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def execute(self, submission: Submission) -> Reply:
        [reply] = self._writer.write([submission])
        return reply


class _Remote:
    def __init__(self, client: Client) -> None:
        self._client = client

    def projections(self) -> Sequence[Answer]:
        rows: Sequence[Answer] = self._client.get("/v1/ops/projections")["rows"]
        return rows

    def rebuild(self, name: str, on_step: OnStep, *, max_rate: float | None) -> str:
        query = f"?max_rate={max_rate:.9f}" if max_rate else ""
        return str(self._job(f"/v1/operator/projections/{name}/rebuild{query}", on_step))

    def switch(self, name: str, build: int, on_step: OnStep) -> str:
        return str(self._job(f"/v1/operator/projections/{name}/builds/{build}/switch", on_step))

    def drop(self, name: str, build: int) -> str:
        return str(self._client.delete(f"/v1/operator/projections/{name}/builds/{build}")["dropped"])

    def verify(self, name: str, on_step: OnStep, *, full: bool) -> Answer:
        query = "?full=true" if full else ""
        verdict: Answer = self._job(f"/v1/operator/projections/{name}/verify{query}", on_step)
        return verdict

    def dead_letters(self) -> Iterator[Answer]:
        return self._client.lines("GET", "/v1/operator/dead-letters")

    def retry(self, name: str) -> Answer:
        retried: Answer = self._client.post(f"/v1/operator/projections/{name}/dead-letters/retry")
        return retried

    def discard(self, name: str) -> Answer:
        discarded: Answer = self._client.post(f"/v1/operator/projections/{name}/dead-letters/discard")
        return discarded

    def tenants(self) -> Sequence[Answer]:
        rows: Sequence[Answer] = self._client.get("/v1/tenants")["rows"]
        return rows

    def add_tenant(self, tenant_id: str, name: str) -> Added:
        answer = self._client.post("/v1/tenants", orjson.dumps({"tenant_id": tenant_id, "name": name}))
        return Added(str(answer["api_key"]), bool(answer["registered"]))

    def give_key(self, tenant_id: str) -> str:
        return str(self._client.post(f"/v1/tenants/{quote(tenant_id, safe='')}/keys")["api_key"])

    def suspend_tenant(self, tenant_id: str, reason: str) -> bool:
        return self._change(tenant_id, "suspend", reason)

    def reactivate_tenant(self, tenant_id: str, reason: str) -> bool:
        return self._change(tenant_id, "reactivate", reason)

    def set_quota(self, tenant_id: str, quota: Answer) -> bool:
        return self._post(tenant_id, "quota", quota)

    def _change(self, tenant_id: str, how: str, reason: str) -> bool:
        return self._post(tenant_id, how, {"reason": reason})

    def _post(self, tenant_id: str, how: str, said: Answer) -> bool:
        body = orjson.dumps(said)
        return bool(self._client.post(f"/v1/tenants/{quote(tenant_id, safe='')}/{how}", body)["events"])

    def _job(self, path: str, on_step: OnStep) -> Any:
        for said in self._client.lines("POST", path):
            if "error" in said:
                raise Failed(said["error"])
            if "result" in said:
                return said["result"]
            on_step(Step(**said))
        raise Failed("the server ended before the job did; start it again")


@contextmanager
def named_failures() -> Iterator[None]:
    """Say what an operator meets in one line. Raises: Failed."""
    try:
        yield
    except Overloaded as error:
        raise Failed("the broker takes no more commands just now; try again") from error
    except _NAMED as error:
        raise Failed(str(error)) from error


_NAMED = (
    UnknownProjection,
    WrongBuild,
    BuildDiffers,
    AnotherLog,
    CannotCompare,
    StoreUnavailable,
    LogUnavailable,
    LogDamaged,
    TooMuchPoison,
    NeedsUpdate,
    Refused,
)
