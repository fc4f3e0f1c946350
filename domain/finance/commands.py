"""What can be asked of invoices and their payments."""

from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from domain.finance.values import InvoiceNumber, Label, Paid, Party, Quantity
from domain.message import Command, value
from schemas.envelope import StreamId
from schemas.values import Currency, Id, Instant, Money, Name, Text

Direction = Literal["in", "out"]


def invoice_id(party: str, number: str) -> str:
    """Return the identity of an invoice; quoting keeps the colon between the two the only one."""
    return f"{quote(party, safe='')}:{quote(number, safe='')}"


@value
class _OfInvoice(Command):
    number: InvoiceNumber
    party: Party = ""

    @property
    def id(self) -> str:
        return invoice_id(self.party, self.number)

    @property
    def stream(self) -> StreamId:
        return StreamId(f"invoice-{self.id}")


@value
class LineItem:
    """Shape: a gift has no price, a return a negative quantity, a write-off a negative price."""

    product: Label
    quantity: Quantity
    unit_price: Money
    description: Label = ""
    dated_at: Instant | None = None


@value
class ReceiveInvoice(_OfInvoice):
    """Shape: direction "out" is an invoice we wrote, "in" one that was sent to us."""

    direction: Direction
    issue_date: Instant
    lines: Annotated[tuple[LineItem, ...], Field(min_length=1, max_length=10_000)]
    currency: Currency
    due_date: Instant | None = None
    tax: Money = Decimal(0)
    country: Label = ""


@value
class CategoriseInvoice(_OfInvoice):
    category: Name
    by: Name | None = None


@value
class ApproveInvoice(_OfInvoice):
    note: Text = ""


@value
class RejectInvoice(_OfInvoice):
    reason: Text = ""


@value
class CancelInvoice(_OfInvoice):
    reason: Text = ""


@value
class DisputeInvoice(_OfInvoice):
    reason: Text = ""


@value
class RecordPayment(_OfInvoice):
    payment_id: Id
    amount: Paid
    method: Name
    reference: Label = ""


@value
class RefundPayment(_OfInvoice):
    """Gives the whole payment back."""

    payment_id: Id
    reason: Text = ""
