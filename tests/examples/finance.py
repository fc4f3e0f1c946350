"""One valid example of every command, event and fact of the finance context."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.finance.invoice import (
    ApproveInvoice,
    CancelInvoice,
    CategoriseInvoice,
    DisputeInvoice,
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceDisputed,
    InvoiceLine,
    InvoiceReceived,
    InvoiceRejected,
    LineItem,
    PaymentRecorded,
    PaymentRefunded,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
    RejectInvoice,
)
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

RECEIVE_INVOICE = ReceiveInvoice(
    number="536365",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=datetime(2010, 12, 31, tzinfo=UTC),
    lines=(
        LineItem(
            product="85123A",
            description="WHITE HANGING HEART T-LIGHT HOLDER",
            quantity=Decimal(6),
            unit_price=Decimal("2.55"),
        ),
        LineItem(product="71053", quantity=Decimal("-0.5"), unit_price=Decimal("3.3901"), dated_at=RECORDED_AT),
    ),
    tax=Decimal("2.72"),
    currency="GBP",
    country="United Kingdom",
)
INVOICE: Mapping[str, Any] = {"number": "536365", "party": "17850"}
CATEGORISE_INVOICE = CategoriseInvoice(**INVOICE, category="sales", by="rule 7")
APPROVE_INVOICE = ApproveInvoice(**INVOICE, note="checked")
REJECT_INVOICE = RejectInvoice(**INVOICE, reason="not ours")
CANCEL_INVOICE = CancelInvoice(**INVOICE, reason="written twice")
DISPUTE_INVOICE = DisputeInvoice(**INVOICE, reason="wrong price")
RECORD_PAYMENT = RecordPayment(
    **INVOICE, payment_id="p1", amount=Decimal("10.00"), method="bank transfer", reference="GB-1"
)
REFUND_PAYMENT = RefundPayment(**INVOICE, payment_id="p1", reason="returned")

RECEIVED = InvoiceReceived(
    number="536365",
    kind="invoice",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=datetime(2010, 12, 31, tzinfo=UTC),
    lines=(
        InvoiceLine(
            product="85123A",
            description="WHITE HANGING HEART T-LIGHT HOLDER",
            quantity=Decimal(6),
            unit_price=Decimal("2.55"),
            dated_at=None,
        ),
        InvoiceLine(
            product="71053",
            description="",
            quantity=Decimal("-0.5"),
            unit_price=Decimal("3.3901"),
            dated_at=RECORDED_AT,
        ),
    ),
    net=Decimal("13.60495"),
    tax=Decimal("2.72"),
    total=Decimal("16.32495"),
    currency="GBP",
    country="United Kingdom",
)
CATEGORISED = InvoiceCategorised(category="sales", by="rule 7", status="CATEGORISED")
APPROVED = InvoiceApproved(note="checked", status="APPROVED")
REJECTED = InvoiceRejected(reason="not ours")
CANCELLED = InvoiceCancelled(reason="written twice")
DISPUTED = InvoiceDisputed(reason="wrong price")
PAID_IN_PART = PaymentRecorded(
    payment_id="p1",
    invoice="17850:536365",
    amount=Decimal("10.00"),
    currency="GBP",
    method="bank transfer",
    reference="GB-1",
    paid_total=Decimal("10.00"),
    status="PART_PAID",
)
REFUNDED = PaymentRefunded(
    payment_id="p1",
    invoice="17850:536365",
    amount=Decimal("10.00"),
    currency="GBP",
    reason="returned",
    paid_total=Decimal(0),
    status="RECEIVED",
)
