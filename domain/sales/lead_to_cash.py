"""This process follows a quote from the qualified lead to the paid invoice, and undoes it all where a step fails.

An instance is named like the invoice that its quote becomes, so that the events of both find it: `lead_to_cash-l1:Q-q1`
is about the quote `q1` of the lead or customer `l1`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from domain.backoff import backoff
from domain.finance.invoice import (
    CancelInvoice,
    InvoiceCancelled,
    InvoiceRejected,
    LineItem,
    PaymentRecorded,
    ReceiveInvoice,
    RefundPayment,
    named,
)
from domain.finance.invoice_state import InvoiceStatus
from domain.message import Event, filled, value
from domain.process import Action, Around, Ask, Forget, Note, Process, ProcessAnswered, TimerFired, Wait
from domain.rejection import Kind
from domain.sales.lead import ConvertLead, LeadQualified, QualifyLead, QuoteLead
from domain.sales.quote import (
    FOLLOWED_BY,
    ExpireQuote,
    IssueQuote,
    QuoteAccepted,
    QuoteExpired,
    QuoteIssued,
    QuoteVoided,
    VoidQuote,
    deal_id,
    invoice_number,
)
from schemas.envelope import Envelope, id_of

_EXPIRY, _RETRY = "expiry", "retry"
_FIRST_RETRY = timedelta(minutes=2)

# --- its own events and state


@value
class DealOpened(Event):
    """A quote was issued to a lead, to a customer, or to a lead that becomes this customer."""

    TYPE: ClassVar = "deal.opened"
    lead_id: str | None
    customer_id: str | None


@value
class DealAdvanced(Event):
    """Shape: `payment_id` is that of a payment; `failure` says what failed, where what was done is undone."""

    TYPE: ClassVar = "deal.advanced"
    step: str
    payment_id: str | None
    failure: str


_INVOICED, _PART_PAID, _PAID, _CONVERTED = "invoiced", "part_paid", "paid", "converted"
_VOIDED, _EXPIRED, _CANCELLED = "voided", "expired", "cancelled"
_UNDOING, _UNDONE = "undoing", "undone"


@value
class Deal:
    """Shape: `payments` are the ids of those that were recorded; `failure` is why what was done is undone."""

    lead_id: str | None
    step: str = ""
    has_invoice: bool = False
    payments: tuple[str, ...] = ()
    failure: str = ""

    @property
    def is_over(self) -> bool:
        return self.step in (_UNDOING, _UNDONE)


def evolve_deal(state: Deal | None, event: Event) -> Deal | None:
    match event:
        case DealOpened():
            return Deal(lead_id=event.lead_id)
        case DealAdvanced() if state is not None:
            payments = state.payments if event.payment_id is None else (*state.payments, event.payment_id)
            has_invoice = event.step == _INVOICED or (state.has_invoice and event.step != _CANCELLED)
            return replace(state, step=event.step, payments=payments, has_invoice=has_invoice, failure=event.failure)
        case _:
            return state


# --- which instance an event belongs to

_OfQuote = QuoteIssued | QuoteAccepted | QuoteVoided | QuoteExpired
_OfInvoice = PaymentRecorded | InvoiceCancelled | InvoiceRejected
_Heard = LeadQualified | _OfQuote | _OfInvoice


def route_deal(event: _Heard, envelope: Envelope) -> str | None:
    id_ = id_of(envelope.stream)
    match event:
        case LeadQualified():
            return None if event.quote_id is None else deal_id(event.quote_id, event.customer_id or id_)
        case QuoteIssued() | QuoteAccepted() | QuoteVoided() | QuoteExpired():
            return deal_id(id_, event.party)
        case _:
            # an incoming invoice has two colons in its name
            party, _, number = id_.partition(":")
            return f"{party}:{number}" if number.startswith(invoice_number("")) and ":" not in number else None


def _names(around: Around) -> tuple[str, str]:
    """Return the party and the quote's id, which the name of the instance consists of."""
    invoice = named(around.id)
    return invoice["party"], invoice["number"].removeprefix(invoice_number(""))


# --- what it does


def react_deal(state: Deal | None, event: _Heard | ProcessAnswered | TimerFired, around: Around) -> Sequence[Action]:
    match event:
        case LeadQualified():
            command = around.command
            if not isinstance(command, QualifyLead) or command.offer is None:
                return []
            return [Ask("draft", replace(command.offer, lead_id=command.lead_id))]
        case QuoteIssued():
            return _begin(event, around)
        case ProcessAnswered():
            return _answered(state, event, around)
        case TimerFired(name=name):
            return [Ask("expire", ExpireQuote(quote_id=_names(around)[1]))] if name == _EXPIRY else _undo(state, around)
        case _:
            return [] if state is None or state.is_over else _go_on(state, event, around)


def _begin(event: QuoteIssued, around: Around) -> Sequence[Action]:
    opened = filled(DealOpened, event)
    waits: list[Action] = [Note(opened), Wait(_EXPIRY, event.valid_until)]
    if event.lead_id is None:
        return waits
    return [*waits, Ask("quoted", QuoteLead(lead_id=event.lead_id, quote_id=_names(around)[1]))]


def _go_on(
    deal: Deal, event: QuoteAccepted | QuoteVoided | QuoteExpired | _OfInvoice, around: Around
) -> Sequence[Action]:
    match event:
        case QuoteAccepted():
            return [Forget(_EXPIRY), Ask("invoice", _invoice_of(event, around))]
        case QuoteVoided():
            return [Forget(_EXPIRY), _step(_VOIDED)]
        case QuoteExpired():
            return [Forget(_EXPIRY), _step(_EXPIRED)]
        case PaymentRecorded():
            return _paid(deal, event, around)
        case InvoiceCancelled() | InvoiceRejected():
            without = replace(deal, has_invoice=False)
            return [_step(_CANCELLED), *_fail(without, f"the invoice was cancelled: {event.reason}", around)]


def _invoice_of(event: QuoteAccepted, around: Around) -> ReceiveInvoice:
    party, quote_id = _names(around)
    return filled(
        ReceiveInvoice,
        event,
        number=invoice_number(quote_id),
        party=party,
        direction="out",
        issue_date=around.now,
        due_date=around.now + timedelta(days=event.payment_days),
        lines=tuple(filled(LineItem, line) for line in event.lines),
    )


def _paid(deal: Deal, event: PaymentRecorded, around: Around) -> Sequence[Action]:
    is_paid = event.status == InvoiceStatus.PAID
    if deal.step == _CONVERTED:
        return [_step(_CONVERTED, payment_id=event.payment_id)]
    noted = _step(_PAID if is_paid else _PART_PAID, payment_id=event.payment_id)
    if not is_paid or deal.lead_id is None:
        return [noted]
    return [noted, Ask("convert", ConvertLead(lead_id=deal.lead_id, customer_id=_names(around)[0]))]


def _answered(deal: Deal | None, event: ProcessAnswered, around: Around) -> Sequence[Action]:
    failure = event.reason or ""
    match event.step:
        case "draft":
            return [] if event.refused else [Ask("issue", IssueQuote(quote_id=_names(around)[1]))]
        case "issue" | "quoted":
            return _fail(deal, failure, around) if event.refused else []
        case "invoice":
            return _fail(deal, failure, around) if event.refused else [_step(_INVOICED)]
        case "convert":
            # a lead that became another customer meanwhile is converted all the same
            is_converted = not event.refused or event.kind == Kind.CONFLICT
            return [_step(_CONVERTED)] if is_converted else _fail(deal, failure, around)
        case "expire":
            return [Wait(_EXPIRY, _later(around, "expire"))] if event.refused else []
        case step if event.refused:
            return [Wait(_RETRY, _later(around, step))]
        case "void_quote" if deal is not None and _RETRY not in around.timers:
            return [_step(_UNDONE, failure=deal.failure)]
        case _:
            return []


def _step(step: str, *, payment_id: str | None = None, failure: str = "") -> Note:
    return Note(DealAdvanced(step=step, payment_id=payment_id, failure=failure))


# --- what is undone, the last step first


def _fail(deal: Deal | None, failure: str, around: Around) -> Sequence[Action]:
    if deal is None:
        return _undo(deal, around)
    return [_step(_UNDOING, failure=failure), *_undo(replace(deal, failure=failure), around)]


def _undo(deal: Deal | None, around: Around) -> Sequence[Action]:
    """Return all that undoes a deal: each may be asked again, and changes nothing where it is done already."""
    party, quote_id = _names(around)
    reason = "the quote could not be issued" if deal is None else deal.failure
    number = invoice_number(quote_id)
    refunds = (
        []
        if deal is None
        else [
            Ask(f"refund {id_}", RefundPayment(number=number, party=party, payment_id=id_, reason=reason))
            for id_ in deal.payments
        ]
    )
    has_invoice = deal is not None and deal.has_invoice
    cancel = [Ask("cancel_invoice", CancelInvoice(number=number, party=party, reason=reason))] if has_invoice else []
    return [Forget(_EXPIRY), *refunds, *cancel, Ask("void_quote", VoidQuote(quote_id=quote_id, reason=reason))]


def _later(around: Around, step: str) -> datetime:
    return around.now + backoff(_FIRST_RETRY, around.attempts[step])


LEAD_TO_CASH = Process(
    name=FOLLOWED_BY,
    listens=(
        LeadQualified,
        QuoteIssued,
        QuoteAccepted,
        QuoteVoided,
        QuoteExpired,
        PaymentRecorded,
        InvoiceCancelled,
        InvoiceRejected,
    ),
    route=route_deal,
    events=(DealOpened, DealAdvanced),
    evolve=evolve_deal,
    react=react_deal,
    needs_command=(LeadQualified,),
)
