"""`factline import` brings in invoices, metrics and logs from files, and says what became of every row."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import click

from domain.finance.invoice import Direction
from infra.cli.import_account import Kind, import_files
from infra.cli.import_logs import logs
from infra.cli.import_metrics import metrics
from infra.cli.import_options import Call, Valid, say, shared, sink_of
from infra.cli.import_run import COMMANDS, send_invoices
from schemas.envelope import TenantId
from schemas.values import Currency
from streams.intake.files.csv import InvoicesFile
from streams.intake.files.invoice_rows import KindRule, Terms
from streams.intake.files.text import TextFile, check

_BY_NUMBER: KindRule = "online-retail"


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
@shared
@click.option("--currency", type=Valid("currency", Currency), default="GBP", show_default=True)
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

    def open_(path: Path) -> tuple[TextFile, InvoicesFile, int]:
        file = check(path, encoding)
        sources.append(InvoicesFile(file, Terms(tenant_id, currency, direction, kind)))
        return file, sources[-1], file.lines - 1

    send = Kind(open=open_, send=lambda sink: partial(send_invoices, sink, tenant_id), batch_items=COMMANDS)
    try:
        import_files(Call(files, tenant_id, encoding, sink_of(data_dir)), send)
    finally:
        if kind == _BY_NUMBER and (found := sum(source.credit_notes for source in sources)):
            say(f"credit notes, by their numbers of C and digits: {found}; --kind says otherwise")


import_.add_command(metrics)
import_.add_command(logs)
