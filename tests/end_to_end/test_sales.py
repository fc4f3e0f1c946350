"""Leads over HTTP, from the web form to the money, as a person sees them on the server as users run it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.end_to_end.conftest import Server
from tests.waiting import eventually

LEAD: Mapping[str, Any] = {"source": "referral", "company": "Acme", "email": "ann@acme.de", "industry": "finance"}
LINE = {"product": "seat", "quantity": "10", "unit_price": "99.90"}


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def shown(server: Server, path: str, **expected: Any) -> Mapping[str, Any]:
    """Return the first row that says all this, once a view shows it."""

    def found() -> list[Mapping[str, Any]]:
        with server.client() as client:
            answer = client.get(path)
        rows = answer.json()["rows"] if answer.is_success else []
        return [row for row in rows if expected.items() <= row.items()]

    row: Mapping[str, Any] = eventually(found)[0]
    return row


def test_lead_goes_from_the_form_to_the_money_by_itself(server: Server) -> None:
    server.command("sales.RegisterRepresentative", representative_id="bob", expertise=["finance"])
    server.command("sales.CaptureLead", lead_id="l1", **LEAD)
    server.command("sales.QualifyLead", lead_id="l1", offer={"quote_id": "q1", "lines": [LINE], "currency": "EUR"})
    server.command("sales.AcceptQuote", quote_id="q1")
    payment = {"number": "Q-q1", "party": "l1", "payment_id": "p1", "amount": "999", "method": "bank"}
    server.command("finance.RecordPayment", **payment)
    deal = eventually(lambda: server.get("/v1/processes", name="lead_to_cash", step="converted")["rows"])[0]
    assert (deal["instance"], deal["state"], deal["last_error"]) == ("l1:Q-q1", "IDLE", "")
    customer = shown(server, "/v1/customers/l1", name="Acme")
    assert (customer["email"], customer["lead_id"]) == ("ann@acme.de", "l1")
    shown(server, "/v1/leads/l1", status="converted", score=70, tier="hot", assigned_to="bob", country="DE")
    shown(server, "/v1/quotes/q1", status="ACCEPTED", total="999.0000", invoice_number="Q-q1")
    shown(server, "/v1/invoices/l1:Q-q1", status="PAID")
    shown(server, "/v1/representatives/bob", leads=1, wins=1)
    shown(server, "/v1/analytics/funnel", source="referral", converted=1, conversion_rate=1.0)
    shown(server, "/v1/analytics/quoted", source="referral", currency="EUR", accepted_value="999.0000")


def test_quote_that_nobody_accepts_and_invoice_that_nobody_pays_end_by_themselves(server: Server) -> None:
    quote = {"quote_id": "late", "customer_id": "c1", "lines": [LINE], "currency": "EUR"}
    server.command("sales.DraftQuote", **quote, valid_until=in_seconds(2))
    server.command("sales.IssueQuote", quote_id="late")
    due = {"issue_date": in_seconds(-99_999), "due_date": in_seconds(-86_400)}
    invoice = {"number": "1", "party": "late", "direction": "out", "currency": "EUR", "lines": [LINE], **due}
    server.command("finance.ReceiveInvoice", **invoice)
    assert eventually(lambda: server.get("/v1/quotes", status="EXPIRED")["rows"])[0]["id"] == "late"
    assert eventually(lambda: server.get("/v1/invoices", status="OVERDUE")["rows"])[0]["id"] == "late:1"


def test_what_fails_is_undone_and_says_why(server: Server) -> None:
    server.command("sales.CaptureLead", lead_id="l2", **LEAD)
    server.command("sales.DraftQuote", quote_id="q2", lead_id="l2", lines=[LINE], currency="EUR")
    server.command("sales.IssueQuote", quote_id="q2")
    deal = eventually(lambda: server.get("/v1/processes", name="lead_to_cash", step="undone")["rows"])[0]
    assert (deal["instance"], deal["last_error"]) == ("l2:Q-q2", "lead l2 is new; qualify it first")
    shown(server, "/v1/quotes/q2", status="VOIDED")
