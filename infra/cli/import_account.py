"""An import of several files is run from here: each is looked at first, then sent, and every row accounted for."""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import click

from infra.cli.import_options import Call, say
from infra.cli.import_run import Outcome, RefusedFile, Send, Source, Tally, data_ends, later, register_device, run
from infra.cli.import_sinks import ImportFailed, Sink
from infra.cli.progress import progress
from streams.intake.files.text import FileError
from streams.project.rebuild import Step

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


def import_files(call: Call, kind: Kind) -> None:
    """Import the files and end the program: with 1 if a row was refused, 2 if a file or the server cannot be used."""
    account = _Account()
    try:
        # every file is looked at before anything of the first one is sent
        files = [kind.open(path) for path in call.paths]
        rows = sum(rows for _, _, rows in files)
        with call.to.open(call.tenant_id) as sink, progress("importing", "rows") as on_step:
            on_step(Step(0, rows))
            if kind.device_id:
                register_device(sink, call.tenant_id, kind.device_id)
            for file, source, _ in files:
                account.take(file, source, sink, kind, lambda: on_step(Step(account.tally.answered, rows)))
    except (FileError, ImportFailed) as error:
        account.print()
        say(f"factline: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        account.print()
        say("factline: interrupted; what is counted here is recorded; run the same import again to go on")
        sys.exit(_INTERRUPTED)
    account.print()
    sys.exit(1 if account.tally.refused else 0)


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
            tally.accepted += outcome.accepted
            tally.repeated += outcome.repeated
            tally.latest = later(tally.latest, outcome.latest)
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
        tally = self.tally
        if not self._refused_files:
            return
        click.echo(f"rows read: {tally.read}")
        click.echo(f"accepted: {tally.accepted}")
        click.echo(f"repeated: {tally.repeated}")
        click.echo(f"refused: {tally.refused}")
        if tally.latest is not None:
            click.echo(data_ends(tally.latest))
        if tally.unanswered:
            click.echo(f"without an answer: {tally.unanswered}")
        for file, source in self._sources:
            if isinstance(source, _Noted):
                for note in source.notes():
                    click.echo(f"{file.path}: {note}")
        self._print_refused()

    def _print_refused(self) -> None:
        tally = self.tally
        if tally.reasons:
            click.echo("refused by reason:")
        for reason, found in sorted(tally.reasons.items(), key=lambda item: -item[1].rows):
            click.echo(f"{found.rows:>9}  {reason} (first: {found.first})")
        for refused in self._refused_files:
            if refused.problem is not None:
                say(f"factline: {refused.path} cannot be written: {refused.problem}; the refused rows are not in it")
            elif refused.written:
                click.echo(f"refused rows are in {refused.path}")
