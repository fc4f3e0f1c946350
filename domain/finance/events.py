"""What happened to invoices and their payments."""

from datetime import datetime
from typing import ClassVar

from domain.finance.values import Amount, Total
from domain.message import Event, value


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
