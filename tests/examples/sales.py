"""One valid example of every command and event of the sales context."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.sales import customer, lead, lead_to_cash, processes, quote, sales_team

CONTACT: Mapping[str, Any] = {
    "source": "referral",
    "company": "Acme",
    "contact_name": "Ann",
    "email": "ann@acme.example",
    "phone": None,
    "industry": "finance",
    "company_size": 120,
    "job_title": "CTO",
}
FOUND_OUT: Mapping[str, Any] = {
    "company": None,
    "contact_name": None,
    "email": None,
    "phone": "+49 30 1234",
    "industry": None,
    "company_size": 1200,
    "job_title": None,
    "country": "DE",
}
CAPTURE_LEAD = lead.CaptureLead(lead_id="l1", **CONTACT)
ENRICH_LEAD = lead.EnrichLead(lead_id="l1", **FOUND_OUT)
SCORE_LEAD = lead.ScoreLead(lead_id="l1", similarity=5)
ASSIGN_LEAD = lead.AssignLead(lead_id="l1", to="bob", reason="knows finance")
LOG_ACTIVITY = lead.LogActivity(lead_id="l1", kind="call", note="asked for ten seats")
QUALIFY_LEAD = lead.QualifyLead(lead_id="l1", note="has a budget")
QUOTE_LEAD = lead.QuoteLead(lead_id="l1", quote_id="q1")
CONVERT_LEAD = lead.ConvertLead(lead_id="l1", customer_id="c1")
LOSE_LEAD = lead.LoseLead(lead_id="l1", reason="no budget")

CAPTURED = lead.LeadCaptured(**CONTACT)
ENRICHED = lead.LeadEnriched(**FOUND_OUT)
SCORED = lead.LeadScored(
    score=100,
    tier="hot",
    factors={
        "email": 10,
        "phone": 0,
        "company": 10,
        "job_title": 10,
        "industry_known": 5,
        "source": 25,
        "industry": 20,
        "size": 15,
        "similarity": 5,
    },
)
ASSIGNED = lead.LeadAssigned(to="bob", reason="knows finance")
ACTIVITY_LOGGED = lead.LeadActivityLogged(kind="call", note="asked for ten seats")
CONTACTED = lead.LeadContacted(kind="call")
QUALIFIED = lead.LeadQualified(note="has a budget", quote_id=None, customer_id=None)
QUOTED = lead.LeadQuoted(quote_id="q1")
CONVERTED = lead.LeadConverted(
    customer_id="c1",
    is_new=True,
    assigned_to="bob",
    company="Acme",
    contact_name="Ann",
    email="ann@acme.example",
    phone=None,
    industry="finance",
    country=None,
)
LOST = lead.LeadLost(reason="no budget")

CUSTOMER: Mapping[str, Any] = {
    "name": "Acme",
    "contact_name": "Ann",
    "email": "ann@acme.example",
    "phone": None,
    "industry": "finance",
    "country": "DE",
}
CREATE_CUSTOMER = customer.CreateCustomer(customer_id="c1", **CUSTOMER, lead_id="l1")
UPDATE_CUSTOMER = customer.UpdateCustomer(customer_id="c1", name="Acme Ltd", email="ann@acme.example")
CUSTOMER_CREATED = customer.CustomerCreated(**CUSTOMER, lead_id="l1")
CUSTOMER_UPDATED = customer.CustomerUpdated(**(dict.fromkeys(CUSTOMER) | {"name": "Acme Ltd"}))

VALID_UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
DRAFT_QUOTE = quote.DraftQuote(
    quote_id="q1",
    lead_id="l1",
    customer_id="c1",
    lines=(
        quote.QuoteItem(product="seat", description="a year", quantity=Decimal(10), unit_price=Decimal("99.90")),
        quote.QuoteItem(product="discount", quantity=Decimal("0.5"), unit_price=Decimal("-10.0001")),
    ),
    currency="EUR",
    tax=Decimal("189.81"),
    country="Germany",
    valid_until=VALID_UNTIL,
    payment_days=14,
)
ISSUE_QUOTE = quote.IssueQuote(quote_id="q1")
ACCEPT_QUOTE = quote.AcceptQuote(quote_id="q1")
VOID_QUOTE = quote.VoidQuote(quote_id="q1", reason="wrong price")
EXPIRE_QUOTE = quote.ExpireQuote(quote_id="q1")

DEAL: Mapping[str, Any] = {"lead_id": "l1", "customer_id": "c1"}
_LINES: tuple[Mapping[str, Any], ...] = (
    {"product": "seat", "description": "a year", "quantity": Decimal(10), "unit_price": Decimal("99.90")},
    {"product": "discount", "description": "", "quantity": Decimal("0.5"), "unit_price": Decimal("-10.0001")},
)
_TERMS: Mapping[str, Any] = {
    **DEAL,
    "net": Decimal("993.99995"),
    "tax": Decimal("189.81"),
    "total": Decimal("1183.80995"),
    "currency": "EUR",
    "country": "Germany",
    "valid_until": VALID_UNTIL,
    "payment_days": 14,
}
QUOTE_DRAFTED = quote.QuoteDrafted(**_TERMS, lines=tuple(quote.QuoteLine(**line) for line in _LINES))
QUOTE_ISSUED = quote.QuoteIssued(**_TERMS, lines=tuple(quote.IssuedLine(**line) for line in _LINES))
QUOTE_ACCEPTED = quote.QuoteAccepted(**_TERMS, lines=tuple(quote.AcceptedLine(**line) for line in _LINES))
QUOTE_VOIDED = quote.QuoteVoided(**DEAL, reason="wrong price")
QUOTE_EXPIRED = quote.QuoteExpired(**DEAL, valid_until=VALID_UNTIL)

REGISTER_REPRESENTATIVE = sales_team.RegisterRepresentative(
    representative_id="bob", expertise=("finance", "retail"), countries=("DE",)
)
CHANGE_AVAILABILITY = sales_team.ChangeAvailability(representative_id="bob", is_available=False, reason="on holiday")
ROUTE_LEAD = sales_team.RouteLead(lead_id="l1")
RECORD_WIN = sales_team.RecordWin(representative_id="bob", lead_id="l1")
REPRESENTATIVE_REGISTERED = sales_team.RepresentativeRegistered(
    representative_id="bob", expertise=("finance", "retail"), countries=("DE",), is_available=True
)
AVAILABILITY_CHANGED = sales_team.AvailabilityChanged(representative_id="bob", is_available=False, reason="on holiday")
LEAD_ROUTED = sales_team.LeadRouted(lead_id="l1", representative_id="bob", reason="knows finance", leads=1)
WIN_RECORDED = sales_team.WinRecorded(representative_id="bob", lead_id="l1", wins=1)

NOTIFICATION_NOTED = processes.NotificationNoted(to="bob", reason="knows finance")
DEAL_OPENED = lead_to_cash.DealOpened(**DEAL)
DEAL_ADVANCED = lead_to_cash.DealAdvanced(step="paid", payment_id="p1", failure="")
