"""The finance context consists of invoices, what is paid of them, what approves itself, and what may be spent."""

from domain.context import Context
from domain.finance.approval_limits import APPROVAL_LIMITS
from domain.finance.budget import BUDGET
from domain.finance.budget_monitor import BUDGET_MONITOR
from domain.finance.decide_invoice import INVOICE
from domain.finance.processes import INVOICE_APPROVAL, INVOICE_OVERDUE

CONTEXT = Context(
    name="finance",
    deciders=(INVOICE, APPROVAL_LIMITS, BUDGET),
    processes=(INVOICE_OVERDUE, INVOICE_APPROVAL, BUDGET_MONITOR),
)
