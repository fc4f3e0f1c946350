"""All imports from files are called alike, and say alike what became of every row."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import click
from pydantic import TypeAdapter, ValidationError

from infra.cli.import_run import Outcome, RefusedFile, Send, Source, Tally, register_device, run
from infra.cli.import_sinks import ImportFailed, Sink, SinkOf
from infra.cli.progress import progress
from schemas.envelope import TenantId
from schemas.values import TenantName
from streams.intake.files.text import FileError, TextFile, check
from streams.project.rebuild import Step

DEFAULT_URL = "http://127.0.0.1:8080"

_INTERRUPTED = 130


class Valid(click.ParamType):
    """A value that the messages take; anything else is a mistake in the call."""

    def __init__(self, name: str, type_: Any) -> None:
        self.name = name
        self._adapter: TypeAdapter[str] = TypeAdapter(type_)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            self.fail(f"{value!r}: {error.errors()[0]['msg']}", param, ctx)


class Encoding(click.ParamType):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Call(NamedTuple):
    """What all three imports are told."""

    paths: Sequence[Path]
    tenant_id: TenantId
    encoding: str
    to: SinkOf


class Form(NamedTuple):
    """What differs between them."""

    read: Callable[[TextFile], Source]
    send: Callable[[Sink], Send[Any]]
    batch_items: int
    device_id: str | None = None
    header_lines: int = 1


def shared(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Import into this directory, which no server has open, instead of into the server.",
        ),
        click.option(
            "--encoding", type=Encoding(), default="utf-8", show_default=True, help="How the files are coded."
        ),
        click.option("--tenant", type=Valid("tenant", TenantName), required=True, help="Whose data it is."),
        click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


def sink_of(data_dir: Path | None) -> SinkOf:
    return SinkOf(data_dir, os.environ.get("FACTLINE_URL") or DEFAULT_URL, os.environ.get("FACTLINE_API_KEY"))


def bring_in(call: Call, kind: Form) -> None:
    account = Account()
    try:
        # every file is looked at before anything of the first one is sent
        files = [check(path, call.encoding) for path in call.paths]
        sources = [(file, kind.read(file)) for file in files]
        rows = sum(file.lines - kind.header_lines for file in files)
        with call.to.open(call.tenant_id) as sink, progress("importing", "rows") as on_step:
            on_step(Step(0, rows))
            if kind.device_id is not None:
                register_device(sink, call.tenant_id, kind.device_id)
            for file, source in sources:
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


class Account:
    """What became of the rows, and where the refused ones are."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._refused_files: list[RefusedFile] = []

    def take(self, file: TextFile, source: Source, sink: Sink, kind: Form, on_answers: Callable[[], None]) -> None:
        tally = self.tally
        before = tally.read

        def on_outcome(outcome: Outcome) -> None:
            tally.accepted += outcome.accepted
            tally.repeated += outcome.repeated
            for row in outcome.refused:
                tally.refuse(row, file.path)
                refused_file.add(row)
            on_answers()

        with RefusedFile(file.path, source.header) as refused_file, closing(source.items()) as items:
            self._refused_files.append(refused_file)
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
        if tally.unanswered:
            click.echo(f"without an answer: {tally.unanswered}")
        if tally.reasons:
            click.echo("refused by reason:")
        for reason, found in sorted(tally.reasons.items(), key=lambda item: -item[1].rows):
            click.echo(f"{found.rows:>9}  {reason} (first: {found.first})")
        for file in self._refused_files:
            if file.problem is not None:
                say(f"factline: {file.path} cannot be written: {file.problem}; the refused rows are not in it")
            elif file.written:
                click.echo(f"refused rows are in {file.path}")


def say(text: str) -> None:
    click.echo(text, err=True)
