"""One valid example of every command, event and fact of the finance context."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.finance import (
    approval_limits,
    budget,
    budget_monitor,
    invoice,
    reconciliation,
    transaction,
    usual_amounts,
)
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
RECONCILE_PAYMENT = invoice.ReconcilePayment(
    **INVOICE, transaction_id="b1", amount=Decimal("10.00"), currency="GBP", reference="GB-1 536365", came_in=True
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
RECONCILED = invoice.PaymentReconciled(
    payment_id="p1",
    invoice="17850:536365",
    transaction_id="b1",
    amount=Decimal("10.00"),
    currency="GBP",
    status="PART_PAID",
)
UNRECONCILED = invoice.PaymentUnreconciled(
    payment_id="p1", invoice="17850:536365", transaction_id="b1", status="RECEIVED"
)
INVOICE_AMOUNT_FLAGGED = invoice.InvoiceAmountFlagged(
    flag="HIGH", reason="900.0000 is far above 16.0000, the middle of the latest 8 of this party", status="RECEIVED"
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

_BOOKED: Mapping[str, Any] = {
    "account": "DE02 1203 0000",
    "booked_at": HAPPENED_AT,
    "amount": Decimal("10.00"),
    "currency": "GBP",
    "party": "17850",
    "reference": "GB-1 536365",
}
RECORD_TRANSACTION = transaction.RecordTransaction(transaction_id="b1", **_BOOKED)
ASSIGN_TRANSACTION = transaction.AssignTransaction(transaction_id="b1", **INVOICE)
IGNORE_TRANSACTION = transaction.IgnoreTransaction(transaction_id="b1", reason="a fee")
SETTLE_TRANSACTION = transaction.SettleTransaction(transaction_id="b1", invoice="17850:536365")
FLAG_TRANSACTION = transaction.FlagTransaction(
    transaction_id="b1", score=50, reason="none of these invoices is known: 17850:536365"
)
REOPEN_TRANSACTION = transaction.ReopenTransaction(transaction_id="b1")

TRANSACTION_RECORDED = transaction.TransactionRecorded(**_BOOKED, number=None)
TRANSACTION_ASSIGNED = transaction.TransactionAssigned(
    invoice="17850:536365", amount=Decimal("10.00"), currency="GBP", reference="GB-1 536365"
)
TRANSACTION_RECONCILED = transaction.TransactionReconciled(invoice="17850:536365", payment_id="p1")
TRANSACTION_FLAGGED = transaction.TransactionFlagged(score=50, reason="none of these invoices is known: 17850:536365")
TRANSACTION_IGNORED = transaction.TransactionIgnored(reason="a fee")
TRANSACTION_REOPENED = transaction.TransactionReopened(score=80, reason="invoice 17850:536365 gave its payment back")
TRANSACTION_AMOUNT_FLAGGED = transaction.TransactionAmountFlagged(
    flag="LOW", reason="1.0000 is far below 16.0000, the middle of the latest 8 of this party"
)
NOTE_AMOUNT = usual_amounts.NoteAmount(
    kind="bill", party="17850", currency="GBP", subject="invoice-in:17850:7", amount=Decimal("16.00")
)
AMOUNT_NOTED = usual_amounts.AmountNoted(subject="invoice-in:17850:7", amount=Decimal("16.00"))
RECONCILIATION_NOTED = reconciliation.ReconciliationNoted(
    invoices=("17850:GB-1", "17850:536365"),
    exact=True,
    amount=Decimal("10.00"),
    currency="GBP",
    reference="GB-1 536365",
)
