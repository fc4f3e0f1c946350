"""What is known of an invoice and its payments, folded from their events."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from domain.finance.events import (
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceDisputed,
    InvoiceEvent,
    InvoiceReceived,
    InvoiceRejected,
    PaymentRecorded,
    PaymentRefunded,
)
from domain.finance.values import minus
from domain.message import known, value


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
