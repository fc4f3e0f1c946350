"""An invoice as a document."""

from dataclasses import replace
from decimal import Decimal

from domain.message import Event
from projections.finance.invoice_document import document_of
from schemas.envelope import Envelope
from tests.examples import Place, envelope_of
from tests.examples.finance import CORRECTED, PAID_IN_PART, RECEIVED, REFUNDED


def envelopes(*events: Event) -> list[Envelope]:
    return [envelope_of(event, Place(version=version)) for version, event in enumerate(events, 1)]


def test_it_has_lines_with_amounts_payments_and_what_is_left() -> None:
    document = document_of(envelopes(RECEIVED, PAID_IN_PART))
    assert document["due_date"] == "2010-12-31T00:00:00.000000Z"
    assert (document["total"], document["paid_total"], document["open"]) == ("16.32495000", "10.0000", "6.32495000")
    assert [(line["product"], line["quantity"], line["amount"]) for line in document["lines"]] == [
        ("85123A", "6", "15.3000"),
        ("71053", "-0.5", "-1.69505000"),
    ]
    [payment] = document["payments"]
    assert (payment["payment_id"], payment["amount"], payment["refunded_at"]) == ("p1", "10.0000", None)
    assert document["status"] == "PART_PAID"


def test_a_refund_is_shown_at_its_payment() -> None:
    document = document_of(envelopes(RECEIVED, PAID_IN_PART, replace(REFUNDED, paid_total=Decimal(0))))
    assert document["payments"][0]["refunded_at"] is not None
    assert (document["paid_total"], document["open"]) == ("0.0000", document["total"])


def test_parts_of_a_payment_that_were_given_back_are_added_up() -> None:
    first = replace(REFUNDED, amount=Decimal("2.5"), paid_total=Decimal("7.5"), status="PART_PAID")
    second = replace(first, amount=Decimal(1), paid_total=Decimal("6.5"))
    [payment] = document_of(envelopes(RECEIVED, PAID_IN_PART, first, second))["payments"]
    assert (payment["amount"], payment["refunded"]) == ("10.0000", "3.5000")
    assert document_of(envelopes(RECEIVED, PAID_IN_PART))["payments"][0]["refunded"] == "0.0000"


def test_a_correction_is_the_content_from_then_on() -> None:
    document = document_of(envelopes(RECEIVED, CORRECTED))
    assert len(document["lines"]) == len(CORRECTED.lines)
    assert document["status"] == CORRECTED.status
