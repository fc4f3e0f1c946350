"""This makes commands from the rows of one invoice; an invoice is taken whole or not at all."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import ValidationError

from domain.catalog import adapter
from domain.finance.invoice import Direction, DocumentKind, ReceiveInvoice
from domain.finance.values import tidy
from schemas.envelope import TenantId
from streams.identifiers import named_uuid
from streams.intake.files.text import RefusedRow, SourceRow

MAX_LINES = 10_000
"""Lines of one invoice. Source: ReceiveInvoice."""

KindRule = Literal["online-retail", "invoice", "credit_note"]
"""What says whether a document is an invoice or a credit note: its number, as in Online Retail, or the caller."""

_CANCELLATION = re.compile(r"[Cc][0-9]+", re.ASCII)
_FLOAT_ID = re.compile(r"[0-9]+\.0", re.ASCII)
_COLUMN_OF: Mapping[str, str] = {
    "number": "InvoiceNo",
    "party": "CustomerID",
    "country": "Country",
    "product": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "unit_price": "UnitPrice",
}


class Terms(NamedTuple):
    """What holds for all invoices of an import."""

    tenant_id: TenantId
    currency: str
    direction: Direction
    kind: KindRule = "online-retail"


class LineText(NamedTuple):
    """One row's part of an invoice; amounts as their shortest text."""

    party: str
    country: str
    at: datetime
    product: str
    description: str
    quantity: str
    unit_price: str


class InvoiceRows(NamedTuple):
    """An invoice and the rows that say it.

    Shape: `command_id` is the same for the same content.
    Units: `size` is bytes of JSON, about.
    """

    command_id: str
    command: ReceiveInvoice
    rows: tuple[SourceRow, ...]
    size: int


@dataclass(slots=True)
class _Invoice:
    rows: list[SourceRow] = field(default_factory=list)
    lines: list[LineText] = field(default_factory=list)
    spoiled_by: int | None = None


class NumberRows:
    """The rows of one number: an invoice for each customer. A refused row takes its whole invoice with it."""

    def __init__(self, number: str, terms: Terms) -> None:
        self._number = number
        self._terms = terms
        self._invoices: dict[str, _Invoice] = {}
        self._spoiled_by: int | None = None

    def add(self, row: SourceRow, line: LineText) -> Iterator[RefusedRow]:
        invoice = self._invoices.setdefault(line.party, _Invoice())
        if (spoiled_by := self._spoiled_by or invoice.spoiled_by) is not None:
            yield _with_another(row, spoiled_by)
        elif (problem := self._problem(invoice, line)) is not None:
            yield self.refuse(row, problem, line.party)
        else:
            invoice.rows.append(row)
            invoice.lines.append(line)

    def _problem(self, invoice: _Invoice, line: LineText) -> str | None:
        if not self._number:
            return "InvoiceNo is empty"
        if len(invoice.lines) == MAX_LINES:
            return f"the invoice has too many rows: an invoice has at most {MAX_LINES} lines"
        if invoice.lines and line.country != invoice.lines[0].country:
            first = f"{invoice.lines[0].country!r} in line {invoice.rows[0].line}"
            return f"Country is not the same in all rows of the invoice: {line.country!r} here, {first}"
        return None

    def refuse(self, row: SourceRow, reason: str, party: str | None) -> RefusedRow:
        """Refuse a row, and with it the rows of its invoice; all of the number's where its party cannot be read."""
        if party is None:
            self.spoil(row.line)
        else:
            self._invoices.setdefault(party, _Invoice()).spoiled_by = row.line
        return RefusedRow(row, reason)

    def spoil(self, line: int) -> None:
        """Refuse all rows of the number: one that may be a part of it is not readable."""
        self._spoiled_by = line

    def close(self) -> Iterator[InvoiceRows | RefusedRow]:
        for party, invoice in self._invoices.items():
            if (spoiled_by := self._spoiled_by or invoice.spoiled_by) is not None:
                yield from (_with_another(row, spoiled_by) for row in invoice.rows)
            else:
                yield from self._received(party, invoice)

    def _received(self, party: str, invoice: _Invoice) -> Iterator[InvoiceRows | RefusedRow]:
        body = self._body(party, invoice.lines)
        content = orjson.dumps(body)
        kind = kind_of(self._number, self._terms.kind)
        try:
            command: ReceiveInvoice = adapter(ReceiveInvoice).validate_python({**body, "kind": kind})
        except ValidationError as error:
            yield from _refused_rows(invoice.rows, error)
            return
        digest = hashlib.sha256(content).hexdigest()
        # the ids of earlier versions, which took a first letter C for a credit note, stay good where they were right
        told = () if kind == _kind_before(self._number) else (kind,)
        command_id = named_uuid(self._terms.tenant_id, "import", party, self._number, digest, *told)
        yield InvoiceRows(command_id, command, tuple(invoice.rows), len(content))

    def _body(self, party: str, lines: list[LineText]) -> dict[str, Any]:
        issue_date = min(line.at for line in lines)
        return {
            "number": self._number,
            "party": party,
            "direction": self._terms.direction,
            "issue_date": issue_date,
            "currency": self._terms.currency,
            "country": lines[0].country,
            "lines": [_line_body(line, issue_date) for line in lines],
        }


def party_of(customer: str) -> str:
    """Return a customer's id; tools that read ids as numbers write 17850 as 17850.0."""
    customer = tidy(customer)
    return customer[:-2] if _FLOAT_ID.fullmatch(customer) else customer


def kind_of(number: str, rule: KindRule) -> DocumentKind:
    """Return what a document is.

    Source: Online Retail, UCI Machine Learning Repository: a number is six digits, and "if this code starts with
    letter 'c', it indicates a cancellation".
    """
    if rule == "online-retail":
        return "credit_note" if _CANCELLATION.fullmatch(number) else "invoice"
    return rule


def _kind_before(number: str) -> DocumentKind:
    return "credit_note" if number.startswith("C") else "invoice"


def _line_body(line: LineText, issue_date: datetime) -> dict[str, Any]:
    body: dict[str, Any] = {
        "product": line.product,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
    }
    return body if line.at == issue_date else {**body, "dated_at": line.at}


def _refused_rows(rows: list[SourceRow], error: ValidationError) -> Iterator[RefusedRow]:
    """Refuse an invoice: the rows with a mistake for that, the others with them; all of them for a common mistake."""
    reasons: dict[int, str] = {}
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        match found["loc"]:
            case ("lines", int(n), *where):
                reasons.setdefault(n, _reason(where, found["msg"]))
            case ("lines",):
                # says no more than that some of them have mistakes: their number was checked before
                continue
            case where:
                reasons |= dict.fromkeys(range(len(rows)), _reason(where, found["msg"]))
    first = rows[min(reasons)].line
    for n, row in enumerate(rows):
        yield RefusedRow(row, reasons[n]) if n in reasons else _with_another(row, first)


def _reason(where: Any, message: str) -> str:
    name = str(where[-1]) if where else "the invoice"
    return f"{_COLUMN_OF.get(name, name)} is not valid: {message.removeprefix('Value error, ')}"


def _with_another(row: SourceRow, line: int) -> RefusedRow:
    return RefusedRow(row, f"another row of the same invoice is refused: line {line}")
