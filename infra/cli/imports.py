"""`factline import` brings in invoices, metrics and logs from files, and says what became of every row."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import click
from pydantic import StringConstraints, TypeAdapter, ValidationError

from domain.finance.invoice import Direction
from infra.cli.import_run import (
    COMMANDS,
    FACTS,
    Outcome,
    RefusedFile,
    Send,
    Source,
    Tally,
    later,
    register_device,
    run,
    send_facts,
    send_invoices,
)
from infra.cli.import_sinks import ImportFailed, Sink, SinkOf
from infra.cli.progress import progress
from schemas.envelope import TenantId
from schemas.values import Currency, Id, Name, TenantName
from streams.intake.files.csv import InvoicesFile, MetricsFile, Series
from streams.intake.files.invoice_rows import KindRule, Terms
from streams.intake.files.syslog import SyslogFile
from streams.intake.files.text import FileError, TextFile, check
from streams.project.rebuild import Step

DEFAULT_URL = "http://127.0.0.1:8080"

_Unit = Annotated[str, StringConstraints(max_length=32)]
_INTERRUPTED = 130
_BY_NUMBER: KindRule = "online-retail"


class _Valid(click.ParamType):
    """A value that the messages take; anything else is a mistake in the call."""

    def __init__(self, name: str, type_: Any) -> None:
        self.name = name
        self._adapter: TypeAdapter[str] = TypeAdapter(type_)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            self.fail(f"{value!r}: {error.errors()[0]['msg']}", param, ctx)


class _Encoding(click.ParamType):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class _Call(NamedTuple):
    """What all three imports are told."""

    paths: Sequence[Path]
    tenant_id: TenantId
    encoding: str
    to: SinkOf


class _Kind(NamedTuple):
    """What differs between them."""

    read: Callable[[TextFile], Source]
    send: Callable[[Sink], Send[Any]]
    batch_items: int
    device_id: str | None = None
    header_lines: int = 1


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Import into this directory, which no server has open, instead of into the server.",
        ),
        click.option(
            "--encoding", type=_Encoding(), default="utf-8", show_default=True, help="How the files are coded."
        ),
        click.option("--tenant", type=_Valid("tenant", TenantName), required=True, help="Whose data it is."),
        click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


_device_option = click.option("--device", type=_Valid("device", Id), required=True, help="Where the data comes from.")


@click.group("import")
def import_() -> None:
    """Bring in invoices, metrics and logs from files.

    The server at FACTLINE_URL takes them (http://127.0.0.1:8080 if it is not set), with the API key in
    FACTLINE_API_KEY; or, with --data-dir, they go into a directory without a server.

    What is imported already is counted as repeated and not recorded again. Rows that are refused are written to
    FILE.refused.csv, with line number and reason; the exit status is then 1. It is 2 where a file or the server
    cannot be used.

    \b
    factline import invoices 2010-12-*.csv --tenant demo
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    factline import logs auth.log --tenant demo --device web-1
    """


@import_.command()
@_shared
@click.option("--currency", type=_Valid("currency", Currency), default="GBP", show_default=True)
@click.option(
    "--direction",
    type=click.Choice(["out", "in"]),
    default="out",
    show_default=True,
    help="out: invoices that the tenant wrote; in: invoices that were sent to it.",
)
@click.option(
    "--kind",
    type=click.Choice(get_args(KindRule)),
    default=_BY_NUMBER,
    show_default=True,
    help="online-retail: a number of the letter C and digits alone, like C536379, is a credit note, as in that data"
    " set; invoice or credit_note: all documents of the files are that.",
)
def invoices(
    *,
    files: Sequence[Path],
    tenant: str,
    encoding: str,
    data_dir: Path | None,
    currency: str,
    direction: Direction,
    kind: KindRule,
) -> None:
    """Import invoices: CSV with a row for each line of an invoice.

    The columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID and Country must be
    there, in any order; others are left alone. Rows of one number and customer are one invoice. A number of the letter
    C and digits alone is a credit note; --kind says otherwise. A date without an offset is UTC. A customer 17850.0 is
    read as 17850. Blanks around numbers and customers do not count.

    Where one row of an invoice is refused, all its rows are: what is recorded is never changed, so it must be whole.

    \b
    factline import invoices 2010-12-01.csv --tenant demo
    factline import invoices *.csv --tenant demo --currency EUR --direction in --encoding cp1252
    factline import invoices consulting.csv --tenant demo --kind invoice
    """
    tenant_id = TenantId(tenant)
    sources: list[InvoicesFile] = []

    def read(file: TextFile) -> InvoicesFile:
        sources.append(InvoicesFile(file, Terms(tenant_id, currency, direction, kind)))
        return sources[-1]

    send = _Kind(read=read, send=lambda sink: partial(send_invoices, sink, tenant_id), batch_items=COMMANDS)
    try:
        _import(_Call(files, tenant_id, encoding, _sink_of(data_dir)), send)
    finally:
        if kind == _BY_NUMBER and (found := sum(source.credit_notes for source in sources)):
            _say(f"credit notes, by their numbers of C and digits: {found}; --kind says otherwise")


@import_.command()
@_shared
@_device_option
@click.option("--metric", type=_Valid("metric", Name), required=True, help="What was measured, like cpu_percent.")
@click.option("--unit", type=_Valid("unit", _Unit), default="", help="Like percent or bytes/s.")
def metrics(
    *, files: Sequence[Path], tenant: str, encoding: str, data_dir: Path | None, device: str, metric: str, unit: str
) -> None:
    """Import one metric of one device: CSV with the columns timestamp and value.

    A timestamp without an offset is UTC. A reading is known by device, metric and time: a second one of the same time
    is counted as repeated, whatever its value, and the first one stays. A device that is not known is registered.

    \b
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    """
    kind = _Kind(
        read=partial(MetricsFile, series=Series(device, metric, unit)),
        send=lambda sink: partial(send_facts, sink),
        batch_items=FACTS,
        device_id=device,
    )
    _import(_Call(files, TenantId(tenant), encoding, _sink_of(data_dir)), kind)


@import_.command()
@_shared
@_device_option
@click.option(
    "--year",
    type=click.IntRange(1970, 9000),
    help="Of a file's first line; if it is left out, the latest with which the last line is not in the future.",
)
def logs(
    *, files: Sequence[Path], tenant: str, encoding: str, data_dir: Path | None, device: str, year: int | None
) -> None:
    """Import one device's system log: lines like `Dec 10 06:55:46 host program[pid]: message`, or, as newer systems
    write them, `2026-12-10T06:55:46+01:00 host program[pid]: message`.

    Times of the first kind are taken as UTC. They do not say their year: from December to January the next one begins.
    Give --year, so that the same file is known again when it is imported in another year.

    A line's severity is guessed: error where its message has the word error, fatal, panic or segfault; warning where it
    has fail, failed, denied, refused, invalid, illegal, alert or the like; else info. A device that is not known is
    registered.

    \b
    factline import logs auth.log --tenant demo --device web-1
    factline import logs auth.log.1 --tenant demo --device web-1 --year 2025
    """
    now = datetime.now(UTC)

    def read(file: TextFile) -> SyslogFile:
        source = SyslogFile(file, device, year, now)
        if year is None:
            _say(f"{file.path}: lines that do not say their year begin in {source.first_year}; --year says otherwise")
        return source

    kind = _Kind(
        read=read,
        send=lambda sink: partial(send_facts, sink),
        batch_items=FACTS,
        device_id=device,
        header_lines=0,
    )
    _import(_Call(files, TenantId(tenant), encoding, _sink_of(data_dir)), kind)


def _sink_of(data_dir: Path | None) -> SinkOf:
    return SinkOf(data_dir, os.environ.get("FACTLINE_URL") or DEFAULT_URL, os.environ.get("FACTLINE_API_KEY"))


def _import(call: _Call, kind: _Kind) -> None:
    account = _Account()
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
        _say(f"factline: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        account.print()
        _say("factline: interrupted; what is counted here is recorded; run the same import again to go on")
        sys.exit(_INTERRUPTED)
    account.print()
    sys.exit(1 if account.tally.refused else 0)


class _Account:
    """What became of the rows, and where the refused ones are."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._refused_files: list[RefusedFile] = []

    def take(self, file: TextFile, source: Source, sink: Sink, kind: _Kind, on_answers: Callable[[], None]) -> None:
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
            click.echo(f"data ends on {tally.latest.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
        if tally.unanswered:
            click.echo(f"without an answer: {tally.unanswered}")
        if tally.reasons:
            click.echo("refused by reason:")
        for reason, found in sorted(tally.reasons.items(), key=lambda item: -item[1].rows):
            click.echo(f"{found.rows:>9}  {reason} (first: {found.first})")
        for file in self._refused_files:
            if file.problem is not None:
                _say(f"factline: {file.path} cannot be written: {file.problem}; the refused rows are not in it")
            elif file.written:
                click.echo(f"refused rows are in {file.path}")


def _say(text: str) -> None:
    click.echo(text, err=True)
