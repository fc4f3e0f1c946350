"""These are the processes of invoices: what is due is marked when it is overdue, what comes in is reviewed."""

from collections.abc import Sequence

from domain.finance.invoice import InvoiceCorrected, InvoiceReceived, MarkOverdue, ReviewInvoice, named
from domain.finance.invoice_state import OVERDUE_AFTER
from domain.process import Action, Around, Ask, Forget, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope

_Content = InvoiceReceived | InvoiceCorrected

# --- an invoice that is not paid a day after its due date is overdue

_DUE = "due"


def _due_of(event: _Content, envelope: Envelope) -> str | None:
    # most imported invoices say no due date, and cost nothing here
    never_due = event.kind != "invoice" or (isinstance(event, InvoiceReceived) and event.due_date is None)
    return None if never_due else envelope.stream.partition("-")[2]


def react_overdue(_state: None, event: _Content | TimerFired | ProcessAnswered, around: Around) -> Sequence[Action]:
    match event:
        case TimerFired():
            return [Ask("mark", MarkOverdue(**named(around.id)))]
        case ProcessAnswered():
            return []
        case _:
            return [Forget(_DUE) if event.due_date is None else Wait(_DUE, event.due_date + OVERDUE_AFTER)]


INVOICE_OVERDUE = Process(
    name="invoice_overdue",
    listens=(InvoiceReceived, InvoiceCorrected),
    route=_due_of,
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
