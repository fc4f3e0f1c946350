"""These are the commands, the events and the state of an invoice and its payments."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, assert_never
from urllib.parse import quote

from pydantic import Field

from domain.finance.values import Amount, InvoiceNumber, Label, Paid, Party, Quantity, Total, minus
from domain.message import Command, Event, known, value
from schemas.envelope import StreamId
from schemas.values import Currency, Id, Instant, Money, Name, Text

Direction = Literal["in", "out"]


def invoice_id(party: str, number: str) -> str:
    """Return the identity of an invoice; quoting keeps the colon between the two the only one."""
    return f"{quote(party, safe='')}:{quote(number, safe='')}"


# --- commands


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


InvoiceCommand = (
    ReceiveInvoice
    | CategoriseInvoice
    | ApproveInvoice
    | RejectInvoice
    | CancelInvoice
    | DisputeInvoice
    | RecordPayment
    | RefundPayment
)

# --- events


@value
class InvoiceLine:
    product: str
    description: str
    quantity: Amount
    unit_price: Amount
    dated_at: datetime | None


@value
class InvoiceReceived(Event):
    TYPE: ClassVar = "invoice.received"
    number: str
    kind: str
    party: str
    direction: str
    issue_date: datetime
    due_date: datetime | None
    lines: tuple[InvoiceLine, ...]
    net: Total
    tax: Amount
    total: Total
    currency: str
    country: str


@value
class InvoiceCategorised(Event):
    TYPE: ClassVar = "invoice.categorised"
    category: str
    by: str | None
    status: str


@value
class InvoiceApproved(Event):
    """`status` is PART_PAID or PAID where a dispute about a paid invoice ends."""

    TYPE: ClassVar = "invoice.approved"
    note: str
    status: str


@value
class InvoiceRejected(Event):
    TYPE: ClassVar = "invoice.rejected"
    reason: str


@value
class InvoiceCancelled(Event):
    TYPE: ClassVar = "invoice.cancelled"
    reason: str


@value
class InvoiceDisputed(Event):
    TYPE: ClassVar = "invoice.disputed"
    reason: str


@value
class PaymentRecorded(Event):
    """What it leaves the invoice at is said with it, so that a view need not add up."""

    TYPE: ClassVar = "payment.recorded"
    payment_id: str
    invoice: str
    amount: Total
    currency: str
    method: str
    reference: str
    paid_total: Total
    status: str


@value
class PaymentRefunded(Event):
    TYPE: ClassVar = "payment.refunded"
    payment_id: str
    invoice: str
    amount: Total
    currency: str
    reason: str
    paid_total: Total
    status: str


InvoiceEvent = (
    InvoiceReceived
    | InvoiceCategorised
    | InvoiceApproved
    | InvoiceRejected
    | InvoiceCancelled
    | InvoiceDisputed
    | PaymentRecorded
    | PaymentRefunded
)

# --- state


class InvoiceStatus(StrEnum):
    RECEIVED = "RECEIVED"
    CATEGORISED = "CATEGORISED"
    APPROVED = "APPROVED"
    PART_PAID = "PART_PAID"
    PAID = "PAID"
    DISPUTED = "DISPUTED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


@value
class Payment:
    amount: Decimal
    refunded: bool


@value
class Invoice:
    """Shape: `review` is how far it came before any payment; `closed` is REJECTED, CANCELLED or None."""

    kind: str
    direction: str
    currency: str
    total: Decimal
    category: str | None = None
    categorised_by: str | None = None
    review: InvoiceStatus = InvoiceStatus.RECEIVED
    disputed: bool = False
    closed: InvoiceStatus | None = None
    paid_total: Decimal = Decimal(0)
    payments: Mapping[str, Payment]

    @property
    def open_amount(self) -> Decimal:
        return minus(self.total, self.paid_total)

    @property
    def status(self) -> InvoiceStatus:
        if self.closed is not None:
            return self.closed
        if self.disputed:
            return InvoiceStatus.DISPUTED
        if not self.paid_total:
            return self.review
        return InvoiceStatus.PART_PAID if self.open_amount else InvoiceStatus.PAID


def evolve_invoice(state: Invoice | None, event: InvoiceEvent) -> Invoice:
    if isinstance(event, InvoiceReceived):
        return Invoice(
            kind=event.kind, direction=event.direction, currency=event.currency, total=event.total, payments={}
        )
    invoice = known(state)
    match event:
        case InvoiceCategorised():
            return categorised(invoice, event.category, event.by)
        case InvoiceApproved():
            return approved(invoice)
        case InvoiceRejected():
            return replace(invoice, closed=InvoiceStatus.REJECTED, disputed=False)
        case InvoiceCancelled():
            return replace(invoice, closed=InvoiceStatus.CANCELLED, disputed=False)
        case InvoiceDisputed():
            return replace(invoice, disputed=True)
        case PaymentRecorded():
            return with_payment(invoice, event.payment_id, event.amount, event.paid_total, refunded=False)
        case PaymentRefunded():
            return with_payment(invoice, event.payment_id, event.amount, event.paid_total, refunded=True)
        case _:
            assert_never(event)


def categorised(invoice: Invoice, category: str, by: str | None) -> Invoice:
    review = InvoiceStatus.CATEGORISED if invoice.review is InvoiceStatus.RECEIVED else invoice.review
    return replace(invoice, category=category, categorised_by=by, review=review)


def approved(invoice: Invoice) -> Invoice:
    return replace(invoice, review=InvoiceStatus.APPROVED, disputed=False)


def with_payment(invoice: Invoice, payment_id: str, amount: Decimal, paid_total: Decimal, *, refunded: bool) -> Invoice:
    payments = {**invoice.payments, payment_id: Payment(amount=amount, refunded=refunded)}
    return replace(invoice, payments=payments, paid_total=paid_total)
