"""This process of the finance context looks for the invoice that a line of a bank's statement pays.

An instance is about one transaction. It holds it against one invoice after the other, until one takes it as a payment;
where none does, a person has to look at it, and is told why.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, assert_never

from domain.backoff import backoff
from domain.finance.invoice import Direction, PaymentUnreconciled, ReconcilePayment, invoice_id, named
from domain.finance.transaction import (
    FlagTransaction,
    ReopenTransaction,
    SettleTransaction,
    TransactionAssigned,
    TransactionIgnored,
    TransactionRecorded,
)
from domain.finance.values import Amount
from domain.message import Event, filled, value
from domain.process import Action, Around, Ask, Forget, Note, Process, ProcessAnswered, TimerFired, Wait
from domain.rejection import Kind
from schemas.envelope import Envelope, id_of

NOTHING_TO_LOOK_FOR, NOT_KNOWN, NOT_TAKEN = 30, 50, 80
"""The scores: nothing says which invoice it is; there is none of that name; there is one, and it does not take it."""

MOST_TRIED = 20
"""Invoices that one transaction is held against."""

_TRY, _SETTLE, _FLAG, _AGAIN = "reconcile", "settle", "flag", "again"
_REOPEN = "reopen"
_FIRST_RETRY = timedelta(minutes=1)
_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,63}")


@value
class ReconciliationNoted(Event):
    """Shape: `invoices` are those that it may pay; `exact` says that it has to be the amount which is open of one."""

    TYPE: ClassVar = "reconciliation.noted"
    invoices: tuple[str, ...]
    exact: bool
    amount: Amount
    currency: str
    reference: str


@value
class Looking:
    """Shape: `tried` is how many of the invoices did not take it, `why` what those said that are there."""

    noted: ReconciliationNoted
    tried: int = 0
    why: tuple[str, ...] = ()


def candidates(event: TransactionRecorded) -> Sequence[str]:
    """Return the invoices that a transaction may pay, by what it says of itself.

    Shape: money that came in pays an invoice that we wrote. A word of the reference without a digit is no number.
    """
    words = (word.rstrip("./-") for word in _NUMBER.findall(event.reference))
    numbers = [event.number] if event.number else [word for word in words if any(one.isdigit() for one in word)]
    direction: Direction = "out" if event.amount > 0 else "in"
    return list(dict.fromkeys(invoice_id(event.party, number, direction) for number in numbers))[:MOST_TRIED]


def evolve_reconciliation(state: Looking | None, event: Event) -> Looking | None:
    match event:
        case ReconciliationNoted():
            return Looking(noted=event)
        case ProcessAnswered(step=step) if step == _TRY and _is_no(event) and state is not None:
            said = () if event.kind == Kind.NOT_FOUND else (event.reason or "",)
            return replace(state, tried=state.tried + 1, why=(*state.why, *said))
        case _:
            return state


def _is_no(event: ProcessAnswered) -> bool:
    """Return whether an invoice does not take it, and would not take it later."""
    return event.kind in (Kind.NOT_FOUND, Kind.CONFLICT, Kind.NOT_ALLOWED, Kind.INVALID)


_Heard = TransactionRecorded | TransactionAssigned | TransactionIgnored | PaymentUnreconciled


def _transaction_of(event: _Heard, envelope: Envelope) -> str:
    return event.transaction_id if isinstance(event, PaymentUnreconciled) else id_of(envelope.stream)


def react_reconciliation(
    state: Looking | None, event: _Heard | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case TransactionRecorded():
            noted = _noted(event, candidates(event), exact=event.number is None)
            return [Note(noted), _next(Looking(noted=noted), around.id)]
        case TransactionAssigned():
            noted = _noted(event, [event.invoice], exact=False)
            return [Note(noted), _next(Looking(noted=noted), around.id)]
        case TransactionIgnored():
            return [Forget(_AGAIN)]
        case PaymentUnreconciled():
            return [Ask(_REOPEN, ReopenTransaction(transaction_id=around.id))]
        case TimerFired():
            if event.name == _REOPEN:
                return [Ask(_REOPEN, ReopenTransaction(transaction_id=around.id))]
            return [] if state is None else [_next(state, around.id)]
        case ProcessAnswered():
            return [] if state is None else _answered(state, event, around)
        case _:
            assert_never(event)


def _answered(state: Looking, event: ProcessAnswered, around: Around) -> Sequence[Action]:
    if event.step == _TRY and not event.refused:
        return [Ask(_SETTLE, SettleTransaction(transaction_id=around.id, invoice=state.noted.invoices[state.tried]))]
    if event.step == _TRY and _is_no(event):
        return [_next(state, around.id)]
    # an invoice, or the transaction, cannot be read now
    timer = _REOPEN if event.step == _REOPEN else _AGAIN
    return [Wait(timer, around.now + backoff(_FIRST_RETRY, around.attempts[event.step]))] if event.refused else []


def _next(state: Looking, transaction_id: str) -> Ask:
    noted = state.noted
    if state.tried < len(noted.invoices):
        asked = ReconcilePayment(
            **named(noted.invoices[state.tried]),
            transaction_id=transaction_id,
            amount=abs(noted.amount),
            currency=noted.currency,
            reference=noted.reference,
            came_in=noted.amount > 0,
            exact=noted.exact,
        )
        return Ask(_TRY, asked)
    score, reason = _verdict(state)
    return Ask(_FLAG, FlagTransaction(transaction_id=transaction_id, score=score, reason=reason))


def _verdict(state: Looking) -> tuple[int, str]:
    if state.why:
        return NOT_TAKEN, "; ".join(state.why)
    if state.noted.invoices:
        return NOT_KNOWN, f"none of these invoices is known: {', '.join(state.noted.invoices)}"
    return NOTHING_TO_LOOK_FOR, "it says no number of an invoice"


def _noted(
    event: TransactionRecorded | TransactionAssigned, invoices: Sequence[str], *, exact: bool
) -> ReconciliationNoted:
    return filled(ReconciliationNoted, event, invoices=tuple(invoices), exact=exact)


RECONCILIATION = Process(
    name="reconciliation",
    listens=(TransactionRecorded, TransactionAssigned, TransactionIgnored, PaymentUnreconciled),
    route=_transaction_of,
    events=(ReconciliationNoted,),
    evolve=evolve_reconciliation,
    react=react_reconciliation,
)
