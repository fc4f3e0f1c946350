"""The rules for invoices before they are paid."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.finance.decide_invoice import INVOICE, decide_invoice
from domain.finance.invoice import ApproveInvoice, InvoiceReceived, LineItem, ReceiveInvoice, invoice_id
from domain.message import Command, Event, adapter
from domain.rejection import Kind
from tests.examples.finance import (
    APPROVE_INVOICE,
    APPROVED,
    CANCEL_INVOICE,
    CANCELLED,
    CATEGORISE_INVOICE,
    CATEGORISED,
    CORRECT_INVOICE,
    CORRECTED,
    DISPUTE_INVOICE,
    DISPUTED,
    PAID_IN_PART,
    RECEIVE_INVOICE,
    RECEIVED,
    RECORD_PAYMENT,
    REFUND_PAYMENT,
    REFUNDED,
    REJECT_INVOICE,
    REJECTED,
)
from tests.given_when_then import GIVEN, Rules

invoice = Rules(INVOICE)
NAME = "invoice 536365 of party 17850"
LATER = (
    CORRECT_INVOICE,
    CATEGORISE_INVOICE,
    APPROVE_INVOICE,
    REJECT_INVOICE,
    CANCEL_INVOICE,
    DISPUTE_INVOICE,
)


def received(*lines: tuple[str, str], number: str = "536365", party: str = "17850", tax: str = "0") -> InvoiceReceived:
    items = tuple(LineItem(product="p", quantity=Decimal(q), unit_price=Decimal(p)) for q, p in lines)
    command = replace(RECEIVE_INVOICE, number=number, party=party, lines=items, tax=Decimal(tax))
    (event,) = decide_invoice(command, None, GIVEN)
    assert isinstance(event, InvoiceReceived)
    return event


def test_new_invoice_is_received() -> None:
    invoice.given().when(RECEIVE_INVOICE).then(RECEIVED)


def test_receiving_the_same_document_again_changes_nothing_whatever_the_order_of_its_lines() -> None:
    invoice.given(RECEIVED).when(RECEIVE_INVOICE).then_nothing()
    turned = tuple(reversed(RECEIVE_INVOICE.lines))
    dated = replace(turned[-1], dated_at=RECEIVE_INVOICE.issue_date, quantity=Decimal("6.0"), product=" 85123A")
    invoice.given(RECEIVED).when(replace(RECEIVE_INVOICE, lines=(*turned[:-1], dated))).then_nothing()
    invoice.given(RECEIVED, CANCELLED).when(RECEIVE_INVOICE).then_nothing()


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"kind": "credit_note"}, "its kind is invoice, not credit_note"),
        ({"currency": "EUR"}, "its currency is GBP, not EUR"),
        ({"tax": Decimal("2.73")}, "its total is 16.32495000, not 16.33495000"),
        (
            {"lines": (*RECEIVE_INVOICE.lines, LineItem(product="gift", quantity=Decimal(1), unit_price=Decimal(0)))},
            "its number of lines is 2, not 3",
        ),
        ({"country": "France"}, "its total is the same, but not what its lines, dates or country say"),
        ({"due_date": None}, "its total is the same, but not what its lines, dates or country say"),
    ],
)
def test_receiving_a_number_of_the_same_party_with_other_content_is_refused(
    changes: dict[str, Any], difference: str
) -> None:
    invoice.given(RECEIVED).when(replace(RECEIVE_INVOICE, **changes)).then_refused(
        Kind.CONFLICT, f"{NAME} was received already, with other content: {difference}"
    )


def test_incoming_document_of_before_is_not_taken_for_an_outgoing_one_of_its_name() -> None:
    invoice.given(replace(RECEIVED, direction="in")).when(RECEIVE_INVOICE).then_refused(
        Kind.CONFLICT, f"{NAME} was received already, with other content: its direction is in, not out"
    )


def test_corrected_document_is_compared_by_its_right_content() -> None:
    invoice.given(RECEIVED, CORRECTED).when(replace(RECEIVE_INVOICE, due_date=None)).then_refused(
        Kind.CONFLICT,
        f"{NAME} was received already, with other content: its total is 20.02084170835, not 16.32495000",
    )


def test_net_is_the_exact_sum_of_the_lines() -> None:
    event = received(("3", "0.1"), ("0.3333", "0.0001"), ("-1", "0.05"), tax="0.0475")
    assert event.net == Decimal("0.25003333")
    assert event.total == Decimal("0.29753333")


def test_lines_without_price_with_negative_quantity_or_without_party_are_kept() -> None:
    event = received(("0", "2.55"), ("-3", "0"), ("1", "-11062.06"), party="")
    assert [(line.quantity, line.unit_price) for line in event.lines] == [
        (Decimal(0), Decimal("2.55")),
        (Decimal(-3), Decimal(0)),
        (Decimal(1), Decimal("-11062.06")),
    ]
    assert (event.party, event.net) == ("", Decimal("-11062.06"))


@pytest.mark.parametrize("number", ["536365", "C536365", "CONS-2026-001"])
def test_document_is_what_its_command_says_whatever_its_number(number: str) -> None:
    assert received(("1", "1"), number=number).kind == "invoice"
    note = replace(RECEIVE_INVOICE, number=number, kind="credit_note")
    invoice.given().when(note).then(replace(RECEIVED, number=number, kind="credit_note"))


def test_invoice_whose_number_begins_with_c_is_paid() -> None:
    receive = replace(RECEIVE_INVOICE, number="CONS-2026-001")
    pay = replace(RECORD_PAYMENT, number="CONS-2026-001")
    (event,) = INVOICE.decide(receive, None, GIVEN)
    paid = replace(PAID_IN_PART, invoice="17850:CONS-2026-001")
    invoice.given(event).when(pay).then(paid)


def test_prices_of_twelve_decimals_are_kept_and_summed_exactly() -> None:
    event = received(("1250.5", "0.0000166667"), ("744", "0.0416"), tax="0.0001")
    assert [(line.unit_price, line.exact_price) for line in event.lines] == [
        (Decimal(0), Decimal("0.0000166667")),
        (Decimal("0.0416"), None),
    ]
    assert (event.net, event.exact_net) == (Decimal("30.97124170"), Decimal("30.97124170835"))
    assert (event.total, event.exact_total) == (Decimal("30.97134170"), Decimal("30.97134170835"))


def test_cloud_invoice_is_paid_in_full() -> None:
    event = received(("1250.5", "0.0000166667"), ("744", "0.0416"))
    total = Decimal("30.97124170835")
    short = Decimal("30.97124170")
    paid = replace(
        PAID_IN_PART, amount=short, paid_total=short, status="PAID", exact_amount=total, exact_paid_total=total
    )
    invoice.given(event).when(replace(RECORD_PAYMENT, amount=total)).then(paid)
    invoice.given(event, paid).when(REFUND_PAYMENT).then(replace(REFUNDED, amount=short, exact_amount=total))
    invoice.given(event).when(replace(RECORD_PAYMENT, amount=total + Decimal("1e-16"))).then_refused(
        Kind.CONFLICT,
        "payment p1 of 30.9712417083500001 is more than the 30.97124170835 GBP still open on"
        " invoice 536365 of party 17850",
    )


def test_incoming_and_outgoing_document_of_one_party_and_number_are_two() -> None:
    incoming = replace(RECEIVE_INVOICE, direction="in")
    assert incoming.stream == "invoice-in:17850:536365"
    assert RECEIVE_INVOICE.stream == APPROVE_INVOICE.stream == "invoice-17850:536365"
    assert replace(APPROVE_INVOICE, direction="in").stream == incoming.stream
    assert replace(APPROVE_INVOICE, direction="out").stream == RECEIVE_INVOICE.stream


def test_command_names_the_incoming_invoice_that_is_not_known() -> None:
    invoice.given().when(replace(APPROVE_INVOICE, direction="in")).then_refused(
        Kind.NOT_FOUND, f"incoming {NAME} is not known"
    )


def test_incoming_invoice_of_before_direction_named_it_is_found_without_one() -> None:
    old = replace(RECEIVED, direction="in")
    invoice.given(old).when(APPROVE_INVOICE).then(APPROVED)
    invoice.given(old).when(replace(APPROVE_INVOICE, direction="out")).then_refused(
        Kind.NOT_FOUND, f"{NAME} is not known; the one of that name is incoming: leave out its direction"
    )


def test_greatest_line_is_summed_exactly() -> None:
    greatest = "99999999999999.9999"
    event = received((greatest, greatest), ("-1", "0.0001"))
    assert event.net == Decimal("9999999999999999979999999999.99990001")


def test_total_that_no_schema_holds_is_refused() -> None:
    greatest = Decimal("99999999999999.9999")
    lines = (LineItem(product="p", quantity=greatest, unit_price=greatest),) * 101
    invoice.given().when(replace(RECEIVE_INVOICE, lines=lines)).then_refused(
        Kind.INVALID,
        f"{NAME} comes to 1009999999999999997980000000002.72000101; "
        "a total has at most 30 digits before the decimal point, or 22 if it has more than 8 after it",
    )
    with_more_decimals = (
        *(LineItem(product="p", quantity=greatest, unit_price=Decimal(10) ** 8),) * 2,
        LineItem(product="p", quantity=Decimal(1), unit_price=Decimal("0.000000000001")),
    )
    invoice.given().when(replace(RECEIVE_INVOICE, lines=with_more_decimals, tax=Decimal(0))).then_refused(
        Kind.INVALID,
        f"{NAME} comes to 19999999999999999980000.000000000001; "
        "a total has at most 30 digits before the decimal point, or 22 if it has more than 8 after it",
    )


def test_unknown_invoice_is_not_found() -> None:
    for command in (*LATER, RECORD_PAYMENT, REFUND_PAYMENT):
        invoice.given().when(command).then_refused(Kind.NOT_FOUND, f"{NAME} is not known")


def test_invoice_of_an_unknown_party_is_named_so() -> None:
    command = replace(APPROVE_INVOICE, party="")
    invoice.given().when(command).then_refused(Kind.NOT_FOUND, "invoice 536365 of party unknown is not known")


def test_received_invoice_is_categorised() -> None:
    invoice.given(RECEIVED).when(CATEGORISE_INVOICE).then(CATEGORISED)


def test_categorising_the_same_twice_records_nothing() -> None:
    invoice.given(RECEIVED, CATEGORISED).when(CATEGORISE_INVOICE).then_nothing()


def test_category_of_an_approved_invoice_changes_without_its_status() -> None:
    invoice.given(RECEIVED, APPROVED).when(CATEGORISE_INVOICE).then(replace(CATEGORISED, status="APPROVED"))


def test_received_or_categorised_invoice_is_approved() -> None:
    invoice.given(RECEIVED).when(APPROVE_INVOICE).then(APPROVED)
    invoice.given(RECEIVED, CATEGORISED).when(APPROVE_INVOICE).then(APPROVED)


def test_approving_twice_records_nothing() -> None:
    invoice.given(RECEIVED, APPROVED).when(APPROVE_INVOICE).then_nothing()


def test_received_invoice_is_rejected() -> None:
    invoice.given(RECEIVED).when(REJECT_INVOICE).then(REJECTED)


def test_rejecting_twice_records_nothing() -> None:
    invoice.given(RECEIVED, REJECTED).when(REJECT_INVOICE).then_nothing()


def test_rejecting_an_approved_invoice_is_refused() -> None:
    invoice.given(RECEIVED, APPROVED).when(REJECT_INVOICE).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} was approved; cancel it instead"
    )


def test_approved_invoice_is_cancelled() -> None:
    invoice.given(RECEIVED, APPROVED).when(CANCEL_INVOICE).then(CANCELLED)


def test_cancelling_twice_records_nothing() -> None:
    invoice.given(RECEIVED, CANCELLED).when(CANCEL_INVOICE).then_nothing()


@pytest.mark.parametrize("command", [REJECT_INVOICE, CANCEL_INVOICE])
def test_invoice_with_payments_is_neither_rejected_nor_cancelled(command: Command) -> None:
    invoice.given(RECEIVED, PAID_IN_PART).when(command).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} has payments; refund them first"
    )


def test_invoice_is_disputed() -> None:
    invoice.given(RECEIVED).when(DISPUTE_INVOICE).then(DISPUTED)
    invoice.given(RECEIVED, APPROVED, PAID_IN_PART).when(DISPUTE_INVOICE).then(DISPUTED)


def test_disputing_twice_records_nothing() -> None:
    invoice.given(RECEIVED, DISPUTED).when(DISPUTE_INVOICE).then_nothing()


def test_approving_a_disputed_invoice_ends_the_dispute() -> None:
    invoice.given(RECEIVED, APPROVED, DISPUTED).when(APPROVE_INVOICE).then(APPROVED)


def test_dispute_about_a_paid_part_ends_where_it_began() -> None:
    invoice.given(RECEIVED, APPROVED, PAID_IN_PART, DISPUTED).when(APPROVE_INVOICE).then(
        replace(APPROVED, status="PART_PAID")
    )


@pytest.mark.parametrize("command", LATER)
@pytest.mark.parametrize(("end", "status"), [(REJECTED, "REJECTED"), (CANCELLED, "CANCELLED")])
def test_rejected_or_cancelled_invoice_stays_so(command: Command, end: Event, status: str) -> None:
    asked = invoice.given(RECEIVED, end).when(command)
    if (command, end) in ((REJECT_INVOICE, REJECTED), (CANCEL_INVOICE, CANCELLED)):
        asked.then_nothing()
    else:
        asked.then_refused(Kind.NOT_ALLOWED, f"{NAME} is {status}")


TEXT = st.text(alphabet=st.sampled_from("aCin:/%-~ é漢"), max_size=6)


NAMED = st.tuples(TEXT, TEXT.filter(bool), st.sampled_from([None, "in"]))


@given(NAMED, NAMED)
def test_two_documents_of_other_party_number_or_direction_never_share_a_stream(one: Any, other: Any) -> None:
    assert (invoice_id(*one) == invoice_id(*other)) == (one == other)


def test_pairs_that_differ_only_in_where_the_colon_is_are_two_invoices() -> None:
    assert invoice_id("a:b", "c") != invoice_id("a", "b:c")
    assert invoice_id("", "536365") == ":536365"


def payload(**changes: Any) -> dict[str, Any]:
    line = {"product": "85123A", "quantity": "6", "unit_price": "2.55"}
    return {
        "number": "536365",
        "direction": "out",
        "issue_date": "2010-12-01T08:26:00Z",
        "currency": "GBP",
        "lines": [line | changes.pop("line", {})],
        **changes,
    }


def test_invoice_without_party_tax_country_and_due_date_is_valid() -> None:
    command = adapter(ReceiveInvoice).validate_python(payload())
    assert (command.party, command.tax, command.country, command.due_date) == ("", Decimal(0), "", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": ""},
        {"number": "1\n2"},
        {"party": "p" * 101},
        {"direction": "sideways"},
        {"currency": "gbp"},
        {"issue_date": "2010-12-01"},
        {"issue_date": "2010-12-01T08:26:00"},
        {"issue_date": 1291191960},
        {"lines": []},
        {"lines": [{"product": "x", "quantity": "1", "unit_price": "1"}] * 10_001},
        {"tax": "0.00001"},
        {"tax": "NaN"},
        {"line": {"quantity": "0.00001"}},
        {"line": {"quantity": "100000000000000"}},
        {"line": {"unit_price": "2.5555555555555"}},
        {"line": {"unit_price": "100000000000000"}},
        {"line": {"description": "a\0b"}},
        {"line": {"product": "two\nlines"}},
        {"kind": "receipt"},
        {"number": " "},
        {"number": "5\u200b"},
        {"party": "\u00a0 "},
        {"party": "\ufeffAnn"},
        {"line": {"unit_price": "Infinity"}},
        {"line": {"unit_price": "2,55"}},
    ],
)
def test_invoice_that_no_schema_holds_exactly_is_invalid(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        adapter(ReceiveInvoice).validate_python(payload(**changes))


def test_party_and_number_are_trimmed_and_composed() -> None:
    command = adapter(ReceiveInvoice).validate_python(payload(number=" 536365\t", party="Cafe\u0301 "))
    assert (command.number, command.party) == ("536365", "Caf\u00e9")
    assert command.stream == adapter(ApproveInvoice).validate_python({"number": "536365", "party": "Café"}).stream


def test_description_may_have_line_breaks_and_tabs() -> None:
    command = adapter(ReceiveInvoice).validate_python(payload(line={"description": "two\r\nlines\tand a tab"}))
    assert command.lines[0].description == "two\r\nlines\tand a tab"
