"""An import puts what it has read into a running server or into a data directory that nobody has open."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol

import orjson

from domain.catalog import adapter
from domain.rejection import Kind
from factline.client import Client, ServerGone, ServerRefused
from infra.data_dir import DataDirError
from infra.embedded import Embedded
from schemas.envelope import Actor, ActorType, TenantId
from streams.ports import FactSubmission, LogUnavailable, Reply, Submission

IMPORTER = Actor(ActorType.TOOL, "factline-import")

_QUICK_S = 5.0
"""How long an import waits for a server, or a new tenant, before it has sent anything."""

_TRIES = 10
_LATER_S = 1.0
"""How often, and after what pause, commands are sent that a server could not take while it took others."""

_AGAIN = "what is counted here is recorded; run the same import again to go on, nothing is recorded twice"


class ImportFailed(Exception):  # noqa: N818
    """The import cannot begin or go on; the message says what to do. What was answered before is recorded."""


class CommandTaken(NamedTuple):
    """What became of a command.

    Shape: a refused one has `kind` and `reason`; `changed` says that there are events of it. `repeated` says that its
    id was answered before, and this is that first answer.
    """

    repeated: bool = False
    kind: str | None = None
    reason: str = ""
    changed: bool = True


class FactsTaken(NamedTuple):
    """What became of a batch of facts. Shape: `refused` gives the place in the batch, from 0, and the reason."""

    accepted: int
    repeated: int
    refused: Mapping[int, str]


class Sink(Protocol):
    """Takes batches for one tenant; every batch may be sent again."""

    @property
    def threads(self) -> int:
        """Return how many batches may be on their way at once."""

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        """Return what became of each command, in order, once it is durable. Raises: ImportFailed."""

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        """Return what became of the facts, once they are durable. Raises: ImportFailed."""

    def stop(self) -> None:
        """Give up waiting for a server that does not answer."""


class ServerSink:
    """A running server. Raises: ImportFailed, it does not answer, or the key is not one of the tenant."""

    threads = 2

    def __init__(self, client: Client, tenant_id: TenantId) -> None:
        self.client = client
        self._check_tenant(tenant_id)

    def _check_tenant(self, tenant_id: TenantId) -> None:
        """Ask for the tenant's own stream, which no other tenant's key finds."""
        deadline = monotonic() + _QUICK_S
        while True:
            try:
                self.client.get(f"/v1/audit/streams/tenant-{tenant_id}?limit=1", patience_s=_QUICK_S)
            except ServerGone as error:
                raise ImportFailed(_no_server(error)) from error
            except ServerRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise ImportFailed(f"the server at {self.client.url} refuses: {error}") from error
                if monotonic() > deadline:
                    raise ImportFailed(
                        f"the API key in FACTLINE_API_KEY is not one of tenant {tenant_id}; if the tenant is not known"
                        f" yet, register it with `factline tenants add {tenant_id}`"
                    ) from error
            else:
                return
            # a tenant registered this moment is not in the view yet
            sleep(_QUICK_S / 10)

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        with _server_errors():
            try:
                replies = replies_to(self.client, [_command_json(submission) for submission in batch])
            except ServerRefused as error:
                if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise
                if len(batch) == 1:
                    return [CommandTaken(kind=Kind.INVALID.value, reason=str(error))]
                half = len(batch) // 2
                return [*self.commands(batch[:half]), *self.commands(batch[half:])]
        return [_from_json(reply) for reply in replies]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        body = orjson.dumps([_fact_json(fact) for fact in batch], option=orjson.OPT_UTC_Z)
        with _server_errors():
            try:
                reply = self.client.post("/v1/telemetry", body, safe=True)
            except ServerRefused as error:
                # the answer to a batch of which every fact is refused
                if "refused" not in error.problem:
                    raise
                reply = error.problem
        refused = {int(refusal["line"]) - 1: str(refusal["reason"]) for refusal in reply["refused"]}
        return FactsTaken(int(reply["accepted"]), int(reply["repeated"]), refused)

    def stop(self) -> None:
        self.client.stop()


def replies_to(client: Client, commands: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Send commands in one request, and those again for which the server had no room; return a reply for each."""
    replies: dict[int, Mapping[str, Any]] = {}
    waiting = list(range(len(commands)))
    for again in range(_TRIES):
        if again:
            sleep(_LATER_S)
        body = orjson.dumps([commands[n] for n in waiting])
        replies |= zip(waiting, client.post("/v1/commands", body, safe=True)["replies"], strict=True)
        waiting = [n for n in waiting if replies[n].get("kind") == Kind.NOT_NOW]
        if not waiting:
            break
    return [replies[n] for n in range(len(commands))]


class EmbeddedSink:
    """A data directory, opened by this process. Raises: ImportFailed, the tenant is not known there."""

    threads = 1

    def __init__(self, embedded: Embedded, tenant_id: TenantId) -> None:
        if not embedded.has_tenant(tenant_id):
            add = f"factline tenants add {tenant_id} --data-dir {embedded.dir.path}"
            raise ImportFailed(f"tenant {tenant_id} is not known; register it with `{add}`")
        self.embedded = embedded
        self._tenant_id = tenant_id

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        with _log_errors():
            replies = self.embedded.writer.write(batch)
        return [taken(reply) for reply in replies]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        with _log_errors():
            reply = self.embedded.log.append_facts(self._tenant_id, batch, IMPORTER)
        return FactsTaken(reply.accepted, reply.repeated, {})

    def stop(self) -> None:
        """Do nothing: a directory is never waited for."""


class SinkOf(NamedTuple):
    """Where an import goes. Shape: a `data_dir`, or else a server's `url` and an API key."""

    data_dir: Path | None
    url: str
    api_key: str | None

    @contextmanager
    def open(self, tenant_id: TenantId) -> Iterator[Sink]:
        """Raises: ImportFailed."""
        if self.data_dir is not None:
            with _embedded(self.data_dir) as embedded:
                yield EmbeddedSink(embedded, tenant_id)
            return
        if not self.api_key or not self.api_key.isascii():
            raise ImportFailed(
                f"no API key of tenant {tenant_id}; set FACTLINE_API_KEY to it, or use --data-dir without a server"
            )
        try:
            client = Client(self.url, self.api_key.strip())
        except ServerGone as error:
            raise ImportFailed(_no_server(error)) from error
        try:
            yield ServerSink(client, tenant_id)
        finally:
            client.close()


def _no_server(error: ServerGone) -> str:
    return f"{error}; start one with `factline serve`, name another with FACTLINE_URL, or use --data-dir without one"


@contextmanager
def _embedded(data_dir: Path) -> Iterator[Embedded]:
    if not (data_dir / "factline.json").exists():
        raise ImportFailed(f"there is no factline data in {data_dir}; `factline serve --data-dir {data_dir}` makes it")
    try:
        embedded = Embedded.open(data_dir)
    except DataDirError as error:
        raise ImportFailed(f"{error}: leave out --data-dir, and set FACTLINE_URL and FACTLINE_API_KEY") from error
    with embedded:
        yield embedded


@contextmanager
def _server_errors() -> Iterator[None]:
    try:
        yield
    except (ServerGone, ServerRefused) as error:
        raise ImportFailed(f"{error}; {_AGAIN}") from error


@contextmanager
def _log_errors() -> Iterator[None]:
    try:
        yield
    except LogUnavailable as error:
        raise ImportFailed(f"{error}; {_AGAIN}") from error


def _command_json(submission: Submission) -> dict[str, Any]:
    return {
        "id": submission.command_id,
        "command": submission.name,
        "body": orjson.Fragment(adapter(type(submission.command)).dump_json(submission.command)),
        "happened_at": submission.happened_at,
    }


def _fact_json(submission: FactSubmission) -> dict[str, Any]:
    return {
        "type": submission.fact.TYPE,
        "device_id": submission.device_id,
        "happened_at": submission.happened_at,
        "id": submission.fact_id,
        "data": submission.fact,
    }


def taken(reply: Reply) -> CommandTaken:
    """Return what a writer's reply says became of its command."""
    if reply.refusal is not None:
        return CommandTaken(reply.repeated, reply.refusal.kind.value, reply.refusal.reason, changed=False)
    return CommandTaken(reply.repeated, changed=bool(reply.events))


def _from_json(reply: Mapping[str, Any]) -> CommandTaken:
    repeated = bool(reply.get("repeated"))
    if reply["outcome"] != "accepted":
        return CommandTaken(repeated, str(reply["kind"]), str(reply["reason"]), changed=False)
    return CommandTaken(repeated, changed=reply.get("events") != [])
