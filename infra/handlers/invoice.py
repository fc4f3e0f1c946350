"""This handler reads invoices from the text of a CSV file, as the bodies of the commands that record them."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from domain.finance.invoice import Direction, ReceiveInvoice
from domain.message import adapter
from factline.worker import Failed, Task
from infra.handlers.inputs import Input, checked
from infra.handlers.web import Handler
from schemas.envelope import TenantId
from streams.intake.files.dates import Dates
from streams.intake.files.invoice_header import COLUMNS, OPTIONAL
from streams.intake.files.invoice_kind import is_rule
from streams.intake.files.invoice_rows import InvoiceRows, Terms
from streams.intake.files.invoices import InvoicesFiles, Writing
from streams.intake.files.text import FileError, RefusedRow, check, with_fields
from streams.intake.files.zones import zone_of

_TOLD = 10
"""Rows that the error names."""

_OPTIONS = {"columns", "currency", "date_format", "decimal", "delimiter", "kind", "thousands"}
_NOBODY = TenantId("nobody")  # only ids of commands are made with it, and none is sent

_Character = Annotated[str, StringConstraints(min_length=1, max_length=1)]


class ExtractInvoice(Input):
    csv: Annotated[str, StringConstraints(min_length=1)]
    columns: Mapping[str, str] = Field(default_factory=dict)
    direction: Direction = "in"
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    kind: str | None = None
    delimiter: _Character | None = None
    decimal: _Character | None = None
    thousands: _Character | None = None
    date_format: str | None = None
    timezone: str = "UTC"

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        if unknown := columns.keys() - {*COLUMNS, *OPTIONAL}:
            raise ValueError(f"{min(unknown)} is no column of invoices; there are: {', '.join((*COLUMNS, *OPTIONAL))}")
        return columns

    @field_validator("kind")
    @classmethod
    def _is_rule(cls, kind: str | None) -> str | None:
        if kind is not None and not is_rule(kind):
            raise ValueError("a kind is invoice, credit_note, online-retail, or credit_note= with a pattern of numbers")
        return kind

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, timezone: str) -> str:
        try:
            zone_of(timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{timezone} is no time zone") from error
        return timezone


def extract_invoice() -> Handler:
    """Return the handler of `csv.extract_invoice`.

    Shape: the output is {invoices}, each a body of finance.ReceiveInvoice. Where one row cannot be read, nothing is
    given and the error names the rows: half of an invoice is none.
    """

    async def extract(task: Task) -> Any:
        asked = checked(ExtractInvoice, task.input)
        return {"invoices": await asyncio.to_thread(_invoices, asked)}

    return extract


def _invoices(asked: ExtractInvoice) -> Sequence[Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "invoices.csv"
        path.write_text(asked.csv, encoding="utf-8", newline="")
        dates = Dates(asked.date_format, zone_of(asked.timezone))
        writing = Writing(asked.columns, asked.delimiter, asked.decimal, asked.thousands, dates)
        try:
            read = InvoicesFiles(
                [check(path, "utf-8")], Terms(_NOBODY, asked.currency, asked.direction, asked.kind), writing
            )
            items = list(read.items())
        except FileError as error:
            raise Failed(_of_a_task(str(error).replace(str(path), "the text")), retryable=False) from error
    if refused := [item for item in items if isinstance(item, RefusedRow)]:
        told = [f"line {one.row.line}: {_of_a_task(one.reason)}" for one in refused[:_TOLD]]
        more = [f"and {len(refused) - _TOLD} more"] if len(refused) > _TOLD else []
        raise Failed("; ".join(told + more), retryable=False)
    found = [item.command for item in items if isinstance(item, InvoiceRows)]
    if not found:
        raise Failed("there is no invoice in the text, only a header", retryable=False)
    return [adapter(ReceiveInvoice).dump_python(command, mode="json") for command in found]


def _of_a_task(text: str) -> str:
    return with_fields(text, _OPTIONS, " in the input")
