"""The sales context consists of leads and what becomes of them."""

from domain.context import Context
from domain.sales.lead import LEAD

CONTEXT = Context(name="sales", deciders=(LEAD,))
