"""Workers take tasks here, say that they are at it, and give their answers."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain import catalog
from domain.message import Command
from domain.operations.task import ClaimTask, CompleteTask, FailTask, HeartbeatTask, TaskKind, TaskStatus
from projections.automation.tasks import PROJECTION as TASKS
from projections.fields import instant_text
from projections.readers import DocumentsReader
from projections.rows import Document
from read_api.edge.asking import Allowed, caller_of
from read_api.edge.auth import Caller
from read_api.edge.direct_route import DirectRoute
from read_api.edge.problems import Problem
from read_api.edge.quotas import use_quota
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import require
from schemas.envelope import TenantId
from schemas.json_text import json_value
from schemas.values import Name
from streams.identifiers import new_id
from streams.intake.http.bodies import body_of, json_of
from streams.intake.http.command_docs import KEY, REPLIED
from streams.intake.http.commands import BatchGate, invalid
from streams.intake.http.described import body_of_schema, described_body, schema_of
from streams.intake.http.giving import Giving, submission
from streams.intake.http.provider_keys import TaskSecrets
from streams.intake.http.tenants import read_body
from streams.ports import Reply

MAX_WAITING_OF_TENANT = 100
"""Claims of one tenant that may wait for tasks; one more is answered 429, so that each tenant has its share."""

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 0.5
_TRIED_S = 1.0
_WORK = f"{TASKS.layout.scope}:write"
_Working = Annotated[Caller, Depends(Allowed(_WORK, records="events"))]
_GIVEN = {
    "rows": [
        {
            "task_id": "check-web-1",
            "kind": "http.check",
            "input": {"url": "https://web-1.example"},
            "attempt": 1,
            "timeout_s": 300,
            "heartbeat_s": 60,
        },
        {
            "task_id": "draft-1",
            "kind": "chat.complete",
            "input": {"provider_key": "openai", "model": "gpt-4o-mini", "messages": []},
            "attempt": 1,
            "timeout_s": 300,
            "heartbeat_s": None,
            # only for a key with the scope secrets:read, where the input names a provider key for tasks of this kind
            "provider": {
                "key_id": "openai",
                "provider": "openai",
                "base_url": "https://api.openai.com/v1",
                "secret": "sk-…",
            },
        },
    ]
}


class _Claim(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kinds: Annotated[tuple[TaskKind, ...], Field(min_length=1, max_length=20)]
    worker: Name
    max: Annotated[int, Field(ge=1, le=100)] = 1
    wait_s: Annotated[float, Field(ge=0, le=60)] = 0


def tasks_router(
    gate: BatchGate, documents: DocumentsReader, secrets: TaskSecrets, fingerprint_key: bytes
) -> APIRouter:
    """Shape: `documents` has the view of tasks; `fingerprint_key` is the deployment's."""
    router = APIRouter(tags=["tasks"], route_class=DirectRoute)
    claims, giving = _Claims(gate, documents), Giving(gate, fingerprint_key)

    @router.post(
        "/v1/tasks/claim",
        summary="Take up to `max` tasks of these kinds, the longest waiting first; wait for one for up to `wait_s`",
        responses=answered(_GIVEN, "Those that are the caller's now, perhaps none"),
        openapi_extra=described_body(_Claim, {"kinds": ["http.check"], "worker": "worker-1", "max": 10, "wait_s": 20}),
    )
    async def claim(request: Request, caller: _Working) -> Response:
        async def is_gone() -> bool:
            # who waits for a minute may have lost the right meanwhile
            require(await caller_of(request), _WORK)
            return await request.is_disconnected()

        wanted = await read_body(request, _Claim)
        claimed = await claims.claim(caller, wanted, is_gone)
        await use_quota(request, caller, "events", len(claimed))
        rows = [{**row, **await secrets.with_task(caller, row["kind"], row["input"])} for row in claimed]
        return Json({"rows": rows})

    def add_answer(name: str, command: type[Command], summary: str, example: dict[str, Any]) -> None:
        async def say(task_id: str, request: Request, caller: _Working) -> Response:
            async with body_of(request) as raw:
                body = json_of(raw)
                if not isinstance(body, dict):
                    raise Problem(400, "the body must be a JSON object with the `attempt`")
                try:
                    said = catalog.adapter(command).validate_python({**body, "task_id": task_id})
                except ValidationError as error:
                    raise invalid(error) from error
                return await giving.give(request, caller, said, [task_id, body])

        body = body_of_schema(_without_task_id(schema_of(command)), example)
        docs = {"parameters": [KEY], "requestBody": body}
        path = f"/v1/tasks/{{task_id}}/{name}"
        router.post(path, summary=summary, responses=REPLIED, openapi_extra=docs)(say)

    add_answer("heartbeat", HeartbeatTask, "The attempt goes on: its lease begins anew", {"attempt": 1})
    add_answer("complete", CompleteTask, "The attempt is done", {"attempt": 1, "output": {"status": 200}})
    add_answer("fail", FailTask, "The attempt failed", {"attempt": 1, "error": "connection refused"})
    return router


def _without_task_id(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body whose task the path names."""
    fields = {name: field for name, field in schema["properties"].items() if name != "task_id"}
    return {**schema, "properties": fields, "required": [name for name in schema["required"] if name != "task_id"]}


class _Claims:
    """Finds tasks in their view and claims them; whose a task becomes is the writer's to decide.

    Shape: what was claimed a moment ago may still look free in the view, so it is not tried again.
    """

    def __init__(self, gate: BatchGate, documents: DocumentsReader) -> None:
        self._gate = gate
        self._documents = documents
        self._of: dict[TenantId, _OfTenant] = {}

    async def claim(self, caller: Caller, wanted: _Claim, is_gone: Callable[[], Any]) -> Sequence[dict[str, Any]]:
        tenant = self._of.setdefault(caller.tenant_id, _OfTenant())
        if tenant.waiting >= MAX_WAITING_OF_TENANT:
            raise Problem(429, f"{MAX_WAITING_OF_TENANT} claims of this tenant wait already", retry_after_s=1)
        tenant.waiting += 1
        try:
            return await self._wait(tenant, caller, wanted, is_gone)
        finally:
            tenant.waiting -= 1

    async def _wait(
        self, tenant: "_OfTenant", caller: Caller, wanted: _Claim, is_gone: Callable[[], Any]
    ) -> Sequence[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        until, pause_s = loop.time() + wanted.wait_s, _FIRST_PAUSE_S
        while True:
            # one after the other, in the order in which they came: two would try the same tasks
            async with tenant.turn:
                tenant.remember(())
                ready = await asyncio.to_thread(self._ready, tenant, caller.tenant_id, wanted)
                claimed = await self._decide(tenant, caller, wanted.worker, ready) if ready else []
            left_s = until - loop.time()
            if claimed or left_s <= 0 or await is_gone():
                return claimed
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(_LAST_PAUSE_S, 2 * pause_s)

    def _ready(self, tenant: "_OfTenant", tenant_id: TenantId, wanted: _Claim) -> Sequence[Document]:
        now = instant_text(datetime.now(UTC))
        found = [
            document
            for kind in dict.fromkeys(wanted.kinds)
            for document in self._documents.find(
                TASKS.name,
                tenant_id,
                filters={"status": TaskStatus.WAITING.value, "kind": kind},
                sort="ready_at",
                descending=False,
                after=None,
                limit=wanted.max + len(tenant.tried),
            )
            if document.fields["ready_at"] <= now and _attempt_of(document) not in tenant.tried
        ]
        found.sort(key=lambda document: (document.fields["ready_at"], document.id))
        return found[: wanted.max]

    async def _decide(
        self, tenant: "_OfTenant", caller: Caller, worker: str, ready: Sequence[Document]
    ) -> Sequence[dict[str, Any]]:
        claims = [ClaimTask(task_id=id_, worker=worker, attempt=attempt) for id_, attempt in map(_attempt_of, ready)]
        replies = await self._gate.execute_many([submission(caller, claim, new_id()) for claim in claims])
        tenant.remember(map(_attempt_of, ready))
        return [
            {
                "task_id": claim.task_id,
                "kind": document.fields["kind"],
                "input": json_value(document.fields["input"]),
                "attempt": claim.attempt,
                "timeout_s": document.fields["timeout_s"],
                "heartbeat_s": document.fields.get("heartbeat_s"),
            }
            for claim, document, reply in zip(claims, ready, replies, strict=True)
            if isinstance(reply, Reply) and reply.refusal is None
        ]


def _attempt_of(document: Document) -> tuple[str, int]:
    """Return which attempt the next claim of a task begins."""
    return document.id, document.fields["attempt"] + 1


class _OfTenant:
    """How many claims of one tenant wait, and the attempts that were tried lately."""

    def __init__(self) -> None:
        self.waiting = 0
        self.turn = asyncio.Lock()
        self._tried: dict[tuple[str, int], float] = {}

    @property
    def tried(self) -> Collection[tuple[str, int]]:
        return self._tried

    def remember(self, attempts: Iterable[tuple[str, int]]) -> None:
        now = monotonic()
        lately = {attempt: at for attempt, at in self._tried.items() if at > now - _TRIED_S}
        self._tried = lately | dict.fromkeys(attempts, now)
