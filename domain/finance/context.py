"""The finance context consists of invoices and what is paid of them."""

from domain.context import Context
from domain.finance.decide_invoice import INVOICE

CONTEXT = Context(name="finance", deciders=(INVOICE,))
