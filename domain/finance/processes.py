"""These are the processes of invoices: what is due is marked when it is overdue, what comes in is reviewed."""

from collections.abc import Sequence
from datetime import datetime

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
from schemas.envelope import Envelope

_Content = InvoiceReceived | InvoiceCorrected

# --- an invoice that is not paid a day after its due date is overdue

_DUE = "due"


def _due_of(event: _Content | PaymentRefunded, envelope: Envelope) -> str | None:
    # most imported invoices say no due date, and cost nothing here
    no_date = isinstance(event, InvoiceReceived) and event.due_date is None
    no_invoice = not isinstance(event, PaymentRefunded) and event.kind != "invoice"
    return None if no_date or no_invoice else envelope.stream.partition("-")[2]


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
    mark = Ask("mark", MarkOverdue(**named(around.id)))
    match event:
        case TimerFired():
            return [mark]
        case PaymentRefunded():
            # it was paid when the timer fired, and is not any more
            return [mark] if state is not None and around.now >= state else []
        case ProcessAnswered():
            return []
        case _:
            return [Forget(_DUE) if event.due_date is None else Wait(_DUE, event.due_date + OVERDUE_AFTER)]


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
    return envelope.stream.partition("-")[2] if is_bill else None


def react_approval(_state: None, event: _Content | ProcessAnswered, around: Around) -> Sequence[Action]:
    return [] if isinstance(event, ProcessAnswered) else [Ask("review", ReviewInvoice(**named(around.id)))]


INVOICE_APPROVAL = Process(
    name="invoice_approval",
    listens=(InvoiceReceived, InvoiceCorrected),
    route=_incoming_of,
    react=react_approval,
)
