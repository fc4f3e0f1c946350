"""`factline import invoices` brings in invoices and credit notes from CSV files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import click

from domain.finance.invoice import Direction
from infra.cli.import_call import Call, Form, Valid, bring_in, say, shared, sink_of
from infra.cli.import_run import COMMANDS, send_invoices
from schemas.envelope import TenantId
from schemas.values import Currency
from streams.intake.files.csv import InvoicesFile
from streams.intake.files.invoice_rows import KindRule, Terms
from streams.intake.files.text import TextFile

_BY_NUMBER: KindRule = "online-retail"


@click.command()
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

    def read(file: TextFile) -> InvoicesFile:
        sources.append(InvoicesFile(file, Terms(tenant_id, currency, direction, kind)))
        return sources[-1]

    send = Form(read=read, send=lambda sink: partial(send_invoices, sink, tenant_id), batch_items=COMMANDS)
    try:
        bring_in(Call(files, tenant_id, encoding, sink_of(data_dir)), send)
    finally:
        if kind == _BY_NUMBER and (found := sum(source.credit_notes for source in sources)):
            say(f"credit notes, by their numbers of C and digits: {found}; --kind says otherwise")
