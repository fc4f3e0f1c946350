"""Every read comes through here: who asks, with which right, and how far the view must be."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, TypeVar

from anyio import to_thread
from fastapi import Header
from fastapi.requests import HTTPConnection

from projections.operations import Progress
from projections.personal import Opening
from projections.question import Question
from projections.rows import Checkpoint
from read_api.answers import Answers, Asked
from read_api.edge.asking import Known
from read_api.edge.auth import Caller
from read_api.edge.cursors import Cursors
from read_api.edge.forms import Form, form_of
from read_api.edge.moments import is_relative
from read_api.edge.parameters import parse_positions
from read_api.edge.problems import RETRY_AFTER_S, Problem
from read_api.edge.rates import count
from read_api.edge.responses import AsOf
from read_api.edge.scopes import as_of_tenant, may, require, require_history
from schemas.envelope import SYSTEM_TENANT, Position, TenantId, Topic
from schemas.partitioning import partition_of

R = TypeVar("R")

ConsistentWith = Annotated[
    str | None,
    Header(
        alias="X-Consistent-With",
        max_length=8_192,
        description="positions, as replies to commands give them: wait until the answer includes them",
        openapi_examples={"after a command": {"value": "events/0/42"}},
    ),
]


PERSONAL_SCOPE = "personal:read"

_SEEN_WITHIN_S = 1.0


class Read(NamedTuple):
    """An allowed read. `as_of` was taken before the store is asked, so the rows are at least that new.

    Shape: `form` is how the caller wants rows, `said` what the query said. `own` says that the caller may see only what
    they made themselves.
    """

    caller: Caller
    answers: Answers
    as_of: AsOf
    path: str
    form: Form = Form.JSON
    said: Mapping[str, str] = MappingProxyType({})
    own: bool = False

    @property
    def tenant_id(self) -> TenantId:
        return self.caller.tenant_id

    @property
    def opening(self) -> Opening:
        """Return what opens personal fields for the caller, or masks them."""
        return Opening(self.answers.personal, allowed=may(self.caller, PERSONAL_SCOPE))

    @property
    def limited(self) -> bool:
        """Return whether the caller said how many rows a page has."""
        return "limit" in self.said

    def asking(self, question: Question[R], **parameters: Any) -> Future[Sequence[R]]:
        """Ask the analytics in one of the threads that have a session with it. Raises: as `AnalyticsReader.ask`."""
        ask = partial(self.answers.analytics.ask, question, self.tenant_id, **parameters)
        return self.answers.analytics_threads.submit(ask)

    def ask(self, question: Question[R], **parameters: Any) -> Sequence[R]:
        """Do as `asking`, and wait for the answer."""
        return self.asking(question, **parameters).result()

    def cursors(self, **question: object) -> Cursors:
        # a time before now is another instant on each page: the pages of a list are those of what was said
        moving = {name: text for name, text in self.said.items() if name in question and is_relative(text)}
        bound = {**question, **moving}
        return Cursors(self.answers.cursor_secret, self.tenant_id, self.path, bound, log=self.answers.log)


class Reading:
    """A dependency: authorise who asks, then wait for the views where the caller asks for it.

    Shape: `own` and `organization` say that the route heeds `Read.own` and the caller's organization, so that those
    may ask too who see nothing of others.
    """

    def __init__(
        self, resource: str, *views: str, history: bool = False, own: bool = False, organization: bool = False
    ) -> None:
        self._resource = resource
        self._views = views
        self._history = history
        self._own = own
        self._organization = organization

    async def __call__(
        self, request: HTTPConnection, caller: Known, answers: Asked, consistent_with: ConsistentWith = None
    ) -> Read:
        own = self.check(caller)
        await count(request, caller)
        form = form_of(request.headers.get("Accept", ""))
        path, said = request.url.path, request.query_params
        read = partial(self.read, caller, answers, consistent_with, path=path, form=form, said=said, own=own)
        # a thread costs more than what it would do here
        may_wait = consistent_with is not None or answers.progress.waits
        return await to_thread.run_sync(read) if may_wait else read()

    def check(self, caller: Caller) -> bool:
        """Return whether the caller may read only what is their own. Raises: Forbidden, nothing at all."""
        own = self._own and not may(caller, f"{self._resource}:read") and may(caller, f"{self._resource}:own")
        if not own:
            require(as_of_tenant(caller) if self._organization else caller, f"{self._resource}:read")
        if self._history:
            require_history(caller)
        return own

    def read(
        self,
        caller: Caller,
        answers: Answers,
        consistent_with: str | None,
        *,
        path: str,
        form: Form = Form.JSON,
        said: Mapping[str, str] = MappingProxyType({}),
        own: bool = False,
    ) -> Read:
        """Wait for the views where the caller asks for it. Raises: Problem."""
        if consistent_with is not None:
            positions = parse_positions(consistent_with, "X-Consistent-With", answers.log)
            _check_own(caller, positions, answers.partitions)
            for view in self._views:
                _wait(answers, view, positions, caller.tenant_id)
                _check_taken(answers, view, caller.tenant_id, positions)
        places = own_places(caller, _least(answers.progress, self._views), answers.partitions)
        as_of = AsOf.of(answers.now(), places)
        return Read(caller, answers, as_of, path, form, said, own)


def own_places(caller: Caller, places: Sequence[Checkpoint], partitions: int) -> Sequence[Checkpoint]:
    """Return the places that a caller may know: all for the operator, else those where the tenant's records can be.

    Shape: what a tenant decided is in its own partition, what its devices report in any.
    """
    if caller.tenant_id == SYSTEM_TENANT:
        return places
    home = partition_of(caller.tenant_id, partitions)
    return [place for place in places if place.topic == Topic.TELEMETRY or place.partition == home]


def _check_own(caller: Caller, positions: Sequence[Position], partitions: int) -> None:
    """Raises: Problem, a position is not of the tenant's partition, so no reply to it can have said it."""
    home = partition_of(caller.tenant_id, partitions)
    for position in positions:
        is_elsewhere = position.topic is Topic.EVENTS and position.partition != home
        if is_elsewhere and caller.tenant_id != SYSTEM_TENANT:
            raise Problem(400, f"{position} is not in the partition of this tenant, which is {home}")


def _check_taken(answers: Answers, view: str, tenant_id: TenantId, positions: Sequence[Position]) -> None:
    """Raises: Problem, the view has passed one of the positions without taking what is there."""
    for position in positions:
        letter = answers.progress.missing(view, tenant_id, position)
        if letter is not None:
            raise Problem(
                409,
                f"{view} does not have {position}: its stream {letter.stream} is parked behind a record that the view"
                f" cannot take ({letter.reason}); waiting does not help, an operator has to retry or discard it, as in"
                f" `factline dead-letters retry {view}`",
                stream=letter.stream,
                position=str(position),
            )


def _least(progress: Progress, views: Sequence[str]) -> Sequence[Checkpoint]:
    """Return how far all of the views are: of each partition the least that one of them reached.

    Raises: Problem, one of them is not live yet.
    """
    reached = [{place[:2]: place for place in _reached_by(progress, view)} for view in views]
    everywhere = set.intersection(*map(set, reached)) if reached else set()
    return [min((places[at] for places in reached), key=lambda place: place.position) for at in everywhere]


def _reached_by(progress: Progress, view: str) -> Sequence[Checkpoint]:
    reached = progress.reached(view)
    if reached is None:
        detail = f"{view} is new and being built from the log: nothing can be read of it yet; try again"
        raise Problem(503, detail, retry_after_s=RETRY_AFTER_S)
    return reached


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
    found = (place for place in progress.reached(view) or () if (place.topic, place.partition) == position[:2])
    return str(position._replace(position=next((place.position for place in found), 0)))
