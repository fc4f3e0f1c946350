"""This sends the commands that watches lead to, and says which of them were refused."""

import logging
from collections.abc import Callable, Sequence

from domain.rejection import Kind
from streams.correlate.known import Known
from streams.ports import LogUnavailable, Reply, Submission

_LOG = logging.getLogger(__name__)

Send = Callable[[Sequence[Submission]], Sequence[Reply]]
"""Executes commands in order and returns when they are durable. Raises: LogUnavailable, Overloaded; safe to retry."""


def send_all(send: Send, told: Sequence[Known]) -> None:
    """Send what is not known to be answered. Raises: LogUnavailable, Overloaded; safe to retry."""
    submissions = [submission for known in told for submission in known.submissions()]
    for submission, reply in zip(submissions, send(submissions), strict=True):
        if reply.refusal is None:
            continue
        if reply.refusal.kind is Kind.NOT_NOW:
            raise LogUnavailable(f"{submission.name} was refused for now: {reply.refusal.reason}")
        _LOG.warning(
            "%s of %s's %s refused: %s", submission.name, submission.tenant_id, submission.actor.id, reply.refusal
        )
