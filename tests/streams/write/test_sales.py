"""Leads, quotes and their invoices with the writer: each step once, and all that was done undone where one fails."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.finance.invoice import CancelInvoice, LineItem, ReceiveInvoice, RecordPayment
from domain.message import Command
from domain.sales.context import CONTEXT
from domain.sales.lead import CaptureLead, LoseLead, QualifyLead
from domain.sales.quote import AcceptQuote, DraftQuote, IssueQuote, QuoteItem
from domain.sales.sales_team import ChangeAvailability, RegisterRepresentative
from streams.ports import Reply
from tests.streams.kit import accepted, register_tenant, submission
from tests.streams.write.saga import NOON, World

LINE = QuoteItem(product="seat", quantity=Decimal(10), unit_price=Decimal("99.90"))
OFFER = DraftQuote(quote_id="q1", lines=(LINE,), currency="EUR", tax=Decimal("1.00"))
TOTAL = Decimal("1000.00")

CAPTURE = CaptureLead(lead_id="l1", source="referral", company="Acme", email="ann@acme.de", industry="finance")
QUALIFY = QualifyLead(lead_id="l1", offer=OFFER)
ACCEPT = AcceptQuote(quote_id="q1")


def payment(id_: str, amount: Decimal) -> RecordPayment:
    return RecordPayment(number="Q-q1", party="l1", payment_id=id_, amount=amount, method="bank")


PAY_IN_PART, PAY_THE_REST = payment("p1", Decimal(400)), payment("p2", Decimal(600))
HAPPY = (CAPTURE, QUALIFY, ACCEPT, PAY_IN_PART, PAY_THE_REST)

DEAL = "lead_to_cash-l1:Q-q1"
BILL = "invoice-l1:Q-q1"


class Sales(World):
    def do(self, *commands: Command) -> None:
        for command in commands:
            assert accepted(self.tell(command)), command

    def tell(self, command: Command, id_: str | None = None) -> Reply:
        [reply] = self.writer.write([submission(command, id_=id_)])
        return reply

    def steps(self) -> list[str]:
        """Return how the deal went, and what is on its way or failed."""
        return [event.data["step"] for event in self.history(DEAL) if event.type == "deal.advanced"]


@pytest.fixture
def sales(tmp_path: Path) -> Iterator[Sales]:
    world = Sales(tmp_path, *CONTEXT.processes)
    world.writer.write([register_tenant("demo")])
    world.do(RegisterRepresentative(representative_id="bob", expertise=("finance",)))
    yield world
    world.log.close()


# --- intake


def test_captured_lead_is_enriched_scored_and_given_to_somebody_in_one_transaction(sales: Sales) -> None:
    sales.do(CAPTURE)
    assert sales.types("lead-l1") == ["lead.captured", "lead.enriched", "lead.scored", "lead.assigned"]
    score = sales.history("lead-l1")[2].data
    assert (score["score"], score["tier"]) == (10 + 10 + 5 + 25 + 20, "hot")
    assert sales.history("lead-l1")[3].data["to"] == "bob"
    assert sales.types("lead_intake-l1")[-1] == "lead.notification.noted"


def test_lead_waits_until_somebody_is_available_and_is_given_once(sales: Sales) -> None:
    sales.do(ChangeAvailability(representative_id="bob", is_available=False), CAPTURE)
    assert "lead.assigned" not in sales.types("lead-l1")
    sales.restart()
    sales.tick(timedelta(minutes=5))
    assert "lead.assigned" not in sales.types("lead-l1")
    sales.do(ChangeAvailability(representative_id="bob", is_available=True))
    sales.tick(timedelta(minutes=10))
    assert sales.types("lead-l1").count("lead.assigned") == 1
    assert sales.writer.wait_s() == float("inf")


def test_lead_that_is_lost_waits_for_nobody(sales: Sales) -> None:
    sales.do(ChangeAvailability(representative_id="bob", is_available=False), CAPTURE, LoseLead(lead_id="l1"))
    assert sales.writer.wait_s() == float("inf")


# --- lead to cash


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_lead_becomes_a_paying_customer_with_each_step_once(sales: Sales, *, restarted: bool) -> None:
    for number, command in enumerate(HAPPY):
        for _ in range(2):
            assert accepted(sales.tell(command, f"step-{number}"))
            if restarted:
                sales.restart()
    assert sales.types("quote-q1") == ["quote.drafted", "quote.issued", "quote.accepted"]
    assert sales.types(BILL) == ["invoice.received", "payment.recorded", "payment.recorded"]
    assert sales.types("lead-l1")[-3:] == ["lead.qualified", "lead.quoted", "lead.converted"]
    assert sales.types("customer-l1") == ["customer.created"]
    assert sales.history("sales_team-all")[-1].data == {"representative_id": "bob", "lead_id": "l1", "wins": 1}
    assert sales.steps() == ["invoiced", "part_paid", "paid", "converted"]
    assert sales.history(BILL)[0].data["due_date"] == NOON + timedelta(days=30)
    assert sales.writer.wait_s() == float("inf")
    assert {event.data["standing"] for event in (sales.history(DEAL)[-2], sales.history("lead_intake-l1")[-2])} == {
        "IDLE"
    }


def test_quote_of_a_person_goes_the_same_way(sales: Sales) -> None:
    draft = DraftQuote(quote_id="q1", lead_id="l1", lines=(LINE,), currency="EUR", tax=Decimal("1.00"))
    sales.do(CAPTURE, QualifyLead(lead_id="l1"), draft, IssueQuote(quote_id="q1"), ACCEPT, PAY_IN_PART, PAY_THE_REST)
    assert sales.steps()[-1] == "converted"


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_quote_that_nobody_accepts_expires_by_itself_and_is_not_accepted_any_more(
    sales: Sales, *, restarted: bool
) -> None:
    sales.do(CAPTURE, QUALIFY)
    sales.tick(timedelta(days=30) - timedelta(seconds=1))
    if restarted:
        sales.restart()
    assert sales.types("quote-q1")[-1] == "quote.issued"
    sales.tick(timedelta(seconds=1))
    assert sales.types("quote-q1")[-1] == "quote.expired"
    assert sales.steps() == ["expired"]
    assert not accepted(sales.tell(ACCEPT))
    assert sales.writer.wait_s() == float("inf")


# --- a refusal at each step


def test_quote_id_that_is_taken_leaves_the_lead_qualified(sales: Sales) -> None:
    other = DraftQuote(quote_id="q1", customer_id="c9", lines=(LINE,), currency="EUR")
    sales.do(other, CAPTURE, QUALIFY)
    assert sales.types("lead-l1")[-1] == "lead.qualified"
    assert sales.history(DEAL)[-1].data["reason"] == "quote q1 is drafted already"
    assert sales.types("quote-q1") == ["quote.drafted"]


def test_quote_for_a_lead_that_is_not_qualified_is_voided(sales: Sales) -> None:
    draft = DraftQuote(quote_id="q1", lead_id="l1", lines=(LINE,), currency="EUR")
    sales.do(CAPTURE, draft, IssueQuote(quote_id="q1"))
    assert sales.types("quote-q1") == ["quote.drafted", "quote.issued", "quote.voided"]
    assert sales.history("quote-q1")[-1].data["reason"] == "lead l1 is new; qualify it first"
    assert sales.steps() == ["undoing", "undone"]
    assert sales.writer.wait_s() == float("inf")


def test_invoice_that_is_refused_voids_the_accepted_quote(sales: Sales) -> None:
    taken = ReceiveInvoice(
        number="Q-q1",
        party="l1",
        direction="out",
        issue_date=NOON,
        lines=(LineItem(product="p", quantity=Decimal(1), unit_price=Decimal(1)),),
        currency="EUR",
    )
    sales.do(taken, CAPTURE, QUALIFY, ACCEPT)
    assert sales.types("quote-q1")[-1] == "quote.voided"
    assert sales.types(BILL) == ["invoice.received"]
    assert sales.steps() == ["undoing", "undone"]


def test_lead_that_was_lost_before_the_payment_gets_its_money_back(sales: Sales) -> None:
    sales.do(CAPTURE, QUALIFY, ACCEPT, PAY_IN_PART, LoseLead(lead_id="l1"), PAY_THE_REST)
    assert sales.types(BILL) == [
        "invoice.received",
        "payment.recorded",
        "payment.recorded",
        "payment.refunded",
        "payment.refunded",
        "invoice.cancelled",
    ]
    assert sales.types("quote-q1")[-1] == "quote.voided"
    assert sales.types("customer-l1") == []
    assert sales.steps() == ["invoiced", "part_paid", "paid", "undoing", "undone"]
    assert sales.history(DEAL)[-1].data["failure"] == "lead l1 is lost"
    assert sales.history(BILL)[-2].data["paid_total"] == 0


def test_invoice_that_a_person_cancels_voids_the_quote(sales: Sales) -> None:
    sales.do(CAPTURE, QUALIFY, ACCEPT, CancelInvoice(number="Q-q1", party="l1", reason="written twice"))
    assert sales.types("quote-q1")[-1] == "quote.voided"
    assert sales.steps() == ["invoiced", "cancelled", "undoing", "undone"]
    assert not accepted(sales.tell(PAY_IN_PART))


def test_whatever_fails_is_undone_once_when_the_last_command_is_repeated(sales: Sales) -> None:
    sales.do(CAPTURE, QUALIFY, ACCEPT, PAY_IN_PART, LoseLead(lead_id="l1"))
    for _ in range(2):
        assert accepted(sales.tell(PAY_THE_REST, "once"))
        sales.restart()
    assert sales.types(BILL).count("payment.refunded") == 2
    assert sales.types(BILL).count("invoice.cancelled") == sales.types("quote-q1").count("quote.voided") == 1
