"""An import of several files is run from here: each is looked at first, then sent, and every row accounted for."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol, runtime_checkable

import click

from infra.cli.import_options import Call, say
from infra.cli.progress import progress
from infra.cli.refused_file import RefusedFile
from infra.cli.shown import print_json, wants_json
from infra.collector import settle_collector
from streams.intake.files.text import FileError
from streams.intake.importing.run import Outcome, Send, Source, Tally, register_device, run, summary
from streams.intake.importing.sink import ImportFailed, Sink
from streams.project.step import Step

_INTERRUPTED = 130


class _Opened(Protocol):
    """A file that was looked at."""

    @property
    def path(self) -> Path:
        """Return where it is, for the file of its refused rows too."""

    def check_unchanged(self) -> None:
        """Raises: FileError, it is not the one that was looked at."""


@runtime_checkable
class _Noted(Protocol):
    """A source that has more to say of its rows than their counts."""

    def notes(self) -> Sequence[str]:
        """Return a sentence for each thing."""


class Kind(NamedTuple):
    """What differs between imports: `open` looks at a file, and gives it, what reads it, and how many rows it has.

    Shape: `device_id` is the device of all rows, "" where each row says its own.
    """

    open: Callable[[Path], tuple[_Opened, Source, int]]
    send: Callable[[Sink], Send[Any]]
    batch_items: int
    device_id: str = ""


def import_files(call: Call, kind: Kind) -> NoReturn:
    """Import the files one after another, and end the program as `end_with_account` does."""
    account = _Account()

    def work() -> None:
        # every file is looked at before anything of the first one is sent
        files = [kind.open(path) for path in call.paths]
        rows = sum(rows for _, _, rows in files)
        with call.to.open(call.tenant_id) as sink, progress("importing", "rows") as on_step:
            on_step(Step(0, rows))
            if kind.device_id:
                register_device(sink, call.tenant_id, kind.device_id)
            for file, source, _ in files:
                account.take(file, source, sink, kind, lambda: on_step(Step(account.tally.answered, rows)))

    end_with_account(work, account.print, account.tally)


def end_with_account(work: Callable[[], None], print_account: Callable[[], None], tally: Tally) -> NoReturn:
    """Do the work of an import, say what became of its rows, and end the program.

    Shape: the exit status is 1 if a row was refused, 2 if a file or the server cannot be used, and 130 after Ctrl-C.
    """
    problem = None
    settle_collector()
    try:
        work()
        status = 1 if tally.refused else 0
    except (FileError, ImportFailed) as error:
        problem, status = str(error), 2
    except KeyboardInterrupt:
        problem = "interrupted; what is counted here is recorded; run the same import again to go on"
        status = _INTERRUPTED
    if wants_json():
        print_json(summary(tally))
    else:
        print_account()
    if problem is not None:
        say(f"factline: {problem}")
    sys.exit(status)


class _Account:
    """What became of the rows, and where the refused ones are."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._refused_files: list[RefusedFile] = []
        self._sources: list[tuple[_Opened, Source]] = []

    def take(self, file: _Opened, source: Source, sink: Sink, kind: Kind, on_answers: Callable[[], None]) -> None:
        tally = self.tally
        before = tally.read

        def on_outcome(outcome: Outcome) -> None:
            tally.add(outcome)
            for row in outcome.refused:
                tally.refuse(row, file.path)
                refused_file.add(row)
            on_answers()

        with RefusedFile(file.path, source.header) as refused_file, closing(source.items()) as items:
            self._refused_files.append(refused_file)
            self._sources.append((file, source))
            try:
                run(items, kind.send(sink), sink=sink, batch_items=kind.batch_items, on_outcome=on_outcome)
            finally:
                tally.read = before + source.rows_read
            file.check_unchanged()

    def print(self) -> None:
        """Say what became of the rows, once there is a file whose rows were sent."""
        if not self._refused_files:
            return
        for line in counts(self.tally):
            click.echo(line)
        for file, source in self._sources:
            if isinstance(source, _Noted):
                for note in source.notes():
                    click.echo(f"{file.path}: {note}")
        for line in reasons(self.tally, {}):
            click.echo(line)
        say_where(self._refused_files)


def counts(tally: Tally) -> Iterator[str]:
    yield f"rows read: {tally.read}"
    yield f"accepted: {tally.accepted}"
    yield f"repeated: {tally.repeated}"
    yield f"refused: {tally.refused}"
    if tally.latest is not None:
        yield data_ends(tally.latest)
    if tally.unanswered:
        yield f"without an answer: {tally.unanswered}"


def reasons(tally: Tally, examples: Mapping[str, str]) -> Iterator[str]:
    """Yield how often each reason was given. Shape: `examples` has a whole reason for some of them."""
    if tally.reasons:
        yield "refused by reason:"
    for reason, found in sorted(tally.reasons.items(), key=lambda item: -item[1].rows):
        yield f"{found.rows:>9}  {reason} (first: {found.first})"
        if reason in examples:
            yield f"{'':>11}{examples[reason]}"


def say_where(refused_files: Sequence[RefusedFile]) -> None:
    """Say where the refused rows are, or why they are not there."""
    for refused in refused_files:
        if refused.problem is not None:
            say(f"factline: {refused.path} cannot be written: {refused.problem}; the refused rows are not in it")
        elif refused.written:
            click.echo(f"refused rows are in {refused.path}")


def data_ends(latest: datetime) -> str:
    return f"data ends on {latest.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
