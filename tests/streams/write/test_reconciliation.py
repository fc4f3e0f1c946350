"""Lines of a bank's statement in the writer: each ends at its invoice, or is flagged, in the turn that records it."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.finance.context import CONTEXT
from domain.finance.invoice import ApproveInvoice, RefundPayment
from domain.finance.transaction import AssignTransaction, IgnoreTransaction, RecordTransaction
from tests.streams.kit import accepted, register_tenant, submission
from tests.streams.write.saga import NOON, new_world
from tests.streams.write.test_finance import ONE, Books, pay, receive

LINE: dict[str, Any] = {
    "account": "bank",
    "booked_at": NOON,
    "currency": "EUR",
    "party": "ann",
    "reference": "invoice 1",
}


def line(amount: int, id_: str = "b1", **more: Any) -> RecordTransaction:
    return RecordTransaction(**{**LINE, **more}, transaction_id=id_, amount=Decimal(amount))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    yield from new_world(tmp_path, *CONTEXT.processes, kind=Books)


def ends(books: Books, id_: str = "b1") -> tuple[str, Any]:
    last = books.history(f"transaction-{id_}")[-1]
    return last.type, last.data.get("reason") or last.data.get("payment_id")


def test_payment_that_is_recorded_already_is_found_in_the_statement(books: Books) -> None:
    books.do(receive(10), pay(4), pay(6, "p2"), line(6))
    assert ends(books) == ("transaction.reconciled", "p2")
    assert books.types("invoice-ann:1") == [
        *("invoice.received", "payment.recorded", "payment.recorded", "payment.reconciled")
    ]


def test_payment_that_nobody_recorded_pays_its_invoice_once_across_a_restart(books: Books) -> None:
    books.do(receive(10), line(10))
    assert ends(books) == ("transaction.reconciled", "b1")
    assert books.history("invoice-ann:1")[-1].data["status"] == "PAID"
    books.restart()
    # the file of the bank comes again
    books.do(line(10))
    assert books.types("invoice-ann:1") == ["invoice.received", "payment.recorded", "payment.reconciled"]
    assert books.types("transaction-b1") == ["transaction.recorded", "transaction.reconciled"]
    books.do(line(10, "b2"))
    assert ends(books, "b2") == (
        "transaction.flagged",
        "invoice 1 of party ann has 0.0000 EUR open, and no payment of 10.0000 that the bank does not have yet",
    )


def test_what_is_paid_with_another_number_is_assigned_by_a_person(books: Books) -> None:
    books.do(receive(10), line(4, reference="order 77"))
    assert ends(books) == ("transaction.flagged", "none of these invoices is known: ann:77")
    books.do(AssignTransaction(**ONE, transaction_id="b1"))
    assert ends(books) == ("transaction.reconciled", "b1")
    assert books.history("invoice-ann:1")[-1].data["status"] == "PART_PAID"
    books.do(RefundPayment(**ONE, payment_id="b1"))
    assert books.history("invoice-ann:1")[-1].data["paid_total"] == 0


def test_what_paid_the_wrong_invoice_pays_another_after_its_payment_was_given_back(books: Books) -> None:
    books.do(receive(10), receive(10, number="2"), line(10))
    books.do(RefundPayment(**ONE, payment_id="b1"))
    assert ends(books) == ("transaction.reopened", "invoice ann:1 gave its payment back")
    books.restart()
    books.do(AssignTransaction(number="2", party="ann", transaction_id="b1"))
    assert ends(books) == ("transaction.reconciled", "b1")
    assert books.history("invoice-ann:2")[-1].data["status"] == "PAID"
    assert books.history("invoice-ann:1")[-1].data["status"] == "RECEIVED"


def test_bill_that_is_far_from_what_its_party_usually_bills_is_flagged(books: Books) -> None:
    books.do(*(receive(100 + n, direction="in", number=f"usual-{n}") for n in range(8)))
    books.restart()
    books.do(receive(105, direction="in", number="same"), receive(900, direction="in", number="more"))
    assert "invoice.amount.flagged" not in books.types("invoice-in:ann:same")
    last = books.history("invoice-in:ann:more")[1]
    said = "900.0000 is far above 104.0000, the middle of the latest 9 of this party"
    assert (last.type, last.data["flag"], last.data["reason"]) == ("invoice.amount.flagged", "HIGH", said)
    # another party is another matter
    books.do(receive(900, direction="in", number="more", party="bob"))
    assert books.types("invoice-in:bob:more") == ["invoice.received"]


def test_what_went_out_pays_an_incoming_invoice_that_is_approved(books: Books) -> None:
    incoming = {**ONE, "direction": "in"}
    books.do(receive(10, direction="in"), line(-10))
    assert ends(books) == ("transaction.flagged", "incoming invoice 1 of party ann is RECEIVED; approve it first")
    books.do(ApproveInvoice(**incoming), AssignTransaction(**incoming, transaction_id="b1"))
    assert ends(books) == ("transaction.reconciled", "b1")
    assert books.history("invoice-in:ann:1")[-1].data["status"] == "PAID"


def test_what_pays_no_invoice_stays_ignored(books: Books) -> None:
    books.do(line(-5, reference="fee"), IgnoreTransaction(transaction_id="b1", reason="a fee"))
    books.restart()
    assert books.tick(timedelta(days=30)) == 0
    assert books.types("transaction-b1") == ["transaction.recorded", "transaction.flagged", "transaction.ignored"]


def test_other_tenants_invoice_is_never_paid(books: Books) -> None:
    books.writer.write([register_tenant("bolt")])
    [reply] = books.writer.write([submission(receive(10), tenant="bolt")])
    assert accepted(reply)
    books.do(line(10))
    assert ends(books) == ("transaction.flagged", "none of these invoices is known: ann:1")
    assert [event.type for event in books.history("invoice-ann:1", "bolt")] == ["invoice.received"]
