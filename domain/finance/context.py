"""The finance context consists of invoices, what is paid of them, and up to which amount they approve themselves."""

from domain.context import Context
from domain.finance.approval_limits import APPROVAL_LIMITS
from domain.finance.decide_invoice import INVOICE
from domain.finance.processes import INVOICE_APPROVAL, INVOICE_OVERDUE

CONTEXT = Context(
    name="finance",
    deciders=(INVOICE, APPROVAL_LIMITS),
    processes=(INVOICE_OVERDUE, INVOICE_APPROVAL),
)
