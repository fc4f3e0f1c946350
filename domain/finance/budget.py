"""These are the commands, the events, the state and the rules of a budget: what a category may cost in a period."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, assert_never
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import Field

from domain.finance.values import EXACT_LIMIT, Amount, Exact, plus
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import invalid, not_found
from schemas.envelope import StreamId
from schemas.values import MONEY_SCALE, Currency, Instant, Name, Text, Zone

Period = Literal["month", "quarter", "year"]


def period_of(at: datetime, period: str, zone: str) -> str:
    """Return the period of a time zone that an instant lies in: `2026-01`, `2026-Q1` or `2026`."""
    local = at.astimezone(ZoneInfo(zone))
    match period:
        case "month":
            return f"{local:%Y-%m}"
        case "quarter":
            return f"{local:%Y}-Q{(local.month + 2) // 3}"
        case _:
            return f"{local:%Y}"


# --- commands


@value
class _OfBudget(Command):
    category: Name
    currency: Currency

    @property
    def stream(self) -> StreamId:
        return StreamId(f"budget-{quote(self.category, safe='')}:{self.currency}")


@value
class SetBudget(_OfBudget):
    """Counts what is approved from now on; a change leaves what was spent as it is."""

    amount: Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=MONEY_SCALE, allow_inf_nan=False)]
    period: Period = "month"
    timezone: Zone = "UTC"


@value
class RecordSpend(_OfBudget):
    """Counts an approved invoice, or takes it back where the amount is below zero; a process sends it."""

    invoice: Text
    amount: Annotated[Decimal, Field(max_digits=38, decimal_places=16, allow_inf_nan=False)]
    spent_at: Instant


BudgetCommand = SetBudget | RecordSpend

# --- events


@value
class BudgetSet(Event):
    TYPE: ClassVar = "budget.set"
    category: str
    currency: str
    amount: Amount
    period: str
    timezone: str


@value
class SpendRecorded(Event):
    """Shape: `spent` is what was spent in the period `within` so far."""

    TYPE: ClassVar = "budget.spend.recorded"
    invoice: str
    amount: Exact
    within: str
    spent: Exact


@value
class BudgetExceeded(Event):
    """Comes once for a period, whatever is taken back and spent again."""

    TYPE: ClassVar = "budget.exceeded"
    within: str
    amount: Amount
    spent: Exact


BudgetEvent = BudgetSet | SpendRecorded | BudgetExceeded

# --- state


@value
class Budget:
    """Shape: `spent` is by period; `exceeded` names the periods in which it was, as a set that can be shown."""

    amount: Decimal
    period: str
    timezone: str
    spent: Mapping[str, Decimal]
    exceeded: Mapping[str, bool]


def evolve_budget(state: Budget | None, event: BudgetEvent) -> Budget:
    match event:
        case BudgetSet():
            spent, exceeded = ({}, {}) if state is None else (state.spent, state.exceeded)
            return filled(Budget, event, spent=spent, exceeded=exceeded)
        case SpendRecorded():
            before = known(state)
            return replace(before, spent={**before.spent, event.within: event.spent})
        case BudgetExceeded():
            before = known(state)
            return replace(before, exceeded={**before.exceeded, event.within: True})
        case _:
            assert_never(event)


# --- rules


def decide_budget(command: BudgetCommand, state: Budget | None, given: Given) -> tuple[BudgetEvent, ...]:
    if isinstance(command, SetBudget):
        return _set(command, state, given)
    if state is None:
        raise not_found(f"there is no budget for {command.category} in {command.currency}")
    within = period_of(command.spent_at, state.period, state.timezone)
    spent = plus(state.spent.get(within, Decimal(0)), command.amount)
    if abs(spent) >= EXACT_LIMIT:
        raise invalid(f"what is spent on {command.category} would come to {spent:f}; it has at most 22 digits")
    recorded = SpendRecorded(invoice=command.invoice, amount=command.amount, within=within, spent=spent)
    return (recorded, *_exceeded(evolve_budget(state, recorded), within))


def _set(command: SetBudget, state: Budget | None, given: Given) -> tuple[BudgetEvent, ...]:
    event = filled(BudgetSet, command)
    after = evolve_budget(state, event)
    if after == state:
        return ()
    return (event, *_exceeded(after, period_of(given.now, after.period, after.timezone)))


def _exceeded(budget: Budget, within: str) -> tuple[BudgetExceeded, ...]:
    spent = budget.spent.get(within, Decimal(0))
    if within in budget.exceeded or spent <= budget.amount:
        return ()
    return (BudgetExceeded(within=within, amount=budget.amount, spent=spent),)


BUDGET = Decider(
    category="budget",
    commands=classes_of(BudgetCommand),
    events=classes_of(BudgetEvent),
    decide=decide_budget,
    evolve=evolve_budget,
)
