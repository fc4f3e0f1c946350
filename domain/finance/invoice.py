"""These are the commands and the events of an invoice and its payments."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, unquote

from pydantic import Field

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
)
from domain.message import Command, Event, value
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


def invoice_stream(id_: str) -> StreamId:
    return StreamId(f"invoice-{id_}")


def named(id_: str) -> dict[str, Any]:
    """Return number, party and direction, as the commands of the invoice of this identity take them."""
    *direction, party, number = id_.split(":")
    return {"number": unquote(number), "party": unquote(party), "direction": "in" if direction else None}


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
        return invoice_stream(self.id)


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
    """Gives a part of the payment back; where `amount` is left out, all that is left of it."""

    payment_id: Id
    amount: Paid | None = None
    reason: Text = ""


@value
class ReconcilePayment(_OfInvoice):
    """Take a line of a bank's statement for a payment that is recorded, or record it as one; a process sends it.

    Shape: `came_in` says that we were paid. Where it is `exact`, it has to be all that is open.
    """

    IS_OURS: ClassVar = True
    transaction_id: Id
    amount: Paid
    currency: Currency
    reference: Label = ""
    came_in: bool
    exact: bool = False


@value
class MarkOverdue(_OfInvoice):
    """Refused while the invoice is due; a process sends it then."""


@value
class ReviewInvoice(_OfInvoice):
    """Approves an incoming invoice within the tenant's limit, or lets it wait for a person; a process sends it."""


CommandOfKnown = (
    CorrectInvoice
    | CategoriseInvoice
    | ApproveInvoice
    | RejectInvoice
    | CancelInvoice
    | DisputeInvoice
    | RecordPayment
    | RefundPayment
    | ReconcilePayment
    | MarkOverdue
    | ReviewInvoice
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
class InvoiceOverdue(Event):
    """Shape: `status` is not OVERDUE where it is disputed, or comes in and is not approved yet."""

    TYPE: ClassVar = "invoice.overdue"
    due_date: datetime
    status: str


@value
class ApprovalAwaited(Event):
    """It comes to more than the limit, and waits for a person."""

    TYPE: ClassVar = "invoice.approval.awaited"
    limit: Amount
    status: str


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


@value
class PaymentReconciled(Event):
    """The bank has the payment too, as this transaction."""

    TYPE: ClassVar = "payment.reconciled"
    payment_id: str
    invoice: str
    transaction_id: str
    amount: Total
    currency: str
    status: str


@value
class PaymentUnreconciled(Event):
    """All of a payment that the bank has is given back: its transaction pays the invoice no more."""

    TYPE: ClassVar = "payment.unreconciled"
    payment_id: str
    invoice: str
    transaction_id: str
    status: str


@value
class InvoiceAmountFlagged(Event):
    """It comes to far more or less than this party usually bills. Shape: `flag` is HIGH or LOW."""

    TYPE: ClassVar = "invoice.amount.flagged"
    flag: str
    reason: str
    status: str


EventOfKnown = (
    InvoiceCorrected
    | InvoiceCategorised
    | InvoiceApproved
    | InvoiceRejected
    | InvoiceCancelled
    | InvoiceDisputed
    | PaymentRecorded
    | PaymentRefunded
    | PaymentReconciled
    | PaymentUnreconciled
    | InvoiceOverdue
    | ApprovalAwaited
    | InvoiceAmountFlagged
)
InvoiceEvent = InvoiceReceived | EventOfKnown
