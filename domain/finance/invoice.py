"""These are the commands, the events and the state of an invoice and its payments."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, assert_never
from urllib.parse import quote

from pydantic import Field

from domain.finance.content import digest_of
from domain.finance.values import (
    Amount,
    Description,
    Exact,
    InvoiceNumber,
    Label,
    Paid,
    Party,
    Price,
    Quantity,
    Total,
    UnitPrice,
    minus,
)
from domain.message import Command, Event, known, value
from schemas.envelope import StreamId
from schemas.values import Currency, Id, Instant, Money, Name, Text

Direction = Literal["in", "out"]
DocumentKind = Literal["invoice", "credit_note"]


def invoice_id(party: str, number: str, direction: Direction | None = None) -> str:
    """Return the identity of an invoice; quoting keeps its colons the only ones.

    Shape: `party:number`, and `in:party:number` for an incoming one. Source: docs/adr/0024.
    """
    name = f"{quote(party, safe='')}:{quote(number, safe='')}"
    return f"in:{name}" if direction == "in" else name


# --- commands


@value
class _OfInvoice(Command):
    """Shape: without `direction` it is an outgoing one, or an incoming one of before direction named it."""

    number: InvoiceNumber
    party: Party = ""
    direction: Direction | None = None

    @property
    def id(self) -> str:
        return invoice_id(self.party, self.number, self.direction)

    @property
    def stream(self) -> StreamId:
        return StreamId(f"invoice-{self.id}")


@value
class LineItem:
    """Shape: a gift has no price, a return a negative quantity, a write-off a negative price."""

    product: Label
    quantity: Quantity
    unit_price: UnitPrice
    description: Description = ""
    dated_at: Instant | None = None


@value
class _WithContent(_OfInvoice):
    kind: DocumentKind = "invoice"
    issue_date: Instant
    lines: Annotated[tuple[LineItem, ...], Field(min_length=1, max_length=10_000)]
    currency: Currency
    due_date: Instant | None = None
    tax: Money = Decimal(0)
    country: Label = ""


@value
class ReceiveInvoice(_WithContent):
    """Shape: direction "out" is an invoice we wrote, "in" one that was sent to us."""

    direction: Direction


@value
class CorrectInvoice(_WithContent):
    """Says the whole content again, for one that was taken wrongly; number, party and direction stay."""

    reason: Name


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
    """Shape: where `currency` is given, it must be the invoice's."""

    payment_id: Id
    amount: Paid
    method: Name
    currency: Currency | None = None
    reference: Label = ""


@value
class RefundPayment(_OfInvoice):
    """Gives the whole payment back."""

    payment_id: Id
    reason: Text = ""


CommandOfKnown = (
    CorrectInvoice
    | CategoriseInvoice
    | ApproveInvoice
    | RejectInvoice
    | CancelInvoice
    | DisputeInvoice
    | RecordPayment
    | RefundPayment
)
InvoiceCommand = ReceiveInvoice | CommandOfKnown

# --- events


@value
class InvoiceLine:
    """Shape: `unit_price` ends at four decimals; where the price has more, the whole of it is `exact_price`."""

    product: str
    description: str
    quantity: Amount
    unit_price: Amount
    dated_at: datetime | None
    exact_price: Price | None = None


@value
class CorrectedLine(InvoiceLine):
    """Has a name of its own, because an Avro file holds every name once."""


@value
class _Content(Event):
    """Shape: `net` and `total` end at eight decimals; where they have more, the whole of each is `exact_…`."""

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
    exact_net: Exact | None = None
    exact_total: Exact | None = None


@value
class InvoiceReceived(_Content):
    TYPE: ClassVar = "invoice.received"
    VERSION: ClassVar = 2


@value
class InvoiceCorrected(_Content):
    """Shape: `replaced_lines` is how many lines it had before."""

    TYPE: ClassVar = "invoice.corrected"
    lines: tuple[CorrectedLine, ...]
    reason: str
    replaced_lines: int
    status: str


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
    """What it leaves the invoice at is said with it, so that a view need not add up; `exact_…` as in its content."""

    TYPE: ClassVar = "payment.recorded"
    VERSION: ClassVar = 2
    payment_id: str
    invoice: str
    amount: Total
    currency: str
    method: str
    reference: str
    paid_total: Total
    status: str
    exact_amount: Exact | None = None
    exact_paid_total: Exact | None = None


@value
class PaymentRefunded(Event):
    TYPE: ClassVar = "payment.refunded"
    VERSION: ClassVar = 2
    payment_id: str
    invoice: str
    amount: Total
    currency: str
    reason: str
    paid_total: Total
    status: str
    exact_amount: Exact | None = None
    exact_paid_total: Exact | None = None


InvoiceEvent = (
    InvoiceReceived
    | InvoiceCorrected
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
    """Shape: `review` is how far it came before any payment; `closed` is REJECTED, CANCELLED or None.

    `line_count` and `content`, the digest of what it says, are for the rules: a stream's shown state leaves them out.
    """

    kind: str
    direction: str
    currency: str
    total: Decimal
    line_count: int = field(repr=False)
    content: str = field(repr=False)
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
            kind=event.kind,
            direction=event.direction,
            currency=event.currency,
            total=event.exact_total or event.total,
            line_count=len(event.lines),
            content=digest_of(event),
            payments={},
        )
    invoice = known(state)
    match event:
        case InvoiceCorrected():
            return corrected(invoice, event)
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
            return with_payment(invoice, event.payment_id, *_paid(event), refunded=False)
        case PaymentRefunded():
            return with_payment(invoice, event.payment_id, *_paid(event), refunded=True)
        case _:
            assert_never(event)


def corrected(invoice: Invoice, event: InvoiceCorrected) -> Invoice:
    """Return the invoice with its right content; what was approved was another one."""
    review = invoice.review
    if review is InvoiceStatus.APPROVED:
        review = InvoiceStatus.CATEGORISED if invoice.category else InvoiceStatus.RECEIVED
    return replace(
        invoice,
        kind=event.kind,
        currency=event.currency,
        total=event.exact_total or event.total,
        line_count=len(event.lines),
        content=digest_of(event),
        review=review,
    )


def _paid(event: PaymentRecorded | PaymentRefunded) -> tuple[Decimal, Decimal]:
    return event.exact_amount or event.amount, event.exact_paid_total or event.paid_total


def categorised(invoice: Invoice, category: str, by: str | None) -> Invoice:
    review = InvoiceStatus.CATEGORISED if invoice.review is InvoiceStatus.RECEIVED else invoice.review
    return replace(invoice, category=category, categorised_by=by, review=review)


def approved(invoice: Invoice) -> Invoice:
    return replace(invoice, review=InvoiceStatus.APPROVED, disputed=False)


def with_payment(invoice: Invoice, payment_id: str, amount: Decimal, paid_total: Decimal, *, refunded: bool) -> Invoice:
    payments = {**invoice.payments, payment_id: Payment(amount=amount, refunded=refunded)}
    return replace(invoice, payments=payments, paid_total=paid_total)
