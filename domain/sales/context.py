"""The sales context consists of leads, those who look after them, quotes, and the customers that leads become."""

from domain.context import Context
from domain.sales.customer import CUSTOMER
from domain.sales.decide_lead import LEAD
from domain.sales.lead_to_cash import LEAD_TO_CASH
from domain.sales.processes import LEAD_CONVERSION, LEAD_INTAKE
from domain.sales.quote import QUOTE
from domain.sales.sales_team import SALES_TEAM

CONTEXT = Context(
    name="sales",
    deciders=(LEAD, CUSTOMER, QUOTE, SALES_TEAM),
    processes=(LEAD_INTAKE, LEAD_CONVERSION, LEAD_TO_CASH),
)
