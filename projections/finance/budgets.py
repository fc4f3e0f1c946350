"""This view answers which budgets there are, what was spent of each last, and when it was exceeded."""

from typing import Any, assert_never

from domain.finance.budget import BUDGET, BudgetEvent, BudgetExceeded, BudgetSet, SpendRecorded
from domain.finance.values import amount_text
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: BudgetEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: BudgetEvent) -> dict[str, Any]:
    match event:
        case BudgetSet():
            return {
                "category": event.category,
                "currency": event.currency,
                "amount": amount_text(event.amount),
                "period": event.period,
                "timezone": event.timezone,
                "set_at": instant_text(envelope.happened_at),
            }
        case SpendRecorded():
            return {"last_period": event.within, "last_spent": amount_text(event.spent)}
        case BudgetExceeded():
            return {"exceeded_in": event.within, "exceeded_at": instant_text(envelope.happened_at)}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="budgets",
    layout=Documents(
        filters=("category", "currency", "exceeded_in"),
        sorts=("category", "set_at"),
        default_sort="category",
        scope="budgets",
        example={
            "id": "hosting:EUR",
            "version": 4,
            "category": "hosting",
            "currency": "EUR",
            "amount": "500.0000",
            "period": "month",
            "last_period": "2026-01",
            "last_spent": "431.2000",
        },
    ),
    topics=(Topic.EVENTS,),
    events=BUDGET.events,
    project=project,
)
