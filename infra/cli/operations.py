"""An operator acts on a data directory through these methods, by way of its running server if there is one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from infra.cli.client import ServerClient, ServerGone, ServerRefused
from infra.cli.progress import OnStep
from infra.collector import settle_collector
from infra.data_dir import DataDirError, DataDirInUse, operator_key, running_server
from infra.embedded import Embedded
from projections.stores import StoreUnavailable
from read_api.ops import status_answer
from schemas.envelope import Actor, ActorType, TenantId
from streams.intake.http.operator import letter_json, verdict_json
from streams.intake.http.tenants import onboard
from streams.ports import LogDamaged, LogUnavailable
from streams.project.parked import TooMuchPoison
from streams.project.rebuild import Step
from streams.project.verify import CannotCompare
from streams.project.view_jobs import UnknownProjection, ViewJobs, WrongBuild

Answer = Mapping[str, Any]

CLI = Actor(ActorType.SYSTEM, "command-line")


class Failed(Exception):  # noqa: N818
    """What was asked for was not done; the message says why and what to do."""


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

    def verify(self, name: str, on_step: OnStep) -> Answer:
        """Compare a view with the log; return the verdict. Raises: Failed."""

    def dead_letters(self) -> Iterator[Answer]:
        """Yield what the views have parked."""

    def retry(self, name: str) -> Answer:
        """Try a view's parked records again. Raises: Failed."""

    def discard(self, name: str) -> Answer:
        """Forget a view's parked records. Raises: Failed."""

    def add_tenant(self, tenant_id: str, name: str) -> str:
        """Register a tenant; return its first API key. Raises: Failed."""


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
        try:
            # a job must not be begun twice
            with closing(ServerClient(server.url, key, patience_s=0)) as client:
                yield _Remote(client)
        except ServerRefused as refused:
            raise Failed(str(refused)) from refused
        except ServerGone as gone:
            raise Failed(f"{gone}; process {server.pid} has the directory open") from gone
        return
    with embedded:
        views = embedded.views
        settle_collector()
        with named_failures():
            views.catch_up()
        yield _Local(embedded)


class SameProcess:
    """The operator of views that this process has open."""

    def __init__(self, operations: ViewJobs) -> None:
        self._operations = operations

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

    def verify(self, name: str, on_step: OnStep) -> Answer:
        with named_failures():
            return verdict_json(self._operations.verify(name, on_step))

    def dead_letters(self) -> Iterator[Answer]:
        with named_failures():
            yield from map(letter_json, self._operations.all_dead_letters())

    def retry(self, name: str) -> Answer:
        with named_failures():
            return self._operations.retry_dead_letters(name)._asdict()

    def discard(self, name: str) -> Answer:
        with named_failures():
            return {"discarded": self._operations.discard_dead_letters(name)}


class _Local(SameProcess):
    def __init__(self, embedded: Embedded) -> None:
        super().__init__(embedded.views.operations)
        self._embedded = embedded

    def add_tenant(self, tenant_id: str, name: str) -> str:
        onboarding = onboard(TenantId(tenant_id), name, CLI)
        for reply in self._embedded.writer.write(onboarding.submissions):
            if reply.refusal is not None:
                raise Failed(reply.refusal.reason)
        return onboarding.api_key


class _Remote:
    def __init__(self, client: ServerClient) -> None:
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

    def verify(self, name: str, on_step: OnStep) -> Answer:
        verdict: Answer = self._job(f"/v1/operator/projections/{name}/verify", on_step)
        return verdict

    def dead_letters(self) -> Iterator[Answer]:
        return self._client.lines("GET", "/v1/operator/dead-letters")

    def retry(self, name: str) -> Answer:
        retried: Answer = self._client.post(f"/v1/operator/projections/{name}/dead-letters/retry")
        return retried

    def discard(self, name: str) -> Answer:
        discarded: Answer = self._client.post(f"/v1/operator/projections/{name}/dead-letters/discard")
        return discarded

    def add_tenant(self, tenant_id: str, name: str) -> str:
        body = orjson.dumps({"tenant_id": tenant_id, "name": name})
        return str(self._client.post("/v1/tenants", body)["api_key"])

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
    except _NAMED as error:
        raise Failed(str(error)) from error


_NAMED = (UnknownProjection, WrongBuild, CannotCompare, StoreUnavailable, LogUnavailable, LogDamaged, TooMuchPoison)
