"""This is the state of an invoice and its payments, as its events make it."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from domain.finance.content import digest_of
from domain.finance.invoice import (
    ApprovalAwaited,
    EventOfKnown,
    InvoiceAmountFlagged,
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceCorrected,
    InvoiceDisputed,
    InvoiceEvent,
    InvoiceOverdue,
    InvoiceReceived,
    InvoiceRejected,
    PaymentReconciled,
    PaymentRecorded,
    PaymentRefunded,
    PaymentUnreconciled,
)
from domain.finance.values import minus, plus
from domain.message import known, value

OVERDUE_AFTER = timedelta(days=1)
"""From the due date on, which a sender gives as an instant of its own time zone: the whole day is left to pay."""


class InvoiceStatus(StrEnum):
    RECEIVED = "RECEIVED"
    CATEGORISED = "CATEGORISED"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    PART_PAID = "PART_PAID"
    PAID = "PAID"
    OVERDUE = "OVERDUE"
    DISPUTED = "DISPUTED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


@value
class Payment:
    """Shape: `returned` is what was given back of it; `refunded` says that it was all."""

    amount: Decimal
    refunded: bool
    returned: Decimal = Decimal(0)


@value
class Invoice:
    """Shape: `review` is how far it came before any payment; `closed` is REJECTED, CANCELLED or None.

    `line_count`, `due_date`, `content`, the digest of what it says, and `reconciled`, what the bank calls its payments,
    are for the rules: a stream's shown state leaves them out.
    """

    kind: str
    direction: str
    currency: str
    total: Decimal
    line_count: int = field(repr=False)
    content: str = field(repr=False)
    due_date: datetime | None = field(default=None, repr=False)
    category: str | None = None
    categorised_by: str | None = None
    review: InvoiceStatus = InvoiceStatus.RECEIVED
    disputed: bool = False
    closed: InvoiceStatus | None = None
    overdue: bool = False
    paid_total: Decimal = Decimal(0)
    payments: Mapping[str, Payment]
    reconciled: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def open_amount(self) -> Decimal:
        return minus(self.total, self.paid_total)

    @property
    def status(self) -> InvoiceStatus:
        if self.closed is not None:
            return self.closed
        if self.disputed:
            return InvoiceStatus.DISPUTED
        if self.overdue and is_owed(self) and (self.direction == "out" or self.review is InvoiceStatus.APPROVED):
            return InvoiceStatus.OVERDUE
        if not self.paid_total:
            return self.review
        return InvoiceStatus.PART_PAID if self.open_amount else InvoiceStatus.PAID


def is_owed(invoice: Invoice) -> bool:
    return invoice.closed is None and invoice.kind == "invoice" and invoice.open_amount > 0


def left_of(payment: Payment) -> Decimal:
    """Return what was not given back of a payment."""
    return minus(payment.amount, payment.returned)


_CLOSED = {InvoiceRejected: InvoiceStatus.REJECTED, InvoiceCancelled: InvoiceStatus.CANCELLED}


def evolve_invoice(state: Invoice | None, event: InvoiceEvent) -> Invoice:
    if isinstance(event, InvoiceReceived):
        return Invoice(
            kind=event.kind,
            direction=event.direction,
            currency=event.currency,
            total=event.exact_total or event.total,
            line_count=len(event.lines),
            content=digest_of(event),
            due_date=event.due_date,
            payments={},
        )
    return _after(known(state), event)


def _after(invoice: Invoice, event: EventOfKnown) -> Invoice:
    match event:
        case InvoiceCorrected():
            return corrected(invoice, event)
        case InvoiceCategorised():
            return categorised(invoice, event.category, event.by)
        case InvoiceApproved():
            return approved(invoice)
        case InvoiceRejected() | InvoiceCancelled():
            return replace(invoice, closed=_CLOSED[type(event)], disputed=False)
        case InvoiceDisputed():
            return replace(invoice, disputed=True)
        case PaymentRecorded() | PaymentRefunded() | PaymentReconciled() | PaymentUnreconciled():
            return _after_payment(invoice, event)
        case InvoiceOverdue():
            return replace(invoice, overdue=True)
        case ApprovalAwaited():
            return replace(invoice, review=InvoiceStatus.PENDING)
        case InvoiceAmountFlagged():
            return invoice
        case _:
            assert_never(event)


def _after_payment(
    invoice: Invoice, event: PaymentRecorded | PaymentRefunded | PaymentReconciled | PaymentUnreconciled
) -> Invoice:
    if isinstance(event, PaymentReconciled):
        return replace(invoice, reconciled={**invoice.reconciled, event.payment_id: event.transaction_id})
    if isinstance(event, PaymentUnreconciled):
        left = {id_: of for id_, of in invoice.reconciled.items() if id_ != event.payment_id}
        return replace(invoice, reconciled=left)
    after = with_payment if isinstance(event, PaymentRecorded) else with_refund
    return after(invoice, event.payment_id, *_paid(event))


def corrected(invoice: Invoice, event: InvoiceCorrected) -> Invoice:
    """Return the invoice with its right content; what was approved, or waits for it, was another one."""
    review = invoice.review
    if review in (InvoiceStatus.APPROVED, InvoiceStatus.PENDING):
        review = InvoiceStatus.CATEGORISED if invoice.category else InvoiceStatus.RECEIVED
    return replace(
        invoice,
        kind=event.kind,
        currency=event.currency,
        total=event.exact_total or event.total,
        line_count=len(event.lines),
        content=digest_of(event),
        due_date=event.due_date,
        overdue=False,
        review=review,
    )


def _paid(event: PaymentRecorded | PaymentRefunded) -> tuple[Decimal, Decimal]:
    return event.exact_amount or event.amount, event.exact_paid_total or event.paid_total


def categorised(invoice: Invoice, category: str, by: str | None) -> Invoice:
    review = InvoiceStatus.CATEGORISED if invoice.review is InvoiceStatus.RECEIVED else invoice.review
    return replace(invoice, category=category, categorised_by=by, review=review)


def approved(invoice: Invoice) -> Invoice:
    return replace(invoice, review=InvoiceStatus.APPROVED, disputed=False)


def with_payment(invoice: Invoice, payment_id: str, amount: Decimal, paid_total: Decimal) -> Invoice:
    payments = {**invoice.payments, payment_id: Payment(amount=amount, refunded=False)}
    return replace(invoice, payments=payments, paid_total=paid_total)


def with_refund(invoice: Invoice, payment_id: str, amount: Decimal, paid_total: Decimal) -> Invoice:
    payment = invoice.payments[payment_id]
    returned = plus(payment.returned, amount)
    after = replace(payment, returned=returned, refunded=returned == payment.amount)
    return replace(invoice, payments={**invoice.payments, payment_id: after}, paid_total=paid_total)
