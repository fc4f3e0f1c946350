"""These are the rules for what a party's bills and payments usually come to, and which amount is far from that.

A stream holds the latest amounts of one party, currency and kind. Nothing is learned but what is recorded there.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from statistics import median_low
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from domain.finance.values import Exact, Party, amount_text, minus, times
from domain.given import Given
from domain.message import Command, Decider, Event, filled, value
from schemas.envelope import StreamId
from schemas.values import Currency, Text

LATEST = 50
"""Amounts of a party that are looked at."""

LEAST = 8
"""Before there are so many, nothing is unusual."""

FAR = Decimal(8)
"""In distances from the middle, as half of the amounts are nearer than one. Source: docs/statements.md."""

Kind = Literal["bill", "came_in", "went_out"]


def usual_amounts_stream(kind: Kind, party: str, currency: str) -> StreamId:
    return StreamId(f"usual_amounts-{kind}:{quote(party, safe='')}:{currency}")


class AmountFlag(StrEnum):
    HIGH = "HIGH"
    LOW = "LOW"


# --- the command and the event


@value
class NoteAmount(Command):
    """Remember what a bill or a payment of a party came to; a process sends it.

    Shape: `subject` is the stream of the invoice or transaction; said again, the later amount counts.
    """

    IS_OURS: ClassVar = True
    kind: Kind
    party: Party
    currency: Currency
    subject: Text
    amount: Annotated[Decimal, Field(gt=0, max_digits=38, decimal_places=16, allow_inf_nan=False)]

    @property
    def stream(self) -> StreamId:
        return usual_amounts_stream(self.kind, self.party, self.currency)


@value
class AmountNoted(Event):
    TYPE: ClassVar = "amount.noted"
    subject: str
    amount: Exact


# --- state


@value
class UsualAmounts:
    """Shape: the latest amounts by their subjects, the oldest first."""

    amounts: Mapping[str, Decimal]


def evolve_amounts(state: UsualAmounts | None, event: AmountNoted) -> UsualAmounts:
    before = {} if state is None else {id_: amount for id_, amount in state.amounts.items() if id_ != event.subject}
    latest = list({**before, event.subject: event.amount}.items())[-LATEST:]
    return UsualAmounts(amounts=dict(latest))


# --- rules


@value
class Unusual:
    flag: AmountFlag
    reason: str


def unusual(state: UsualAmounts | None, subject: str, amount: Decimal) -> Unusual | None:
    """Say whether an amount is far from what is usual, None where it is not or too little is known.

    Shape: the middle and the distances from it are medians, which a few odd amounts do not move. Far is what is
    further from the middle than `FAR` times the usual distance, and further than half of the middle.
    """
    others = [] if state is None else [one for id_, one in state.amounts.items() if id_ != subject]
    if len(others) < LEAST:
        return None
    middle = median_low(others)
    usual = median_low([abs(minus(one, middle)) for one in others])
    away = abs(minus(amount, middle))
    if away <= times(usual, FAR) or times(away, Decimal(2)) <= middle:
        return None
    flag = AmountFlag.HIGH if amount > middle else AmountFlag.LOW
    side = "above" if flag is AmountFlag.HIGH else "below"
    said = f"{amount_text(amount)} is far {side} {amount_text(middle)}, the middle of the latest {len(others)}"
    return Unusual(flag=flag, reason=f"{said} of this party")


def decide_amounts(command: NoteAmount, state: UsualAmounts | None, _given: Given) -> tuple[AmountNoted, ...]:
    is_known = state is not None and state.amounts.get(command.subject) == command.amount
    return () if is_known else (filled(AmountNoted, command),)


USUAL_AMOUNTS = Decider(
    category="usual_amounts",
    commands=(NoteAmount,),
    events=(AmountNoted,),
    decide=decide_amounts,
    evolve=evolve_amounts,
)
