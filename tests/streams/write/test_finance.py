"""Invoices with the writer: each is overdue once, and approves itself or waits for a person."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.finance.approval_limits import SetApprovalLimit
from domain.finance.budget import SetBudget
from domain.finance.context import CONTEXT
from domain.finance.invoice import (
    ApproveInvoice,
    CancelInvoice,
    CategoriseInvoice,
    LineItem,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
)
from domain.message import Command
from tests.streams.kit import accepted, submission
from tests.streams.write.saga import NOON, World, new_world

DAY = timedelta(days=1)
ONE: dict[str, Any] = {"number": "1", "party": "ann"}


def receive(amount: int, **more: Any) -> ReceiveInvoice:
    lines = (LineItem(product="p", quantity=Decimal(1), unit_price=Decimal(amount)),)
    usual: dict[str, Any] = {"direction": "out", "issue_date": NOON, "currency": "EUR"}
    return ReceiveInvoice(**{**ONE, **usual, **more}, lines=lines)


def pay(amount: int, id_: str = "p1") -> RecordPayment:
    return RecordPayment(**ONE, payment_id=id_, amount=Decimal(amount), method="bank")


class Books(World):
    def do(self, *commands: Command) -> None:
        for command in commands:
            [reply] = self.writer.write([submission(command)])
            assert accepted(reply), command


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    yield from new_world(tmp_path, *CONTEXT.processes, kind=Books)


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_invoice_that_is_not_paid_is_overdue_once(books: Books, *, restarted: bool) -> None:
    books.do(receive(10, due_date=NOON + DAY), pay(4))
    books.tick(2 * DAY - timedelta(seconds=1))
    assert books.types("invoice-ann:1") == ["invoice.received", "payment.recorded"]
    if restarted:
        books.restart()
    books.tick(timedelta(seconds=1))
    books.tick(9 * DAY)
    assert books.types("invoice-ann:1")[2:] == ["invoice.overdue"]
    assert books.history("invoice-ann:1")[-1].data["status"] == "OVERDUE"
    books.do(pay(6, "p2"))
    assert books.history("invoice-ann:1")[-1].data["status"] == "PAID"


@pytest.mark.parametrize("end", [pay(10), CancelInvoice(**ONE)])
def test_invoice_that_was_paid_or_cancelled_in_time_is_not_overdue(books: Books, end: Command) -> None:
    books.do(receive(10, due_date=NOON + DAY), end)
    books.tick(9 * DAY)
    assert "invoice.overdue" not in books.types("invoice-ann:1")
    assert books.writer.wait_s() == float("inf")


def test_invoice_that_was_due_long_ago_when_it_comes_is_overdue_at_once(books: Books) -> None:
    books.do(receive(10, due_date=NOON - 9 * DAY))
    books.tick()
    assert books.types("invoice-ann:1")[-1] == "invoice.overdue"


def test_payment_that_is_given_back_after_the_due_date_leaves_an_overdue_invoice(books: Books) -> None:
    books.do(receive(10, due_date=NOON + DAY), pay(10))
    books.tick(9 * DAY)
    books.do(RefundPayment(**ONE, payment_id="p1", amount=Decimal(3)))
    assert books.types("invoice-ann:1")[-2:] == ["payment.refunded", "invoice.overdue"]


def test_incoming_invoice_approves_itself_within_the_limit_and_waits_beyond_it(books: Books) -> None:
    books.do(
        receive(10, number="0", direction="in"),
        SetApprovalLimit(currency="EUR", limit=Decimal(100)),
        receive(100, direction="in"),
        receive(101, number="2", direction="in"),
        receive(1, number="3", direction="in", currency="USD"),
        receive(1, number="4"),
    )
    last = {n: books.history(f"invoice-{'' if n == 4 else 'in:'}ann:{n}")[-1] for n in range(5)}
    assert {n: event.type for n, event in last.items()} == {
        0: "invoice.received",
        1: "invoice.approved",
        2: "invoice.approval.awaited",
        3: "invoice.received",
        4: "invoice.received",
    }
    assert last[1].actor.id == "invoice_approval"


def bill(number: str, amount: int) -> list[Command]:
    named: dict[str, Any] = {"number": number, "party": "ann", "direction": "in"}
    return [
        receive(amount, **named),
        CategoriseInvoice(**named, category="hosting"),
        ApproveInvoice(**named),
    ]


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one batch"])
def test_budget_is_exceeded_once_however_commands_are_cut(books: Books, *, at_once: bool) -> None:
    bills = [command for n in range(4) for command in bill(str(n), 40)]
    if at_once:
        budget = SetBudget(category="hosting", currency="EUR", amount=Decimal(100))
        replies = books.writer.write([submission(command) for command in (budget, *bills)])
        assert all(accepted(reply) for reply in replies)
    else:
        books.do(SetBudget(category="hosting", currency="EUR", amount=Decimal(100)))
        for command in bills:
            books.do(command)
            books.restart()
    types = books.types("budget-hosting:EUR")
    assert types.count("budget.spend.recorded") == 4
    assert types.index("budget.exceeded") == 4
    assert types.count("budget.exceeded") == 1
    books.do(CancelInvoice(number="3", party="ann", direction="in"))
    last = books.history("budget-hosting:EUR")[-1].data
    assert (last["spent"], last["amount"], last["within"]) == (Decimal(120), Decimal(-40), "2026-01")


def test_invoice_that_approves_itself_counts_too(books: Books) -> None:
    books.do(
        SetBudget(category="hosting", currency="EUR", amount=Decimal(10)),
        SetApprovalLimit(currency="EUR", limit=Decimal(100)),
        *bill("1", 40)[:2],
    )
    assert books.types("budget-hosting:EUR") == ["budget.set", "budget.spend.recorded", "budget.exceeded"]
