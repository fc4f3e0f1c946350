"""These are the commands, the events, the state and the rules of a transaction: a line of a bank's statement."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.finance.invoice import Direction, invoice_id, invoice_stream
from domain.finance.invoice_state import Invoice
from domain.finance.usual_amounts import Kind, unusual, usual_amounts_stream
from domain.finance.values import Amount, InvoiceNumber, Label, Party, amount_text
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Currency, Id, Instant, Money, Name, Text

Score = Annotated[int, Field(strict=True, ge=0, le=100)]
"""How much a transaction needs a person: 100 at most."""

PAYMENT_RETURNED = 80
"""The score of one whose payment was given back."""


# --- commands


@value
class _OfTransaction(Command):
    transaction_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"transaction-{self.transaction_id}")


@value
class RecordTransaction(_OfTransaction):
    """Take a line of a bank's statement, and look for the invoice that it pays.

    Shape: an amount above zero came in, one below went out. `party` is who paid or was paid, as its invoices name it;
    without `number` the numbers of invoices are looked for in `reference`.
    """

    account: Name
    booked_at: Instant
    amount: Money
    currency: Currency
    party: Party = ""
    number: InvoiceNumber | None = None
    reference: Label = ""


@value
class AssignTransaction(_OfTransaction):
    """Say which invoice it pays, where none was found; it is held against that one anew."""

    number: InvoiceNumber
    party: Party = ""
    direction: Direction | None = None


@value
class IgnoreTransaction(_OfTransaction):
    """It pays no invoice: a fee, a salary, a tax."""

    reason: Text = ""


@value
class SettleTransaction(_OfTransaction):
    """Take over that an invoice has it as a payment; before that it changes nothing."""

    IS_OURS: ClassVar = True
    invoice: Text


@value
class FlagTransaction(_OfTransaction):
    IS_OURS: ClassVar = True
    score: Score
    reason: Text


@value
class ReopenTransaction(_OfTransaction):
    """Say that the payment was given back that it was reconciled with; a process sends it."""

    IS_OURS: ClassVar = True


CommandOfKnown = AssignTransaction | IgnoreTransaction | SettleTransaction | FlagTransaction | ReopenTransaction
TransactionCommand = RecordTransaction | CommandOfKnown

# --- events


@value
class TransactionRecorded(Event):
    TYPE: ClassVar = "transaction.recorded"
    account: str
    booked_at: datetime
    amount: Amount
    currency: str
    party: str
    number: str | None
    reference: str


@value
class TransactionAssigned(Event):
    """Shape: `invoice` is the identity of an invoice, here and below; the rest is what was recorded."""

    TYPE: ClassVar = "transaction.assigned"
    invoice: str
    amount: Amount
    currency: str
    reference: str


@value
class TransactionReconciled(Event):
    TYPE: ClassVar = "transaction.reconciled"
    invoice: str
    payment_id: str


@value
class TransactionFlagged(Event):
    """A person has to look at it."""

    TYPE: ClassVar = "transaction.flagged"
    score: int
    reason: str


@value
class TransactionIgnored(Event):
    TYPE: ClassVar = "transaction.ignored"
    reason: str


@value
class TransactionReopened(Event):
    """It pays no invoice any more, and a person has to look at it."""

    TYPE: ClassVar = "transaction.reopened"
    score: int
    reason: str


@value
class TransactionAmountFlagged(Event):
    """It is far more or less than what usually comes from, or goes to, this party. Shape: `flag` is HIGH or LOW."""

    TYPE: ClassVar = "transaction.amount.flagged"
    flag: str
    reason: str


TransactionEvent = (
    TransactionRecorded
    | TransactionAssigned
    | TransactionReconciled
    | TransactionFlagged
    | TransactionIgnored
    | TransactionReopened
    | TransactionAmountFlagged
)

# --- state


class TransactionStatus(StrEnum):
    OPEN = "OPEN"
    """An invoice is looked for."""
    RECONCILED = "RECONCILED"
    FLAGGED = "FLAGGED"
    IGNORED = "IGNORED"


@value
class Transaction:
    recorded: TransactionRecorded
    status: TransactionStatus = TransactionStatus.OPEN
    invoice: str | None = None


def evolve_transaction(state: Transaction | None, event: TransactionEvent) -> Transaction:
    if isinstance(event, TransactionRecorded):
        return Transaction(recorded=event)
    transaction = known(state)
    match event:
        case TransactionAssigned():
            return replace(transaction, status=TransactionStatus.OPEN)
        case TransactionReconciled():
            return replace(transaction, status=TransactionStatus.RECONCILED, invoice=event.invoice)
        case TransactionFlagged():
            return replace(transaction, status=TransactionStatus.FLAGGED)
        case TransactionIgnored():
            return replace(transaction, status=TransactionStatus.IGNORED)
        case TransactionReopened():
            return replace(transaction, status=TransactionStatus.FLAGGED, invoice=None)
        case TransactionAmountFlagged():
            return transaction
        case _:
            assert_never(event)


# --- rules


def decide_transaction(
    command: TransactionCommand, state: Transaction | None, given: Given
) -> tuple[TransactionEvent, ...]:
    if isinstance(command, RecordTransaction):
        return _record(command, state, given)
    if state is None:
        raise not_found(f"transaction {command.transaction_id} is not known")
    return _go_on(command, state, given)


def _go_on(command: CommandOfKnown, state: Transaction, given: Given) -> tuple[TransactionEvent, ...]:
    id_ = command.transaction_id
    match command:
        case AssignTransaction():
            if state.status is TransactionStatus.RECONCILED:
                raise not_allowed(f"transaction {id_} pays invoice {state.invoice} already; refund that payment first")
            invoice = invoice_id(command.party, command.number, command.direction)
            return (filled(TransactionAssigned, state.recorded, invoice=invoice),)
        case IgnoreTransaction():
            if state.status is TransactionStatus.RECONCILED:
                raise not_allowed(f"transaction {id_} pays invoice {state.invoice}")
            is_new = state.status is not TransactionStatus.IGNORED
            return (TransactionIgnored(reason=command.reason),) if is_new else ()
        case SettleTransaction():
            return _settle(command, state, given)
        case FlagTransaction():
            return (filled(TransactionFlagged, command),) if state.status is TransactionStatus.OPEN else ()
        case ReopenTransaction():
            if state.status is not TransactionStatus.RECONCILED:
                return ()
            reason = f"invoice {state.invoice} gave its payment back"
            return (TransactionReopened(score=PAYMENT_RETURNED, reason=reason),)
        case _:
            assert_never(command)


def _record(command: RecordTransaction, state: Transaction | None, given: Given) -> tuple[TransactionEvent, ...]:
    if not command.amount:
        raise invalid("the amount is 0; nothing came in and nothing went out")
    event = filled(TransactionRecorded, command)
    if state is None:
        found = unusual(given.streams.get(_usual(command)), command.stream, abs(command.amount))
        return (event,) if found is None else (event, filled(TransactionAmountFlagged, found))
    if state.recorded != event:
        before = (
            f"{amount_text(state.recorded.amount)} {state.recorded.currency} of {state.recorded.booked_at:%Y-%m-%d}"
        )
        raise conflict(f"transaction {command.transaction_id} was recorded already, with other content: {before}")
    return ()


def _settle(command: SettleTransaction, state: Transaction, given: Given) -> tuple[TransactionReconciled, ...]:
    invoice: Invoice | None = given.streams.get(invoice_stream(command.invoice))
    reconciled: Mapping[str, str] = {} if invoice is None else invoice.reconciled
    payment_id = next((id_ for id_, of in reconciled.items() if of == command.transaction_id), None)
    if payment_id is None or state.status is TransactionStatus.RECONCILED:
        return ()
    return (filled(TransactionReconciled, command, payment_id=payment_id),)


def _usual(command: RecordTransaction) -> StreamId:
    kind: Kind = "came_in" if command.amount > 0 else "went_out"
    return usual_amounts_stream(kind, command.party, command.currency)


def transaction_reads(command: TransactionCommand, _actor: Actor) -> tuple[StreamId, ...]:
    if isinstance(command, RecordTransaction):
        return (_usual(command),)
    return (invoice_stream(command.invoice),) if isinstance(command, SettleTransaction) else ()


TRANSACTION = Decider(
    category="transaction",
    commands=classes_of(TransactionCommand),
    events=classes_of(TransactionEvent),
    decide=decide_transaction,
    evolve=evolve_transaction,
    reads=transaction_reads,
)
