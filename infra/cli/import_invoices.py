"""`factline import invoices` brings in invoices and credit notes from CSV files."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import tzinfo
from pathlib import Path
from typing import NoReturn

import click

from domain.finance.invoice import Direction
from infra.cli.import_account import counts, end_with_account, reasons, say_where
from infra.cli.import_options import Call, Valid, say, shared, sink_of, zone_option
from infra.cli.import_sinks import SinkOf
from infra.cli.invoice_options import invoice_options
from infra.cli.progress import progress
from infra.cli.refused_file import RefusedFile
from infra.sqlite.last_places import PlacesInFile
from schemas.envelope import TenantId
from schemas.values import Currency
from streams.intake.files.dates import Dates
from streams.intake.files.invoice_rows import DEFAULT_CURRENCY, Terms
from streams.intake.files.invoices import InvoicesFiles, Writing
from streams.intake.files.text import TextFile, check
from streams.intake.importing.documents import Documents, told_of
from streams.intake.importing.run import COMMANDS, Outcome, Tally, run
from streams.intake.importing.sink import Sink
from streams.project.step import Step


@click.command()
@shared
@invoice_options
@zone_option
@click.option(
    "--currency",
    type=Valid("currency", Currency),
    help="What amounts are in where no column Currency says it; without it, what the sign beside a price says, or"
    f" {DEFAULT_CURRENCY}.",
)
@click.option(
    "--direction",
    type=click.Choice(["out", "in"]),
    default="out",
    show_default=True,
    help="out: invoices that the tenant wrote; in: invoices that were sent to it.",
)
@click.option("--correct", is_flag=True, help="Correct what is recorded with other content; without it, it is refused.")
@click.option("--check", "dry", is_flag=True, help="Say all that the import would do, and write nothing.")
def invoices(
    *,
    files: Sequence[Path],
    tenant: str,
    encoding: str,
    data_dir: Path | None,
    currency: str | None,
    direction: Direction,
    kind: str | None,
    columns: Sequence[tuple[str, str]],
    delimiter: str | None,
    decimal: str | None,
    thousands: str | None,
    date_format: str | None,
    zone: tzinfo,
    correct: bool,
    dry: bool,
) -> None:
    """Import invoices: CSV with a row for each line of an invoice.

    The columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID and Country must be
    there, in any order; those of Online Retail II (Invoice, Price, Customer ID) are known as well, Kind and Currency
    are read where they are there, and others are left alone. Other names are told with --columns. What stands between
    the columns is found, also from Excel's line `sep=;`. A last row without a line end is taken.

    Rows of one number and customer are one invoice, wherever they stand in the files of one call; where a file has all
    its rows once more, they count once. An invoice that is recorded already with the same content, in whatever order of
    its rows, is counted as repeated; one with other content is refused, or corrected with --correct. Where one row of
    an invoice is refused, all its rows are.

    Amounts may have a sign after them, brackets or a currency: -12.50, 12.50-, (12.50), $12.50, 1 234,50 EUR. A file
    that writes decimal commas is read so; an amount that may be read in two ways, like 1.000 in such a file or in one
    that shows neither, is refused until --decimal or --thousands says how the file writes amounts.

    A date is like 2026-01-31, 2026-01-31 08:30 or what --date-format says; without an offset it is of --timezone. A
    customer 17850.0 is read as 17850. Blanks around numbers, customers and products do not count.

    \b
    factline import invoices 2010-12-01.csv --tenant demo
    factline import invoices *.csv --tenant demo --currency EUR --direction in --encoding cp1252
    factline import invoices export.csv --tenant demo --columns InvoiceNo=Rechnung --columns Country= --check
    factline import invoices export.csv --tenant demo --decimal , --date-format '%d.%m.%Y' --timezone Europe/Berlin
    factline import invoices notes.csv --tenant demo --kind 'credit_note=CN-*'
    factline import invoices right.csv --tenant demo --correct
    """
    if decimal is not None and decimal == thousands:
        raise click.UsageError("--decimal and --thousands must not be the same")
    call = Call(files, TenantId(tenant), encoding, sink_of(data_dir))
    terms = Terms(call.tenant_id, currency, direction, kind)
    writing = Writing(dict(columns), delimiter, decimal, thousands, Dates(date_format, zone))
    _Import(call, terms, writing, correct=correct, dry=dry).run()


class _Import:
    """One call. Shape: a `dry` one writes nothing."""

    def __init__(self, call: Call, terms: Terms, writing: Writing, *, correct: bool, dry: bool) -> None:
        self._call = call
        self._terms = terms
        self._writing = writing
        self._correct = correct
        self._dry = dry
        self._tally = Tally()
        # a file that is named twice is read once
        first: dict[Path, Path] = {}
        for path in call.paths:
            first.setdefault(path.resolve(), path)
        self._paths = [*first.values()]
        self._documents = Documents(call.tenant_id, self._paths, correct=correct)
        self._refused: list[RefusedFile] = []
        self._source: InvoicesFiles | None = None
        self._examples: dict[str, str] = {}

    def run(self) -> NoReturn:
        end_with_account(self._import, self._print, self._tally)

    def _import(self) -> None:
        # every file is looked at before anything of the first one is sent
        files = [check(path, self._call.encoding) for path in self._paths]
        self._take(files, InvoicesFiles(files, self._terms, self._writing, PlacesInFile))

    def _take(self, files: Sequence[TextFile], source: InvoicesFiles) -> None:
        tally = self._tally
        rows = sum(file.lines - 1 for file in files)
        opened = _checking() if self._dry else SinkOf.open
        with (
            opened(self._call.to, self._call.tenant_id) as sink,
            progress("importing", "rows") as on_step,
            ExitStack() as stack,
        ):
            self._source = source
            on_step(Step(0, rows))
            if not self._dry:
                parts = zip(files, source.headers, strict=True)
                self._refused = [stack.enter_context(RefusedFile(file.path, names)) for file, names in parts]

            def on_outcome(outcome: Outcome) -> None:
                tally.add(outcome)
                for row in outcome.refused:
                    tally.refuse(row, files[row.row.file].path)
                    if self._refused:
                        self._refused[row.row.file].add(row)
                    else:
                        self._examples.setdefault(row.reason.partition(": ")[0], row.reason)
                on_step(Step(tally.answered, rows))

            items = stack.enter_context(closing(source.items()))
            try:
                run(
                    items,
                    lambda batch: self._documents.send(sink, batch),
                    sink=sink,
                    batch_items=COMMANDS,
                    on_outcome=on_outcome,
                )
            finally:
                tally.read = source.rows_read
            for file in files:
                file.check_unchanged()

    def _print(self) -> None:
        """Say what became of the rows, once there is a sink that takes them."""
        if self._source is None:
            return
        for line in told_of(self._source, all_=self._dry):
            say(line)
        if self._dry:
            click.echo("checked only, nothing is written; an import would give:")
        for line in (*counts(self._tally), *reasons(self._tally, self._examples), *self._documents.told()):
            click.echo(line)
        say_where(self._refused)


def _checking() -> Callable[[SinkOf, TenantId], AbstractContextManager[Sink]]:
    # all rules take half a second to load, and an import needs none of them
    from infra.cli.import_check import checking  # noqa: PLC0415

    return checking
