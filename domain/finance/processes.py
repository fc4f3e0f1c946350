"""These are the processes of invoices: what is due is marked when it is overdue, what comes in is reviewed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.backoff import backoff
from domain.finance.invoice import (
    InvoiceCorrected,
    InvoiceReceived,
    MarkOverdue,
    PaymentRefunded,
    ReviewInvoice,
    named,
)
from domain.finance.invoice_state import OVERDUE_AFTER
from domain.message import Event
from domain.process import (
    Action,
    Around,
    Ask,
    Forget,
    Process,
    ProcessAnswered,
    TimerFired,
    TimerForgotten,
    TimerSet,
    Wait,
)
from schemas.envelope import Envelope, id_of

_Content = InvoiceReceived | InvoiceCorrected

# --- an invoice that is not paid a day after its due date is overdue

_DUE, _MARK = "due", "mark"
_FIRST_RETRY = timedelta(minutes=2)


def _due_of(event: _Content | PaymentRefunded, envelope: Envelope) -> str | None:
    # most imported invoices say no due date, and cost nothing here
    no_date = isinstance(event, InvoiceReceived) and event.due_date is None
    no_invoice = not isinstance(event, PaymentRefunded) and event.kind != "invoice"
    return None if no_date or no_invoice else id_of(envelope.stream)


def evolve_due(state: datetime | None, event: Event) -> datetime | None:
    """Return from when on the invoice is overdue, which stays known after the timer has fired."""
    match event:
        case TimerSet():
            return event.due_at
        case TimerForgotten():
            return None
        case _:
            return state


def react_overdue(
    state: datetime | None, event: _Content | PaymentRefunded | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    mark = Ask(_MARK, MarkOverdue(**named(around.id)))
    match event:
        case TimerFired():
            return [mark]
        case PaymentRefunded():
            # it was paid when the timer fired, and is not any more
            return [mark] if state is not None and around.now >= state else []
        case ProcessAnswered():
            # the invoice cannot be read now, or its tenant is suspended
            is_stuck = event.refused and event.step == _MARK and _DUE not in around.timers
            return [Wait(_DUE, around.now + backoff(_FIRST_RETRY, around.attempts[_MARK]))] if is_stuck else []
        case _ if event.due_date is not None:
            return [Wait(_DUE, event.due_date + OVERDUE_AFTER)]
        case _:
            # a timer that has fired is set once more, so that it can be taken back, and its time is not known any more
            fired = [] if state is None or _DUE in around.timers else [Wait(_DUE, around.now)]
            return [*fired, Forget(_DUE)]


INVOICE_OVERDUE = Process(
    name="invoice_overdue",
    listens=(InvoiceReceived, InvoiceCorrected, PaymentRefunded),
    route=_due_of,
    evolve=evolve_due,
    react=react_overdue,
)

# --- an incoming invoice is approved within the tenant's limit, or waits for a person


def _incoming_of(event: _Content, envelope: Envelope) -> str | None:
    is_bill = (event.direction, event.kind) == ("in", "invoice")
    return id_of(envelope.stream) if is_bill else None


def react_approval(_state: None, event: _Content | ProcessAnswered, around: Around) -> Sequence[Action]:
    return [] if isinstance(event, ProcessAnswered) else [Ask("review", ReviewInvoice(**named(around.id)))]


INVOICE_APPROVAL = Process(
    name="invoice_approval",
    listens=(InvoiceReceived, InvoiceCorrected),
    route=_incoming_of,
    react=react_approval,
)
