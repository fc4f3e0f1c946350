"""Every read comes through here: who asks, with which right, and how far the view must be."""

from contextlib import ExitStack
from time import monotonic
from typing import Annotated, NamedTuple

from fastapi import Header, Request

from projections.operations import Progress
from projections.personal import Opening
from read_api.answers import Answers, Asked
from read_api.edge.asking import Asking
from read_api.edge.auth import Caller
from read_api.edge.cursors import Cursors
from read_api.edge.parameters import parse_positions
from read_api.edge.problems import RETRY_AFTER_S, Problem
from read_api.edge.responses import AsOf
from read_api.edge.scopes import may, require
from schemas.envelope import Position, TenantId

ConsistentWith = Annotated[
    str | None,
    Header(
        alias="X-Consistent-With",
        max_length=1024,
        description="positions, as replies to commands give them: wait until the answer includes them",
        openapi_examples={"after a command": {"value": "events/0/42"}},
    ),
]


PERSONAL_SCOPE = "personal:read"

_SEEN_WITHIN_S = 1.0


class Read(NamedTuple):
    """An allowed read. `as_of` was taken before the store is asked, so the rows are at least that new."""

    caller: Caller
    answers: Answers
    as_of: AsOf
    path: str

    @property
    def tenant_id(self) -> TenantId:
        return self.caller.tenant_id

    @property
    def opening(self) -> Opening:
        """Return what opens personal fields for the caller, or masks them."""
        return Opening(self.answers.personal, allowed=may(self.caller, PERSONAL_SCOPE))

    def cursors(self, **question: object) -> Cursors:
        return Cursors(self.answers.cursor_secret, self.tenant_id, self.path, question, log=self.answers.log)


class Reading:
    """A dependency: authorise who asks, then wait for the view where the caller asks for it."""

    def __init__(self, resource: str, view: str | None = None) -> None:
        self._resource = resource
        self._view = view

    def __call__(
        self, request: Request, caller: Asking, answers: Asked, consistent_with: ConsistentWith = None
    ) -> Read:
        require(caller, f"{self._resource}:read")
        if self._view is None:
            return Read(caller, answers, AsOf.of(answers.now(), ()), request.url.path)
        if consistent_with is not None:
            _wait(
                answers,
                self._view,
                parse_positions(consistent_with, "X-Consistent-With", answers.log),
                caller.tenant_id,
            )
        as_of = AsOf.of(answers.now(), answers.progress.reached(self._view))
        return Read(caller, answers, as_of, request.url.path)


def _wait(answers: Answers, view: str, positions: list[Position], tenant_id: TenantId) -> None:
    deadline = monotonic() + answers.consistency_wait_s
    for position in positions:
        if not answers.progress.wait_for((view,), position, 0):
            _wait_long(answers, view, position, deadline, tenant_id)


def _wait_long(answers: Answers, view: str, position: Position, deadline: float, tenant_id: TenantId) -> None:
    with ExitStack() as stack:
        if not answers.waiting_slots.acquire(blocking=False):
            raise Problem(503, "too many reads wait for a view already; try again", retry_after_s=RETRY_AFTER_S)
        stack.callback(answers.waiting_slots.release)
        # what was answered a moment ago may not be seen by readers of the log yet
        if answers.progress.wait_for((view,), position, min(_SEEN_WITHIN_S, max(0.0, deadline - monotonic()))):
            return
        _check_end(answers, position, tenant_id)
        if answers.progress.wait_for((view,), position, max(0.0, deadline - monotonic())):
            return
    at = _reached(answers.progress, view, position)
    raise Problem(503, f"{view} is at {at}, not yet at {position}; try again", retry_after_s=RETRY_AFTER_S, reached=at)


def _check_end(answers: Answers, position: Position, tenant_id: TenantId) -> None:
    """Raises: Problem (409), the position is past the end of the log: no view will ever be there because of it."""
    for end in answers.feed.ends(tenant_id):
        if end[:2] == position[:2] and position.position > end.position:
            raise Problem(409, f"{position} is past the end of the log, which is at {end}; ask without it")


def _reached(progress: Progress, view: str, position: Position) -> str:
    found = (place for place in progress.reached(view) if (place.topic, place.partition) == position[:2])
    return str(position._replace(position=next((place.position for place in found), 0)))
