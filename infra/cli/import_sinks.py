"""An import puts what it has read into a running server or into a data directory that nobody has open."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import orjson

from domain.catalog import adapter, payload_of
from domain.fleet.facts import LogRecorded
from domain.rejection import Kind
from infra.cli.client import ServerClient, ServerGone, ServerRefused
from infra.data_dir import DataDirError
from infra.embedded import Embedded
from infra.instants import to_microseconds
from schemas.envelope import Actor, ActorType, TenantId
from streams.facts import content_id
from streams.ports import FactSubmission, LogUnavailable, Submission

_LINE_IDS_1 = b"log line 1\n"
"""Begins all that a line's id is made of: another way to make them has another number."""

_REMEMBERED = 200_000
"""Different lines whose numbers are known; equal ones of an instant stand near each other."""

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
    """What became of a command. Shape: a refused one has `kind` and `reason`."""

    repeated: bool = False
    kind: str | None = None
    reason: str = ""


class FactsTaken(NamedTuple):
    """What became of a batch of facts. Shape: `refused` gives the place in the batch, from 0, and the reason."""

    accepted: int
    repeated: int
    refused: Mapping[int, str]


class LineIds:
    """Gives each log line that has no id one of its own: what it says, and its number among equal ones of an instant.

    Shape: the same files in the same order give the same ids, so an import that is run again adds nothing. A file that
    begins with the instant at which the file before it ended goes on with the numbers of that instant: a log that was
    rotated within a second has all its lines. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._numbers: OrderedDict[bytes, int] = OrderedDict()
        self._last: datetime | None = None
        self._goes_on: datetime | None = None

    def begin_file(self) -> None:
        self._goes_on, self._last = self._last, None

    def named(self, submission: FactSubmission) -> FactSubmission:
        if submission.fact_id is not None or not isinstance(submission.fact, LogRecorded):
            return submission
        at = submission.happened_at
        self._last = at if self._last is None else max(at, self._last)
        if self._goes_on is not None and at != self._goes_on:
            self._numbers.clear()
            self._goes_on = None
        said = _LINE_IDS_1 + orjson.dumps((submission.device_id, to_microseconds(at), payload_of(submission.fact)))
        number = self._numbers.pop(said, 0)
        self._numbers[said] = number + 1
        if len(self._numbers) > _REMEMBERED:
            self._numbers.popitem(last=False)
        return submission._replace(fact_id=str(UUID(bytes=content_id(said + b"#%d" % number))))


class Sink(Protocol):
    """Takes batches for one tenant; every batch may be sent again."""

    line_ids: LineIds
    """The ids of the log lines of an import, over all its files."""

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

    def __init__(self, client: ServerClient, tenant_id: TenantId) -> None:
        self.line_ids = LineIds()
        self._client = client
        self._check_tenant(tenant_id)

    def _check_tenant(self, tenant_id: TenantId) -> None:
        """Ask for the tenant's own stream, which no other tenant's key finds."""
        deadline = monotonic() + _QUICK_S
        while True:
            try:
                self._client.get(f"/v1/audit/streams/tenant-{tenant_id}?limit=1", patience_s=_QUICK_S)
            except ServerGone as error:
                raise ImportFailed(_no_server(error)) from error
            except ServerRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise ImportFailed(f"the server at {self._client.url} refuses: {error}") from error
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
                replies = self._taken(batch)
            except ServerRefused as error:
                if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise
                if len(batch) == 1:
                    return [CommandTaken(kind=Kind.INVALID.value, reason=str(error))]
                half = len(batch) // 2
                return [*self.commands(batch[:half]), *self.commands(batch[half:])]
        return [_from_json(reply) for reply in replies]

    def _taken(self, batch: Sequence[Submission]) -> Sequence[Mapping[str, Any]]:
        """Send commands, and those again for which the server had no room."""
        replies: dict[int, Mapping[str, Any]] = {}
        waiting = list(range(len(batch)))
        for again in range(_TRIES):
            if again:
                sleep(_LATER_S)
            body = orjson.dumps([_command_json(batch[n]) for n in waiting])
            replies |= zip(waiting, self._client.post("/v1/commands", body)["replies"], strict=True)
            waiting = [n for n in waiting if replies[n].get("kind") == Kind.NOT_NOW]
            if not waiting:
                break
        return [replies[n] for n in range(len(batch))]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        body = orjson.dumps([_fact_json(fact) for fact in batch], option=orjson.OPT_UTC_Z)
        with _server_errors():
            reply = self._client.post("/v1/telemetry", body)
        refused = {int(refusal["line"]) - 1: str(refusal["reason"]) for refusal in reply["refused"]}
        return FactsTaken(int(reply["accepted"]), int(reply["repeated"]), refused)

    def stop(self) -> None:
        self._client.stop()


class EmbeddedSink:
    """A data directory, opened by this process. Raises: ImportFailed, the tenant is not known there."""

    threads = 1

    def __init__(self, embedded: Embedded, tenant_id: TenantId) -> None:
        if not embedded.has_tenant(tenant_id):
            add = f"factline tenants add {tenant_id} --data-dir {embedded.dir.path}"
            raise ImportFailed(f"tenant {tenant_id} is not known; register it with `{add}`")
        self.line_ids = LineIds()
        self._embedded = embedded
        self._tenant_id = tenant_id

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        with _log_errors():
            replies = self._embedded.writer.write(batch)
        return [
            CommandTaken(reply.repeated)
            if reply.refusal is None
            else CommandTaken(kind=reply.refusal.kind.value, reason=reply.refusal.reason)
            for reply in replies
        ]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        with _log_errors():
            reply = self._embedded.log.append_facts(self._tenant_id, batch, IMPORTER)
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
            client = ServerClient(self.url, self.api_key.strip())
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


def _from_json(reply: Mapping[str, Any]) -> CommandTaken:
    if reply["outcome"] != "accepted":
        return CommandTaken(kind=str(reply["kind"]), reason=str(reply["reason"]))
    return CommandTaken(bool(reply["repeated"]))
