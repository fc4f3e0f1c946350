"""What a party usually bills or pays, and which amount is far from that."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from domain.finance.amount_watch import AMOUNT_WATCH
from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import InvoiceCorrected
from domain.finance.transaction import TRANSACTION
from domain.finance.usual_amounts import (
    LATEST,
    LEAST,
    USUAL_AMOUNTS,
    AmountFlag,
    Kind,
    UsualAmounts,
    evolve_amounts,
    unusual,
    usual_amounts_stream,
)
from domain.given import Given
from domain.process import Ask
from tests.examples.finance import (
    AMOUNT_NOTED,
    CORRECT_INVOICE,
    CORRECTED,
    INVOICE_AMOUNT_FLAGGED,
    NOTE_AMOUNT,
    RECEIVE_INVOICE,
    RECEIVED,
    RECORD_TRANSACTION,
    TRANSACTION_AMOUNT_FLAGGED,
    TRANSACTION_RECORDED,
)
from tests.given_when_then import GIVEN, Rules, Runs

amounts, invoice, transaction = Rules(USUAL_AMOUNTS), Rules(INVOICE), Rules(TRANSACTION)


def of(*said: object) -> UsualAmounts:
    return UsualAmounts(amounts={f"invoice-{n}": Decimal(str(amount)) for n, amount in enumerate(said)})


def flag(known: UsualAmounts | None, amount: object, subject: str = "new") -> AmountFlag | None:
    found = unusual(known, subject, Decimal(str(amount)))
    return None if found is None else found.flag


def test_amount_is_noted_once_and_a_later_one_takes_its_place() -> None:
    amounts.given().when(NOTE_AMOUNT).then(AMOUNT_NOTED)
    amounts.given(AMOUNT_NOTED).when(NOTE_AMOUNT).then_nothing()
    other = replace(AMOUNT_NOTED, amount=Decimal("17.00"))
    amounts.given(AMOUNT_NOTED).when(replace(NOTE_AMOUNT, amount=Decimal("17.00"))).then(other)
    state = evolve_amounts(evolve_amounts(None, AMOUNT_NOTED), other)
    assert dict(state.amounts) == {"invoice-in:17850:7": Decimal("17.00")}


def test_only_the_latest_amounts_are_kept() -> None:
    state: UsualAmounts | None = None
    for n in range(LATEST + 10):
        state = evolve_amounts(state, replace(AMOUNT_NOTED, subject=f"invoice-{n}"))
    assert state is not None
    assert list(state.amounts) == [f"invoice-{n}" for n in range(10, LATEST + 10)]


def test_nothing_is_unusual_before_enough_is_known() -> None:
    assert flag(None, 1_000_000) is None
    assert flag(of(*[100] * (LEAST - 1)), 1_000_000) is None
    assert flag(of(*[100] * LEAST), 1_000_000) is AmountFlag.HIGH


@pytest.mark.parametrize(
    ("known", "usual", "far"),
    [
        ([100] * 8, [50, 100, 150], [49.99, 150.01, 1, 10_000]),
        # the middle is 100, and half of them are at most 10 away
        ([60, 80, 90, 100, 100, 110, 120, 140], [20, 180], [19.99, 180.01, 1_000]),
        # a few odd ones move neither the middle nor the distance
        ([100] * 6 + [9_000, 9_500, 10_000], [100, 150], [9_000, 20_000]),
    ],
)
def test_amount_is_far_by_the_distances_that_are_usual(
    known: Sequence[int], usual: Sequence[float], far: Sequence[float]
) -> None:
    assert [flag(of(*known), one) for one in usual] == [None] * len(usual)
    assert all(flag(of(*known), one) for one in far)


def test_amount_is_not_held_against_itself() -> None:
    known = of(*[100] * (LEAST - 1), 900)
    assert flag(known, 900, subject=f"invoice-{LEAST - 1}") is None
    assert flag(known, 900) is AmountFlag.HIGH


@drawn(st.lists(st.decimals("0.01", 10_000, places=2), min_size=LEAST, max_size=LATEST), st.permutations(range(9)))
def test_middle_of_what_is_known_is_never_unusual_and_order_does_not_count(
    known: list[Decimal], order: Sequence[int]
) -> None:
    middle = sorted(known)[(len(known) - 1) // 2]
    assert flag(of(*known), middle) is None
    mixed = sorted(known, key=lambda amount: order[int(amount) % 9])
    assert [flag(of(*known), one) for one in (1, 50_000)] == [flag(of(*mixed), one) for one in (1, 50_000)]


# --- invoices and transactions


def beside(kind: Any, known: UsualAmounts) -> Given:
    return GIVEN._replace(streams={usual_amounts_stream(kind, "17850", "GBP"): known})


LOW = beside("bill", of(*[1] * LEAST))
REASON = f"16.32495000 is far above 1.0000, the middle of the latest {LEAST} of this party"
FLAGGED = replace(INVOICE_AMOUNT_FLAGGED, reason=REASON)
INCOMING, CAME = replace(RECEIVE_INVOICE, direction="in"), replace(RECEIVED, direction="in")


def test_incoming_invoice_is_flagged_as_it_is_received() -> None:
    invoice.given().when(INCOMING, LOW).then(CAME, FLAGGED)
    invoice.given(CAME, FLAGGED).when(INCOMING, LOW).then_nothing()
    invoice.given().when(INCOMING, beside("bill", of(*[16] * LEAST))).then(CAME)
    invoice.given().when(INCOMING).then(CAME)


def test_neither_what_goes_out_nor_a_credit_note_is_flagged() -> None:
    invoice.given().when(RECEIVE_INVOICE).then(RECEIVED)
    credit = replace(INCOMING, kind="credit_note")
    invoice.given().when(credit, LOW).then(replace(CAME, kind="credit_note"))


def test_corrected_invoice_is_judged_anew() -> None:
    correct = replace(CORRECT_INVOICE, direction="in")
    corrected: InvoiceCorrected = replace(CORRECTED, direction="in")
    reason = f"20.02084170835 is far above 1.0000, the middle of the latest {LEAST} of this party"
    invoice.given(CAME, FLAGGED).when(correct, LOW).then(corrected, replace(FLAGGED, reason=reason))
    invoice.given(CAME, FLAGGED).when(correct, beside("bill", of(*[20] * LEAST))).then(corrected)


def test_line_of_a_statement_is_flagged_by_what_came_in_or_went_out_before() -> None:
    high = beside("came_in", of(*[500] * LEAST))
    reason = f"10.0000 is far below 500.0000, the middle of the latest {LEAST} of this party"
    flagged = replace(TRANSACTION_AMOUNT_FLAGGED, reason=reason)
    transaction.given().when(RECORD_TRANSACTION, high).then(TRANSACTION_RECORDED, flagged)
    transaction.given(TRANSACTION_RECORDED, flagged).when(RECORD_TRANSACTION, high).then_nothing()
    out = Decimal("-10.00")
    transaction.given().when(replace(RECORD_TRANSACTION, amount=out)).then(replace(TRANSACTION_RECORDED, amount=out))


# --- the process


def test_what_came_to_an_amount_is_noted_by_party() -> None:
    stream = "invoice-in:17850:7"
    bill = replace(CAME, number="7")
    noted = replace(NOTE_AMOUNT, amount=bill.total)
    Runs(AMOUNT_WATCH, stream).when(bill, stream=stream).then(Ask("note", noted))
    kinds: list[tuple[str, Kind]] = [("10.00", "came_in"), ("-10.00", "went_out")]
    for amount, kind in kinds:
        line = replace(TRANSACTION_RECORDED, amount=Decimal(amount))
        note = replace(NOTE_AMOUNT, kind=kind, subject="transaction-b1", amount=Decimal("10.00"))
        Runs(AMOUNT_WATCH, "transaction-b1").when(line).then(Ask("note", note))


@pytest.mark.parametrize(
    "change", [{"direction": "out"}, {"kind": "credit_note"}, {"party": ""}, {"total": Decimal(-1)}]
)
def test_other_documents_are_not_noted(change: dict[str, Any]) -> None:
    assert AMOUNT_WATCH.route(replace(CAME, **change), None) is None  # type: ignore[arg-type]
    assert AMOUNT_WATCH.route(replace(TRANSACTION_RECORDED, party=""), None) is None  # type: ignore[arg-type]
