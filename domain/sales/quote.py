"""These are the commands, the events, the state and the rules of a quote: an offer that ends by itself."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.finance.invoice import invoice_id
from domain.finance.values import Amount, Description, Label, Quantity, Total, is_too_large, plus, times, total
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import CommandRejected, conflict, invalid, not_allowed, not_found
from schemas.envelope import ActorType, StreamId
from schemas.values import Currency, Id, Instant, Money, Text

QuoteId = Annotated[Id, StringConstraints(max_length=62)]
"""An id that is short enough to be part of an invoice's number."""

PARTY_CHARACTERS = 100
PartyId = Annotated[Id, StringConstraints(max_length=PARTY_CHARACTERS)]
"""The id of a lead or customer that is short enough to be the party of an invoice."""

LASTS = timedelta(days=30)
"""How long a quote is valid where nobody says it."""

FOLLOWED_BY = "lead_to_cash"
"""The process that follows a quote to its payment."""


def invoice_number(quote_id: str) -> str:
    """Return the number of the invoice that an accepted quote becomes."""
    return f"Q-{quote_id}"


def deal_id(quote_id: str, party: str) -> str:
    """Return the id under which a quote is followed, which is that of its invoice: each is found from the other."""
    return invoice_id(party, invoice_number(quote_id))


# --- commands


@value
class _OfQuote(Command):
    quote_id: QuoteId

    @property
    def stream(self) -> StreamId:
        return StreamId(f"quote-{self.quote_id}")


@value
class QuoteItem:
    product: Label
    quantity: Quantity
    unit_price: Money
    description: Description = ""


@value
class DraftQuote(_OfQuote):
    """Shape: it is for a lead, for a customer, or for a lead that becomes this customer; valid for 30 days where
    `valid_until` is left out.
    Units: its invoice is due `payment_days` after it is written.
    """

    lines: Annotated[tuple[QuoteItem, ...], Field(min_length=1, max_length=1_000)]
    currency: Currency
    lead_id: PartyId | None = None
    customer_id: PartyId | None = None
    tax: Money = Decimal(0)
    country: Label = ""
    valid_until: Instant | None = None
    payment_days: Annotated[int, Field(strict=True, ge=0, le=365)] = 30


@value
class IssueQuote(_OfQuote):
    pass


@value
class AcceptQuote(_OfQuote):
    pass


@value
class VoidQuote(_OfQuote):
    """An accepted one is voided by its process alone, when its invoice is cancelled."""

    reason: Text = ""


@value
class ExpireQuote(_OfQuote):
    """Refused while the quote is valid; a process sends it then."""


QuoteCommand = DraftQuote | IssueQuote | AcceptQuote | VoidQuote | ExpireQuote

# --- events


@value
class QuoteLine:
    product: str
    description: str
    quantity: Amount
    unit_price: Amount


@value
class IssuedLine(QuoteLine):
    """Has a name of its own, because an Avro file holds every name once."""


@value
class AcceptedLine(QuoteLine):
    """Has a name of its own for the same reason."""


@value
class _OfDeal(Event):
    lead_id: str | None
    customer_id: str | None

    @property
    def party(self) -> str:
        return self.customer_id or self.lead_id or ""


@value
class _Content(_OfDeal):
    lines: tuple[QuoteLine, ...]
    net: Total
    tax: Amount
    total: Total
    currency: str
    country: str
    valid_until: datetime
    payment_days: int


@value
class QuoteDrafted(_Content):
    TYPE: ClassVar = "quote.drafted"


@value
class QuoteIssued(_Content):
    TYPE: ClassVar = "quote.issued"
    lines: tuple[IssuedLine, ...]


@value
class QuoteAccepted(_Content):
    TYPE: ClassVar = "quote.accepted"
    lines: tuple[AcceptedLine, ...]


@value
class QuoteVoided(_OfDeal):
    TYPE: ClassVar = "quote.voided"
    reason: str


@value
class QuoteExpired(_OfDeal):
    TYPE: ClassVar = "quote.expired"
    valid_until: datetime


QuoteEvent = QuoteDrafted | QuoteIssued | QuoteAccepted | QuoteVoided | QuoteExpired

# --- state


class QuoteStatus(StrEnum):
    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    ACCEPTED = "ACCEPTED"
    VOIDED = "VOIDED"
    EXPIRED = "EXPIRED"


@value
class Quote:
    drafted: QuoteDrafted
    status: QuoteStatus = QuoteStatus.DRAFT


_AFTER = {
    QuoteIssued: QuoteStatus.ISSUED,
    QuoteAccepted: QuoteStatus.ACCEPTED,
    QuoteVoided: QuoteStatus.VOIDED,
    QuoteExpired: QuoteStatus.EXPIRED,
}


def evolve_quote(state: Quote | None, event: QuoteEvent) -> Quote:
    match event:
        case QuoteDrafted():
            return Quote(drafted=event)
        case QuoteIssued() | QuoteAccepted() | QuoteVoided() | QuoteExpired():
            return replace(known(state), status=_AFTER[type(event)])
        case _:
            assert_never(event)


# --- rules


def decide_quote(command: QuoteCommand, state: Quote | None, given: Given) -> tuple[QuoteEvent, ...]:
    if isinstance(command, DraftQuote):
        return _draft(command, state, given)
    if state is None:
        raise not_found(f"quote {command.quote_id} is not known")
    match command:
        case IssueQuote():
            if state.status is QuoteStatus.ISSUED:
                return ()
            _refuse_unless(QuoteStatus.DRAFT, command, state)
            _refuse_late(command, state, given)
            return (filled(QuoteIssued, state.drafted, lines=_lines(IssuedLine, state)),)
        case AcceptQuote():
            if state.status is QuoteStatus.ACCEPTED:
                return ()
            _refuse_unless(QuoteStatus.ISSUED, command, state)
            # the process may be a moment late
            _refuse_late(command, state, given)
            return (filled(QuoteAccepted, state.drafted, lines=_lines(AcceptedLine, state)),)
        case VoidQuote():
            return _void(command, state, given)
        case ExpireQuote():
            return _expire(command, state, given)
        case _:
            assert_never(command)


def _draft(command: DraftQuote, state: Quote | None, given: Given) -> tuple[QuoteDrafted]:
    if state is not None:
        raise conflict(f"quote {command.quote_id} is drafted already")
    if command.lead_id is None and command.customer_id is None:
        raise invalid(f"quote {command.quote_id} is for nobody; say lead_id or customer_id")
    valid_until = command.valid_until or given.now + LASTS
    if valid_until <= given.now:
        raise invalid(f"valid_until must be later than now, {given.now.isoformat()}")
    net = total(times(line.quantity, line.unit_price) for line in command.lines)
    gross = plus(net, command.tax)
    if gross <= 0 or is_too_large(net) or is_too_large(gross):
        raise invalid(f"quote {command.quote_id} comes to {gross:f}; a total is above zero and has at most 30 digits")
    lines = tuple(filled(QuoteLine, line) for line in command.lines)
    return (filled(QuoteDrafted, command, lines=lines, net=net, total=gross, valid_until=valid_until),)


def _void(command: VoidQuote, state: Quote, given: Given) -> tuple[QuoteEvent, ...]:
    match state.status:
        case QuoteStatus.VOIDED:
            return ()
        case QuoteStatus.EXPIRED:
            raise _is(command, state)
        case QuoteStatus.ACCEPTED if given.actor[:2] != (ActorType.SYSTEM, FOLLOWED_BY):
            number = invoice_number(command.quote_id)
            raise not_allowed(f"quote {command.quote_id} is ACCEPTED; cancel its invoice {number} instead")
        case _:
            return (filled(QuoteVoided, state.drafted, reason=command.reason),)


def _expire(command: ExpireQuote, state: Quote, given: Given) -> tuple[QuoteEvent, ...]:
    if state.status is QuoteStatus.DRAFT:
        raise _is(command, state)
    if state.status is not QuoteStatus.ISSUED:
        return ()
    if given.now < state.drafted.valid_until:
        raise not_allowed(f"quote {command.quote_id} is valid until {state.drafted.valid_until.isoformat()}")
    return (filled(QuoteExpired, state.drafted),)


def _lines(class_: Any, state: Quote) -> tuple[Any, ...]:
    return tuple(filled(class_, line) for line in state.drafted.lines)


def _is(command: QuoteCommand, state: Quote) -> CommandRejected:
    return not_allowed(f"quote {command.quote_id} is {state.status}")


def _refuse_unless(status: QuoteStatus, command: QuoteCommand, state: Quote) -> None:
    if state.status is not status:
        raise _is(command, state)


def _refuse_late(command: QuoteCommand, state: Quote, given: Given) -> None:
    if given.now >= state.drafted.valid_until:
        until = state.drafted.valid_until.isoformat()
        raise not_allowed(f"quote {command.quote_id} was valid until {until}; draft another one")


QUOTE = Decider(
    category="quote",
    commands=classes_of(QuoteCommand),
    events=classes_of(QuoteEvent),
    decide=decide_quote,
    evolve=evolve_quote,
)
