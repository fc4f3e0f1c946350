"""These are the commands, the events, the state and the rules of a tenant's limits for automatic approval."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from domain.finance.values import Amount
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, value
from schemas.envelope import StreamId
from schemas.values import MONEY_SCALE, Currency

APPROVAL_LIMITS_STREAM = StreamId("approval_limits-all")
"""All currencies are one stream: an invoice is looked up in it before its currency is known to anybody but itself."""


@value
class SetApprovalLimit(Command):
    """Incoming invoices of up to `limit` are approved by themselves; without a limit all wait as they did before."""

    currency: Currency
    limit: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=MONEY_SCALE, allow_inf_nan=False)] | None

    @property
    def stream(self) -> StreamId:
        return APPROVAL_LIMITS_STREAM


@value
class ApprovalLimitSet(Event):
    """Shape: null takes the limit of the currency away."""

    TYPE: ClassVar = "approval.limit.set"
    currency: str
    limit: Amount | None


@value
class ApprovalLimits:
    by_currency: Mapping[str, Decimal]


def evolve_limits(state: ApprovalLimits | None, event: ApprovalLimitSet) -> ApprovalLimits:
    limits = {} if state is None else dict(state.by_currency)
    limits.pop(event.currency, None)
    if event.limit is not None:
        limits[event.currency] = event.limit
    return ApprovalLimits(by_currency=limits)


def decide_limits(
    command: SetApprovalLimit, state: ApprovalLimits | None, _given: Given
) -> tuple[ApprovalLimitSet, ...]:
    before = None if state is None else state.by_currency.get(command.currency)
    return () if state is not None and before == command.limit else (filled(ApprovalLimitSet, command),)


APPROVAL_LIMITS = Decider(
    category="approval_limits",
    commands=classes_of(SetApprovalLimit),
    events=classes_of(ApprovalLimitSet),
    decide=decide_limits,
    evolve=evolve_limits,
)
