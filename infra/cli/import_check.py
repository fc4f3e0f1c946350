"""`--check` asks what an import would do, of a server or of a data directory, and writes nothing to it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from domain import catalog
from domain.given import Given
from domain.message import adapter
from domain.rejection import CommandRejected
from factline.client import Client, ServerGone, ServerRefused
from infra.cli.import_options import say
from infra.cli.import_sinks import ServerSink, SinkOf
from schemas import upcast
from schemas.envelope import TenantId
from streams.intake.importing.sink import CommandTaken, FactsTaken, ImportFailed, Sink, taken
from streams.ports import FactSubmission, Submission

if TYPE_CHECKING:
    from infra.cli.import_directory import EmbeddedSink
    from infra.embedded import Embedded


@contextmanager
def checking(to: SinkOf, tenant_id: TenantId) -> Iterator[Sink]:
    """Give a sink that answers as the real one would, and keeps nothing. Raises: ImportFailed.

    Shape: where there is neither a key nor a directory, it takes every command, and says so.
    """
    if to.data_dir is None and not to.api_key:
        say("no server is asked, because FACTLINE_API_KEY is not set: what is recorded already is not known")
        yield _Nowhere()
        return
    with to.open(tenant_id) as sink:
        if isinstance(sink, ServerSink):
            yield _Server(sink.client)
        else:
            yield _Directory(cast("EmbeddedSink", sink).embedded)


class _Checks:
    threads = 1

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        raise NotImplementedError("only documents are checked so far")

    def stop(self) -> None:
        """Do nothing: nobody waits for it."""


class _Nowhere(_Checks):
    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        return [CommandTaken() for _ in batch]


class _Directory(_Checks):
    """Decides as its writer does, and commits nothing."""

    def __init__(self, embedded: "Embedded") -> None:
        self._writer = embedded.writer

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        return [taken(reply) for reply in self._writer.write(batch, commit=lambda _batch: None)]


class _Server(_Checks):
    """Reads each document's history from the server and decides on it here, by the same rules."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        try:
            return [self._decided(submission) for submission in batch]
        except (ServerGone, ServerRefused) as error:
            raise ImportFailed(f"{error}; nothing was written") from error

    def _decided(self, submission: Submission) -> CommandTaken:
        command = submission.command
        decider = catalog.decider_of(type(command))
        state = self._state(command.stream)
        try:
            events = decider.decide(command, state, Given(datetime.now(UTC), submission.actor, None, {}))
        except CommandRejected as rejected:
            return CommandTaken(kind=rejected.kind.value, reason=rejected.reason, changed=False)
        return CommandTaken(changed=bool(events))

    def _state(self, stream: str) -> Any:
        decider = catalog.decider_for_category(stream.partition("-")[0])
        state: Any = None
        cursor: str | None = ""
        while cursor is not None and decider is not None:
            path = f"/v1/audit/streams/{quote(stream, safe='')}?limit=100"
            try:
                answer = self._client.get(f"{path}&cursor={quote(cursor)}" if cursor else path)
            except ServerRefused as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return None
                raise
            for row in answer["rows"]:
                state = decider.evolve(state, _event(row))
            cursor = answer.get("next")
        return state


def _event(row: Mapping[str, Any]) -> Any:
    _, data = upcast.to_newest(row["type"], row["schema_version"], row["data"])
    return adapter(catalog.EVENTS[row["type"]]).validate_python(data)
