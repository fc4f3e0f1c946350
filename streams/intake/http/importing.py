"""One file at a time is imported for each tenant, in threads of their own, as `factline import` does it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, NamedTuple, Protocol, TypeVar

import orjson
from fastapi import Request

from read_api.edge.asking import caller_of
from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.quotas import check_quota, use_quota
from read_api.edge.responses import to_json
from read_api.edge.scopes import require
from schemas.envelope import TenantId
from streams.intake.files.text import FileError, RefusedRow, with_fields
from streams.intake.http.bodies import BodyBudget, save_file
from streams.intake.http.commands import BatchGate, answers
from streams.intake.http.telemetry import TelemetryGate
from streams.intake.importing.run import Outcome, Send, Tally, run, summary
from streams.intake.importing.sink import (
    AGAIN,
    CommandTaken,
    FactsTaken,
    ImportFailed,
    Sink,
    command_json,
    every_reply,
    told_by,
)
from streams.ports import FactSubmission, LogUnavailable, OutcomeUnknown, Overloaded, Submission

MAX_FILE_BYTES = 64 * 1024 * 1024
"""What one file may have; the command line takes files of any size."""

MAX_KEPT_BYTES = 512 * 1024 * 1024
"""What all files that are sent at this time may have on the disk together."""

MAX_TOLD = 1_000
"""Refused rows that are told one by one; the others are in the counts by reason."""

FIELDS = (
    "correct",
    "currency",
    "date_format",
    "decimal",
    "device",
    "encoding",
    "kind",
    "thousands",
    "timezone",
    "year",
)
"""What a request may say of a file; the command line has options of these names."""

_AT_ONCE = 2
_PROGRESS_S = 0.2
_LOOK_S = 0.5

T = TypeVar("T")


class Read(Protocol):
    """A file that is read once from its beginning to its end."""

    @property
    def rows_read(self) -> int:
        """Return how many rows it has read so far, the refused ones included."""

    def items(self) -> Generator[Any, None, None]:
        """Yield what is to be sent, and a RefusedRow for each row that cannot be. Raises: FileError."""


class Opened(NamedTuple):
    """A file that was looked at and can be read. Shape: `notes` says what was found in it, once it was read."""

    source: Read
    send: Callable[[Sink], Send[Any]]
    batch_items: int
    rows: int
    notes: Callable[[], Sequence[str]]


Open = Callable[[Path], Opened]
"""Looks at a file. Raises: FileError, it cannot be read."""


class Asked(NamedTuple):
    """Whose file it is, the scopes that they need, what it is called, and whether it is only looked through."""

    request: Request
    caller: Caller
    needs: Sequence[str]
    name: str
    check: bool


class _Progress:
    """How far an import is, told by its thread and read by its answer."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.refused: list[RefusedRow] = []

    def on_outcome(self, outcome: Outcome, path: Path) -> None:
        self.tally.add(outcome)
        for row in outcome.refused:
            self.tally.refuse(row, path)
            if len(self.refused) < MAX_TOLD:
                self.refused.append(row)


class Imports:
    """Belongs to one event loop, except `stop`.

    Shape: `fingerprint_key` is the deployment's; `at_work` are the tenants that have a file here.
    """

    def __init__(self, commands: BatchGate, telemetry: TelemetryGate, fingerprint_key: bytes) -> None:
        self._commands = commands
        self._telemetry = telemetry
        self._key = fingerprint_key
        self._threads = ThreadPoolExecutor(_AT_ONCE, "import")
        self._disk = BodyBudget(MAX_KEPT_BYTES)
        self.at_work: set[TenantId] = set()
        self._jobs: set[asyncio.Future[Any]] = set()
        self._ending = Event()

    def stop(self) -> None:
        """Let imports end after what they have sent; safe in any thread."""
        self._ending.set()

    async def take(self, asked: Asked, open_: Open) -> AsyncIterator[bytes]:
        """Return the lines of an answer, once a file is here and was looked at.

        Shape: the import goes on if nobody reads them.
        Raises: Problem: 503, another file of the tenant is being imported; 422, it cannot be read; as save_file.
        """
        tenant_id = asked.caller.tenant_id
        if tenant_id in self.at_work:
            detail = "another file of this tenant is being imported; send this one again when it is done"
            raise Problem(503, detail, retry_after_s=5)
        folder, size = TemporaryDirectory(prefix="factline-import-", ignore_cleanup_errors=True), 0
        self.at_work.add(tenant_id)

        def end() -> None:
            self.at_work.discard(tenant_id)
            self._disk.left += size
            folder.cleanup()

        try:
            path = Path(folder.name) / "file"
            size = await save_file(asked.request, path, self._disk, MAX_FILE_BYTES)
            # not in the threads of imports, or it would wait for those of others
            opened = await asyncio.to_thread(open_, path)
        except FileError as error:
            end()
            raise Problem(422, _named(str(error), path, asked.name)) from error
        except BaseException:
            end()
            raise
        progress = _Progress()
        loop = asyncio.get_running_loop()
        sink = _Taking() if asked.check else _Sink(self, asked, loop)
        job = asyncio.ensure_future(self._in_thread(lambda: _run(opened, sink, asked.name, path, progress)))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        job.add_done_callback(lambda _job: end())
        return _lines(job, opened, progress, lambda text: _named(text, path, asked.name))

    def _in_thread(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def commands(self, asked: Asked, items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Return the replies to commands, under the caller's name and rights. Raises: Problem; as the gate."""
        caller = await _still(asked)
        await check_quota(asked.request, caller, "events")
        log = asked.request.app.state.log
        told = await answers(self._commands, items, caller, self._key, log)
        recorded = sum(len(answer.get("events", ())) for answer in told if not answer.get("repeated"))
        await use_quota(asked.request, caller, "events", recorded)
        return told

    async def facts(self, asked: Asked, batch: Sequence[FactSubmission]) -> FactsTaken:
        """Return what became of facts. Raises: Problem, LogUnavailable."""
        caller = await _still(asked)
        await check_quota(asked.request, caller, "facts")
        reply = await self._telemetry.append(caller.tenant_id, batch, caller.actor)
        await use_quota(asked.request, caller, "facts", reply.accepted)
        return FactsTaken(reply.accepted, reply.repeated, {})

    def wait_for(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        """Return what the loop's work gives, in another thread. Raises: ImportFailed, the server ends; as the work."""
        waiting = asyncio.run_coroutine_threadsafe(work, loop)
        while True:
            try:
                return waiting.result(_LOOK_S)
            except TimeoutError:
                if waiting.done():
                    raise
                if self._ending.is_set() or loop.is_closed():
                    waiting.cancel()
                    raise ImportFailed(f"the server ends; {AGAIN}") from None


async def _still(asked: Asked) -> Caller:
    """Return the caller as they are now: an import takes long, and may not outlive the right to it.

    Raises: Problem, they may not go on.
    """
    caller = await caller_of(asked.request)
    for scope in asked.needs:
        require(caller, scope)
    return caller


class _Taking:
    """Takes everything and keeps nothing, to see what a file says."""

    threads = 1

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        return [CommandTaken() for _ in batch]

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        return FactsTaken(len(batch), 0, {})

    def stop(self) -> None:
        """Do nothing: nobody is waited for."""


class _Sink:
    """Gives what was read to this server's own ways in, which answer once it is durable."""

    threads = 1

    def __init__(self, imports: Imports, asked: Asked, loop: asyncio.AbstractEventLoop) -> None:
        self._imports = imports
        self._asked = asked
        self._loop = loop

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        # as a request would say them
        items = orjson.loads(orjson.dumps([command_json(one) for one in batch]))
        return [told_by(reply) for reply in every_reply(self._some, items)]

    def _some(self, items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        return self._waited(self._imports.commands(self._asked, items))

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        return self._waited(self._imports.facts(self._asked, batch))

    def _waited(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._imports.wait_for(work, self._loop)
        except Problem as problem:
            raise ImportFailed(f"{problem.detail}; {AGAIN}") from problem
        except (Overloaded, LogUnavailable, OutcomeUnknown) as error:
            raise ImportFailed(f"the log does not answer in time; {AGAIN}") from error

    def stop(self) -> None:
        """Do nothing: the gates answer by themselves."""


def _run(opened: Opened, sink: Sink, name: str, path: Path, progress: _Progress) -> str | None:
    """Import a file, and return why it ended early where it did."""
    try:
        with closing(opened.source.items()) as items:
            run(
                items,
                opened.send(sink),
                sink=sink,
                batch_items=opened.batch_items,
                on_outcome=lambda outcome: progress.on_outcome(outcome, Path(name)),
            )
    except (FileError, ImportFailed) as error:
        return _named(str(error), path, name)
    finally:
        progress.tally.read = opened.source.rows_read
    return None


async def _lines(
    job: "asyncio.Future[str | None]", opened: Opened, progress: _Progress, named: Callable[[str], str]
) -> AsyncIterator[bytes]:
    told = 0
    while True:
        await asyncio.wait([job], timeout=_PROGRESS_S)
        is_over = job.done()
        for row in progress.refused[told:]:
            yield _line({"refused": {"line": row.row.line, "reason": named(row.reason)}})
        told = len(progress.refused)
        yield _line({"done": progress.tally.answered, "total": opened.rows})
        if is_over:
            break
    try:
        problem = job.result()
    except Exception as error:  # noqa: BLE001 - the answer has begun: its last line must say how the job ended
        problem = f"{type(error).__name__}: {error}"
    found = summary(progress.tally)
    reasons = [{**reason, "reason": named(reason["reason"])} for reason in found["reasons"]]
    notes = [named(note) for note in opened.notes()]
    yield _line({"result": {**found, "reasons": reasons, "notes": notes, "problem": problem}})


def _line(content: Mapping[str, Any]) -> bytes:
    return to_json(content) + b"\n"


def _named(text: str, path: Path, name: str) -> str:
    return with_fields(text.replace(str(path), name), FIELDS)
