"""The integration context: other systems are told what happens here, and say what happens there."""

from collections.abc import Sequence

from domain.context import Context
from domain.integration.change import CHANGE
from domain.integration.connector import CONNECTOR
from domain.integration.decide_webhook import WEBHOOK_ENDPOINT
from domain.integration.processes import outbound_webhooks
from domain.message import Event
from domain.operations.retry import RETRIES
from domain.operations.task import TASK

_NOT_OFFERED = (TASK, RETRIES)
"""A delivery is a task itself: events of tasks would be sent for ever."""


def offered_by(contexts: Sequence[Context]) -> tuple[type[Event], ...]:
    """Return the events that webhooks may tell of: those of these contexts, and what comes from outside."""
    deciders = [decider for context in contexts for decider in context.deciders if decider not in _NOT_OFFERED]
    deciders.append(CHANGE)
    return tuple(event for decider in deciders for event in decider.events)


def integration_beside(others: Sequence[Context]) -> Context:
    """Return the context whose webhooks tell of the events of these."""
    offered = offered_by(others)
    deciders = (WEBHOOK_ENDPOINT, CONNECTOR, CHANGE)
    return Context(name="integration", deciders=deciders, processes=(outbound_webhooks(offered),))
