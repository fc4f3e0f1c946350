"""This makes commands from the rows of one invoice; an invoice is taken whole or not at all."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from domain.finance.invoice import Direction, DocumentKind, ReceiveInvoice
from domain.finance.values import tidy
from domain.message import adapter
from schemas.envelope import TenantId
from schemas.values import in_words
from streams.identifiers import named_uuid
from streams.intake.files.cells import BadCell
from streams.intake.files.invoice_kind import ONLINE_RETAIL, Written, kind_of
from streams.intake.files.text import RefusedRow, SourceRow
from streams.intake.remembered import remembered

MAX_LINES = 10_000
"""Lines of one invoice. Source: ReceiveInvoice."""

DEFAULT_CURRENCY = "GBP"

_FLOAT_ID = re.compile(r"[0-9]+\.0", re.ASCII)
_COLUMN_OF: Mapping[str, str] = {
    "number": "InvoiceNo",
    "party": "CustomerID",
    "country": "Country",
    "product": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "unit_price": "UnitPrice",
    "kind": "Kind",
    "currency": "Currency",
}


class Terms(NamedTuple):
    """What holds for all invoices of an import.

    Shape: `currency` None is the one that the rows say, or else DEFAULT_CURRENCY; `kind` is a rule of `invoice_kind`.
    """

    tenant_id: TenantId
    currency: str | None
    direction: Direction
    kind: str | None = None


class LineText(NamedTuple):
    """One row's part of an invoice.

    Shape: amounts are their shortest text; a kind or currency that the row does not say is "".
    """

    party: str
    country: str
    at: datetime
    product: str
    description: str
    quantity: str
    unit_price: str
    kind: Written = ""
    currency: str = ""


class InvoiceRows(NamedTuple):
    """An invoice and the rows that say it.

    Shape: `command_id` is the same for the same content; `kind_by_number` says that the number made it a credit note;
    `copies` are the rows of files that say the whole of it again.
    Units: `size` is bytes of JSON, about.
    """

    command_id: str
    command: ReceiveInvoice
    rows: tuple[SourceRow, ...]
    size: int
    kind_by_number: bool = False
    copies: tuple[SourceRow, ...] = ()


@dataclass(slots=True)
class _Invoice:
    rows: list[SourceRow] = field(default_factory=list)
    lines: list[LineText] = field(default_factory=list)
    kind: Written = ""
    currency: str = ""
    copies: tuple[SourceRow, ...] = ()
    spoiled_by: SourceRow | None = None

    def put_copies_aside(self) -> None:
        """Leave out the rows of a file that are all the rows of an earlier one: it is the same invoice once more."""
        if self.rows[0].file == self.rows[-1].file:
            return
        places: dict[int, list[int]] = {}
        for n, row in enumerate(self.rows):
            places.setdefault(row.file, []).append(n)
        seen: list[Counter[LineText]] = []
        copies: set[int] = set()
        for own in places.values():
            lines = Counter(self.lines[n] for n in own)
            copies.update(own if lines in seen else ())
            seen.append(lines)
        self.copies = tuple(self.rows[n] for n in sorted(copies))
        self.rows = [row for n, row in enumerate(self.rows) if n not in copies]
        self.lines = [line for n, line in enumerate(self.lines) if n not in copies]


class NumberRows:
    """The rows of one number: an invoice for each customer. A refused row takes its whole invoice with it."""

    def __init__(self, number: str, terms: Terms, files: Sequence[Path] = ()) -> None:
        self._number = number
        self._terms = terms
        self._files = files
        self._invoices: dict[str, _Invoice] = {}
        self._spoiled_by: SourceRow | None = None

    def add(self, row: SourceRow, line: LineText) -> Iterator[RefusedRow]:
        invoice = self._invoices.setdefault(line.party, _Invoice())
        if (spoiled_by := self._spoiled_by or invoice.spoiled_by) is not None:
            yield self._with_another(row, spoiled_by)
        elif (problem := self._problem(row, invoice, line)) is not None:
            yield self.refuse(row, problem, line.party)
        else:
            invoice.rows.append(row)
            invoice.lines.append(line)
            invoice.kind = invoice.kind or line.kind
            invoice.currency = invoice.currency or line.currency

    def _problem(self, row: SourceRow, invoice: _Invoice, line: LineText) -> str | None:
        if not self._number:
            return "InvoiceNo is empty"
        if len(invoice.lines) == MAX_LINES:
            return f"the invoice has too many rows: an invoice has at most {MAX_LINES} lines"
        if not invoice.lines:
            return None
        # a kind and a currency may stand in one row for all
        for column, here, there in (
            ("Country", line.country, invoice.lines[0].country),
            ("Kind", line.kind or invoice.kind, invoice.kind or line.kind),
            ("Currency", line.currency or invoice.currency, invoice.currency or line.currency),
        ):
            if here != there:
                where = f"{there!r} in {self._place(invoice.rows[0], row)}"
                return f"{column} is not the same in all rows of the invoice: {here!r} here, {where}"
        return None

    def refuse(self, row: SourceRow, reason: str, party: str | None) -> RefusedRow:
        """Refuse a row, and with it the rows of its invoice; all of the number's where its party cannot be read."""
        if party is None:
            self.spoil(row)
        else:
            self._invoices.setdefault(party, _Invoice()).spoiled_by = row
        return RefusedRow(row, reason)

    def spoil(self, row: SourceRow) -> None:
        """Refuse all rows of the number: one that may be a part of it is not readable."""
        self._spoiled_by = row

    def close(self) -> Iterator[InvoiceRows | RefusedRow]:
        for party, invoice in self._invoices.items():
            if (spoiled_by := self._spoiled_by or invoice.spoiled_by) is not None:
                yield from (self._with_another(row, spoiled_by) for row in invoice.rows)
            elif invoice.rows:
                invoice.put_copies_aside()
                yield from self._received(party, invoice)

    def _received(self, party: str, invoice: _Invoice) -> Iterator[InvoiceRows | RefusedRow]:
        body = self._body(party, invoice)
        content = orjson.dumps(body)
        try:
            kind = kind_of(self._number, invoice.kind, self._terms.kind, invoice.lines)
            command: ReceiveInvoice = adapter(ReceiveInvoice).validate_python({**body, "kind": kind})
        except BadCell as error:
            yield from (RefusedRow(row, str(error)) for row in (*invoice.rows, *invoice.copies))
            return
        except ValidationError as error:
            yield from self._refused_rows(invoice.rows, error)
            yield from (self._with_another(row, invoice.rows[0]) for row in invoice.copies)
            return
        digest = hashlib.sha256(content).hexdigest()
        # the ids of earlier versions, which took a first letter C for a credit note, stay good where they were right
        told = () if kind == _kind_before(self._number) else (kind,)
        command_id = named_uuid(self._terms.tenant_id, "import", party, self._number, digest, *told)
        by_number = kind == "credit_note" and self._terms.kind in {None, ONLINE_RETAIL} and not invoice.kind
        yield InvoiceRows(command_id, command, tuple(invoice.rows), len(content), by_number, invoice.copies)

    def _body(self, party: str, invoice: _Invoice) -> dict[str, Any]:
        lines = invoice.lines
        issue_date = min(line.at for line in lines)
        return {
            "number": self._number,
            "party": party,
            "direction": self._terms.direction,
            "issue_date": issue_date,
            "currency": invoice.currency or self._terms.currency or DEFAULT_CURRENCY,
            "country": lines[0].country,
            "lines": [_line_body(line, issue_date) for line in lines],
        }

    def _refused_rows(self, rows: list[SourceRow], error: ValidationError) -> Iterator[RefusedRow]:
        """Refuse an invoice: the rows with a mistake for that, the others with them; all for a common mistake."""
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
        first = rows[min(reasons)]
        for n, row in enumerate(rows):
            yield RefusedRow(row, reasons[n]) if n in reasons else self._with_another(row, first)

    def _with_another(self, row: SourceRow, other: SourceRow) -> RefusedRow:
        return RefusedRow(row, f"another row of the same invoice is refused: {self._place(other, row)}")

    def _place(self, other: SourceRow, row: SourceRow) -> str:
        return f"line {other.line}" if other.file == row.file else f"{self._files[other.file]}, line {other.line}"


@remembered(4096)
def party_of(customer: str) -> str:
    """Return a customer's id; tools that read ids as numbers write 17850 as 17850.0."""
    customer = tidy(customer)
    return customer[:-2] if _FLOAT_ID.fullmatch(customer) else customer


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


def _reason(where: Any, message: str) -> str:
    name = str(where[-1]) if where else "the invoice"
    return f"{_COLUMN_OF.get(name, name)} is not valid: {in_words(message).removeprefix('Value error, ')}"
