"""The finance context consists of invoices, what is paid of them, the bank's statements, limits and budgets."""

from domain.context import Context
from domain.finance.amount_watch import AMOUNT_WATCH
from domain.finance.approval_limits import APPROVAL_LIMITS
from domain.finance.budget import BUDGET
from domain.finance.budget_monitor import BUDGET_MONITOR
from domain.finance.decide_invoice import INVOICE
from domain.finance.processes import INVOICE_APPROVAL, INVOICE_OVERDUE
from domain.finance.reconciliation import RECONCILIATION
from domain.finance.transaction import TRANSACTION
from domain.finance.usual_amounts import USUAL_AMOUNTS

CONTEXT = Context(
    name="finance",
    deciders=(INVOICE, APPROVAL_LIMITS, BUDGET, TRANSACTION, USUAL_AMOUNTS),
    processes=(INVOICE_OVERDUE, INVOICE_APPROVAL, BUDGET_MONITOR, RECONCILIATION, AMOUNT_WATCH),
)
