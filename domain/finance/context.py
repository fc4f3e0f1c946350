"""The finance context consists of invoices and what is paid of them."""

from domain.finance.decide_invoice import INVOICE
from domain.message import Context

CONTEXT = Context(name="finance", deciders=(INVOICE,))
