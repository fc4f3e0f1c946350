"""This process of the finance context remembers what incoming invoices and lines of statements come to, by party."""

from collections.abc import Sequence

from domain.finance.invoice import InvoiceCorrected, InvoiceReceived
from domain.finance.transaction import TransactionRecorded
from domain.finance.usual_amounts import NoteAmount
from domain.finance.values import EXACT_LIMIT
from domain.process import Action, Around, Ask, Process, ProcessAnswered
from schemas.envelope import Envelope

_Heard = InvoiceReceived | InvoiceCorrected | TransactionRecorded


def _subject_of(event: _Heard, envelope: Envelope) -> str | None:
    """Return the stream of what comes to an amount; most imported invoices are outgoing, and cost nothing here."""
    if isinstance(event, TransactionRecorded):
        is_counted = event.party != ""
    else:
        is_bill = (event.direction, event.kind) == ("in", "invoice") and event.party != ""
        is_counted = is_bill and 0 < event.total < EXACT_LIMIT
    return envelope.stream if is_counted else None


def react_amount_watch(_state: None, event: _Heard | ProcessAnswered, around: Around) -> Sequence[Action]:
    match event:
        case InvoiceReceived() | InvoiceCorrected():
            amount = event.exact_total or event.total
            noted = NoteAmount(
                kind="bill", party=event.party, currency=event.currency, subject=around.id, amount=amount
            )
            return [Ask("note", noted)]
        case TransactionRecorded():
            noted = NoteAmount(
                kind="came_in" if event.amount > 0 else "went_out",
                party=event.party,
                currency=event.currency,
                subject=around.id,
                amount=abs(event.amount),
            )
            return [Ask("note", noted)]
        case ProcessAnswered():
            return []


AMOUNT_WATCH = Process(
    name="amount_watch",
    listens=(InvoiceReceived, InvoiceCorrected, TransactionRecorded),
    route=_subject_of,
    react=react_amount_watch,
)
