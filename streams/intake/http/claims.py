"""Claims of tasks wait here; those of one tenant that come at the same time are decided together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from domain.operations.task import ClaimTask, TaskKind, TaskStatus
from projections.automation.tasks import PROJECTION as TASKS
from projections.fields import instant_text
from projections.readers import DocumentsReader
from projections.rows import Document
from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from schemas.envelope import TenantId
from schemas.json_text import json_value
from schemas.values import Name
from streams.identifiers import new_id
from streams.intake.http.commands import BatchGate
from streams.intake.http.giving import submission
from streams.ports import Reply

MAX_WAITING_OF_TENANT = 100
"""Claims of one tenant that may wait for tasks; one more is answered 429, so that each tenant has its share."""

_TOGETHER = 500
"""Tasks that claims ask for together: what the writer decides in one transaction."""

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 0.5
_TRIED_S = 1.0
_PAGE = 200

_Rows = Sequence[dict[str, Any]]


class Wanted(BaseModel):
    """What a worker asks for. Units: `wait_s` is how long it waits where there is no task now."""

    model_config = ConfigDict(extra="forbid")
    kinds: Annotated[tuple[TaskKind, ...], Field(min_length=1, max_length=20)]
    worker: Name
    max: Annotated[int, Field(ge=1, le=100)] = 1
    wait_s: Annotated[float, Field(ge=0, le=60)] = 0


class _Asked(NamedTuple):
    caller: Caller
    wanted: Wanted
    given: "asyncio.Future[_Rows]"


class Claims:
    """Finds tasks in their view and claims them; whose a task becomes is the writer's to decide.

    Shape: what was claimed a moment ago may still look free in the view, so it is not tried again. Who came first is
    served first.
    """

    def __init__(self, gate: BatchGate, documents: DocumentsReader) -> None:
        self._gate = gate
        self._documents = documents
        self._of: dict[TenantId, _OfTenant] = {}

    async def claim(self, caller: Caller, wanted: Wanted, is_gone: Callable[[], Awaitable[bool]]) -> _Rows:
        """Return what is the caller's now, () if there was nothing in time or the caller is gone.

        Raises: Problem, too many wait; LogUnavailable and StoreUnavailable, safe to retry.
        """
        tenant = self._of.setdefault(caller.tenant_id, _OfTenant())
        if tenant.waiting >= MAX_WAITING_OF_TENANT:
            raise Problem(429, f"{MAX_WAITING_OF_TENANT} claims of this tenant wait already", retry_after_s=1)
        tenant.waiting += 1
        try:
            return await self._wait(tenant, caller, wanted, is_gone)
        finally:
            tenant.waiting -= 1

    async def _wait(
        self, tenant: "_OfTenant", caller: Caller, wanted: Wanted, is_gone: Callable[[], Awaitable[bool]]
    ) -> _Rows:
        loop = asyncio.get_running_loop()
        until, pause_s = loop.time() + wanted.wait_s, _FIRST_PAUSE_S
        while True:
            asked = _Asked(caller, wanted, loop.create_future())
            tenant.asked.append(asked)
            if tenant.turns is None:
                # one turn after the other: two would try the same tasks
                tenant.turns = asyncio.create_task(self._take_turns(tenant, caller.tenant_id))
            claimed = await asked.given
            left_s = until - loop.time()
            if claimed or left_s <= 0:
                return claimed
            await asyncio.sleep(min(pause_s, left_s))
            if await is_gone():
                # after the pause: a task that came in it would be given to nobody
                return ()
            pause_s = min(_LAST_PAUSE_S, 2 * pause_s)

    async def _take_turns(self, tenant: "_OfTenant", tenant_id: TenantId) -> None:
        try:
            while together := tenant.next():
                await self._answer(tenant, tenant_id, together)
        finally:
            tenant.turns = None

    async def _answer(self, tenant: "_OfTenant", tenant_id: TenantId, together: Sequence[_Asked]) -> None:
        try:
            tenant.remember(())
            shares = await asyncio.to_thread(self._shares, tenant, tenant_id, [asked.wanted for asked in together])
            given = await self._decide(tenant, together, shares)
        except Exception as error:  # noqa: BLE001 - it is raised where the claim waits
            for asked in together:
                if not asked.given.done():
                    asked.given.set_exception(error)
            return
        for asked, rows in zip(together, given, strict=True):
            if not asked.given.done():
                asked.given.set_result(rows)

    def _shares(
        self, tenant: "_OfTenant", tenant_id: TenantId, wanted: Sequence[Wanted]
    ) -> Sequence[Sequence[Document]]:
        """Return for each what waits of its kinds, the longest waiting first, no task twice."""
        most = dict.fromkeys((kind for one in wanted for kind in one.kinds), 0)
        for one in wanted:
            for kind in one.kinds:
                most[kind] += one.max
        ready = sorted(
            (document for kind in most for document in self._ready(tenant, tenant_id, kind, most[kind])),
            key=lambda document: (document.fields["ready_at"], document.id),
        )
        shares: list[list[Document]] = []
        for one in wanted:
            share = [document for document in ready if document.fields["kind"] in one.kinds][: one.max]
            taken = {document.id for document in share}
            ready = [document for document in ready if document.id not in taken]
            shares.append(share)
        return shares

    def _ready(self, tenant: "_OfTenant", tenant_id: TenantId, kind: str, most: int) -> Sequence[Document]:
        now, found = instant_text(datetime.now(UTC)), list[Document]()
        for document in self._waiting(tenant_id, kind, most):
            if len(found) == most or document.fields["ready_at"] > now:
                break
            if _attempt_of(document) not in tenant.tried:
                found.append(document)
        return found

    def _waiting(self, tenant_id: TenantId, kind: str, most: int) -> Iterator[Document]:
        after: tuple[str, str] | None = None
        limit = min(most, _PAGE)
        while True:
            page = self._documents.find(
                TASKS.name,
                tenant_id,
                filters={"status": TaskStatus.WAITING.value, "kind": kind},
                sort="ready_at",
                descending=False,
                after=after,
                limit=limit,
            )
            yield from page
            if len(page) < limit:
                return
            after, limit = (page[-1].fields["ready_at"], page[-1].id), _PAGE

    async def _decide(
        self, tenant: "_OfTenant", together: Sequence[_Asked], shares: Sequence[Sequence[Document]]
    ) -> Sequence[_Rows]:
        tried = [
            (asked, document, _claim(document, asked.wanted.worker))
            for asked, share in zip(together, shares, strict=True)
            for document in share
        ]
        if not tried:
            return [()] * len(together)
        replies = await self._gate.execute_many(
            [submission(asked.caller, claim, new_id()) for asked, _, claim in tried]
        )
        tenant.remember(_attempt_of(document) for _, document, _ in tried)
        rows: dict[int, list[dict[str, Any]]] = {id(asked): [] for asked in together}
        for (asked, document, _), reply in zip(tried, replies, strict=True):
            if isinstance(reply, Reply) and reply.refusal is None:
                rows[id(asked)].append(_row(document))
        return [rows[id(asked)] for asked in together]


def _claim(document: Document, worker: str) -> ClaimTask:
    id_, attempt = _attempt_of(document)
    return ClaimTask(task_id=id_, worker=worker, attempt=attempt)


def _row(document: Document) -> dict[str, Any]:
    return {
        "task_id": document.id,
        "kind": document.fields["kind"],
        "input": json_value(document.fields["input"]),
        "attempt": _attempt_of(document)[1],
        "timeout_s": document.fields["timeout_s"],
        "heartbeat_s": document.fields.get("heartbeat_s"),
    }


def _attempt_of(document: Document) -> tuple[str, int]:
    """Return which attempt the next claim of a task begins."""
    return document.id, document.fields["attempt"] + 1


class _OfTenant:
    """The claims of one tenant, and the attempts that were tried lately."""

    def __init__(self) -> None:
        self.waiting = 0
        self.asked: deque[_Asked] = deque()
        self.turns: asyncio.Task[None] | None = None
        self._tried: dict[tuple[str, int], float] = {}

    def next(self) -> Sequence[_Asked]:
        """Take out who is served in the next turn; who is gone is not."""
        together: list[_Asked] = []
        left = _TOGETHER
        while self.asked and (not together or self.asked[0].wanted.max <= left):
            asked = self.asked.popleft()
            if not asked.given.done():
                together.append(asked)
                left -= asked.wanted.max
        return together

    @property
    def tried(self) -> Collection[tuple[str, int]]:
        return self._tried

    def remember(self, attempts: Iterable[tuple[str, int]]) -> None:
        now = monotonic()
        lately = {attempt: at for attempt, at in self._tried.items() if at > now - _TRIED_S}
        self._tried = lately | dict.fromkeys(attempts, now)
