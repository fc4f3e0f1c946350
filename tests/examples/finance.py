"""One valid example of every command, event and fact of the finance context."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.finance import approval_limits, budget, budget_monitor, invoice
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

RECEIVE_INVOICE = invoice.ReceiveInvoice(
    number="536365",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=datetime(2010, 12, 31, tzinfo=UTC),
    lines=(
        invoice.LineItem(
            product="85123A",
            description="WHITE HANGING HEART T-LIGHT HOLDER",
            quantity=Decimal(6),
            unit_price=Decimal("2.55"),
        ),
        invoice.LineItem(product="71053", quantity=Decimal("-0.5"), unit_price=Decimal("3.3901"), dated_at=RECORDED_AT),
    ),
    tax=Decimal("2.72"),
    currency="GBP",
    country="United Kingdom",
)
CORRECT_INVOICE = invoice.CorrectInvoice(
    number="536365",
    party="17850",
    issue_date=HAPPENED_AT,
    lines=(
        invoice.LineItem(
            product="egress",
            description="GB-hours\nof January",
            quantity=Decimal("1250.5"),
            unit_price=Decimal("0.0000166667"),
        ),
    ),
    tax=Decimal("20.00"),
    currency="GBP",
    country="United Kingdom",
    reason="another customer's lines",
)
INVOICE: Mapping[str, Any] = {"number": "536365", "party": "17850"}
CATEGORISE_INVOICE = invoice.CategoriseInvoice(**INVOICE, category="sales", by="rule 7")
APPROVE_INVOICE = invoice.ApproveInvoice(**INVOICE, note="checked")
REJECT_INVOICE = invoice.RejectInvoice(**INVOICE, reason="not ours")
CANCEL_INVOICE = invoice.CancelInvoice(**INVOICE, reason="written twice")
DISPUTE_INVOICE = invoice.DisputeInvoice(**INVOICE, reason="wrong price")
RECORD_PAYMENT = invoice.RecordPayment(
    **INVOICE, payment_id="p1", amount=Decimal("10.00"), method="bank transfer", reference="GB-1"
)
MARK_OVERDUE = invoice.MarkOverdue(**INVOICE)
REVIEW_INVOICE = invoice.ReviewInvoice(**INVOICE, direction="in")
REFUND_PAYMENT = invoice.RefundPayment(**INVOICE, payment_id="p1", reason="returned")

RECEIVED = invoice.InvoiceReceived(
    number="536365",
    kind="invoice",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=datetime(2010, 12, 31, tzinfo=UTC),
    lines=(
        invoice.InvoiceLine(
            product="85123A",
            description="WHITE HANGING HEART T-LIGHT HOLDER",
            quantity=Decimal(6),
            unit_price=Decimal("2.55"),
            dated_at=None,
        ),
        invoice.InvoiceLine(
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
CORRECTED = invoice.InvoiceCorrected(
    number="536365",
    kind="invoice",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=None,
    lines=(
        invoice.CorrectedLine(
            product="egress",
            description="GB-hours\nof January",
            quantity=Decimal("1250.5"),
            unit_price=Decimal(0),
            dated_at=None,
            exact_price=Decimal("0.0000166667"),
        ),
    ),
    net=Decimal("0.02084170"),
    tax=Decimal("20.00"),
    total=Decimal("20.02084170"),
    currency="GBP",
    country="United Kingdom",
    exact_net=Decimal("0.02084170835"),
    exact_total=Decimal("20.02084170835"),
    reason="another customer's lines",
    replaced_lines=2,
    status="RECEIVED",
)
CATEGORISED = invoice.InvoiceCategorised(category="sales", by="rule 7", status="CATEGORISED")
APPROVED = invoice.InvoiceApproved(note="checked", status="APPROVED")
REJECTED = invoice.InvoiceRejected(reason="not ours")
CANCELLED = invoice.InvoiceCancelled(reason="written twice")
DISPUTED = invoice.InvoiceDisputed(reason="wrong price")
PAID_IN_PART = invoice.PaymentRecorded(
    payment_id="p1",
    invoice="17850:536365",
    amount=Decimal("10.00"),
    currency="GBP",
    method="bank transfer",
    reference="GB-1",
    paid_total=Decimal("10.00"),
    status="PART_PAID",
)
REFUNDED = invoice.PaymentRefunded(
    payment_id="p1",
    invoice="17850:536365",
    amount=Decimal("10.00"),
    currency="GBP",
    reason="returned",
    paid_total=Decimal(0),
    status="RECEIVED",
)
OVERDUE = invoice.InvoiceOverdue(due_date=datetime(2010, 12, 31, tzinfo=UTC), status="OVERDUE")
APPROVAL_AWAITED = invoice.ApprovalAwaited(limit=Decimal("10.00"), status="PENDING")

SET_APPROVAL_LIMIT = approval_limits.SetApprovalLimit(currency="GBP", limit=Decimal("10.00"))
APPROVAL_LIMIT_SET = approval_limits.ApprovalLimitSet(currency="GBP", limit=Decimal("10.00"))

SET_BUDGET = budget.SetBudget(category="hosting", currency="GBP", amount=Decimal("500.00"), timezone="Europe/Berlin")
RECORD_SPEND = budget.RecordSpend(
    category="hosting", currency="GBP", invoice="in:aws:7", amount=Decimal("120.5"), spent_at=RECORDED_AT
)
BUDGET_SET = budget.BudgetSet(
    category="hosting", currency="GBP", amount=Decimal("500.00"), period="month", timezone="Europe/Berlin"
)
SPEND_RECORDED = budget.SpendRecorded(
    invoice="in:aws:7", amount=Decimal("120.5"), within="2026-01", spent=Decimal("120.5")
)
BUDGET_EXCEEDED = budget.BudgetExceeded(within="2026-01", amount=Decimal("500.00"), spent=Decimal("500.01"))
BILL_NOTED = budget_monitor.BillNoted(
    currency="GBP", total=Decimal("16.32495"), issued_at=HAPPENED_AT, category="sales", approved=True, counted=True
)
