"""This process counts approved incoming invoices in the budgets of their categories, each once.

An instance is about one incoming invoice. It notes what the invoice says, because the events that approve or categorise
one do not say it again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, assert_never

from domain.finance.budget import RecordSpend
from domain.finance.invoice import (
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceCorrected,
    InvoiceReceived,
    InvoiceRejected,
)
from domain.finance.values import EXACT_LIMIT, Exact, minus
from domain.message import Event, value
from domain.process import Action, Around, Ask, Note, Process, ProcessAnswered
from schemas.envelope import Envelope, id_of


@value
class BillNoted(Event):
    """Shape: `counted` says that it counts in the budget of its category."""

    TYPE: ClassVar = "bill.noted"
    currency: str
    total: Exact
    issued_at: datetime
    category: str | None
    approved: bool
    counted: bool


def evolve_bill(state: BillNoted | None, event: Event) -> BillNoted | None:
    return event if isinstance(event, BillNoted) else state


_Heard = InvoiceReceived | InvoiceCorrected | InvoiceCategorised | InvoiceApproved | InvoiceRejected | InvoiceCancelled


def _bill_of(_event: _Heard, envelope: Envelope) -> str | None:
    id_ = id_of(envelope.stream)
    return id_ if id_.startswith("in:") and id_.count(":") == 2 else None  # noqa: PLR2004 - in, party and number


def react_budget(state: BillNoted | None, event: _Heard | ProcessAnswered, around: Around) -> Sequence[Action]:
    if isinstance(event, ProcessAnswered):
        # there is no budget for it
        is_lost = event.step == "spend" and event.refused and state is not None
        return [Note(replace(state, counted=False))] if is_lost and state is not None else []
    after = _after(state, event)
    if after is None:
        return []
    after = replace(after, counted=after.approved and after.category is not None and after.total != 0)
    if after == state:
        return []
    before = [] if state is None or not state.counted else [_spend("take_back", state, around)]
    now = [_spend("spend", after, around)] if after.counted else []
    return [Note(after), *before, *now]


def _after(bill: BillNoted | None, event: _Heard) -> BillNoted | None:
    """Return what is known of the bill after an event; None where it is none, or was received by an earlier version."""
    match event:
        case InvoiceReceived() | InvoiceCorrected():
            total = event.exact_total or event.total
            if event.kind != "invoice" or abs(total) >= EXACT_LIMIT:
                # it may be approved as what it is now, and then counts for nothing
                return None if bill is None else replace(bill, approved=False, total=Decimal(0))
            return BillNoted(
                currency=event.currency,
                total=total,
                issued_at=event.issue_date,
                category=None if bill is None else bill.category,
                approved=False,
                counted=False,
            )
        case InvoiceCategorised():
            return None if bill is None else replace(bill, category=event.category)
        case InvoiceApproved():
            return None if bill is None else replace(bill, approved=True)
        case InvoiceRejected() | InvoiceCancelled():
            return None if bill is None else replace(bill, approved=False)
        case _:
            assert_never(event)


def _spend(step: str, bill: BillNoted, around: Around) -> Ask:
    amount = bill.total if step == "spend" else minus(Decimal(0), bill.total)
    spend = RecordSpend(
        category=bill.category or "",
        currency=bill.currency,
        invoice=around.id,
        amount=amount,
        spent_at=bill.issued_at,
    )
    return Ask(step, spend)


BUDGET_MONITOR = Process(
    name="budget_monitor",
    listens=(
        InvoiceReceived,
        InvoiceCorrected,
        InvoiceCategorised,
        InvoiceApproved,
        InvoiceRejected,
        InvoiceCancelled,
    ),
    route=_bill_of,
    events=(BillNoted,),
    evolve=evolve_bill,
    react=react_budget,
)
