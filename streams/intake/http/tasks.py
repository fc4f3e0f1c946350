"""Workers take tasks here, say that they are at it, and give their answers."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from domain.message import Command, adapter
from domain.operations.delivery import DELIVER
from domain.operations.task import CompleteTask, FailTask, HeartbeatTask, PostponeTask
from projections.automation.tasks import PROJECTION as TASKS
from projections.readers import DocumentsReader
from read_api.edge.asking import Allowed, caller_of
from read_api.edge.auth import Caller
from read_api.edge.direct_route import DirectRoute
from read_api.edge.problems import Problem
from read_api.edge.quotas import use_quota
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import require
from streams.intake.http.bodies import body_of, json_of
from streams.intake.http.claims import Claims, Wanted
from streams.intake.http.command_docs import KEY, REPLIED
from streams.intake.http.commands import BatchGate, invalid
from streams.intake.http.deliveries import Deliveries
from streams.intake.http.described import body_of_schema, described_body, schema_of
from streams.intake.http.giving import Giving
from streams.intake.http.provider_keys import TaskSecrets
from streams.intake.http.tenants import read_body

_WORK = f"{TASKS.layout.scope}:write"
_Working = Annotated[Caller, Depends(Allowed(_WORK, records="events"))]
_MOST_DELIVERIES = 8
"""Of one claim: each comes with its events, and none waits long for those of the others to be read."""

_GIVEN = {
    "rows": [
        {
            "task_id": "check-web-1",
            "tenant_id": "acme",
            "kind": "http.check",
            "input": {"url": "https://web-1.example"},
            "attempt": 1,
            "timeout_s": 300,
            "heartbeat_s": 60,
        },
        {
            "task_id": "draft-1",
            "tenant_id": "acme",
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
        {
            "task_id": "webhook-shop~1",
            "tenant_id": "acme",
            "kind": "webhook.deliver",
            "input": {"after": 40, "redo": [], "types": ["payment.recorded"]},
            "attempt": 1,
            "timeout_s": 900,
            "heartbeat_s": 60,
            # for such a key too: where the events go, and the secret to sign them with
            "provider": {
                "key_id": "shop",
                "provider": "webhook",
                "base_url": "https://shop.example/hooks",
                "secret": "whsec_…",
            },
            "events": {"redo": [], "rows": [], "looked_to": 57, "more": False},
        },
    ]
}


def tasks_router(
    gate: BatchGate,
    documents: DocumentsReader,
    secrets: TaskSecrets,
    deliveries: Deliveries,
    fingerprint_key: bytes,
) -> APIRouter:
    """Shape: `documents` has the view of tasks; `fingerprint_key` is the deployment's."""
    router = APIRouter(tags=["tasks"], route_class=DirectRoute)
    claims, giving = Claims(gate, documents), Giving(gate, fingerprint_key)

    @router.post(
        "/v1/tasks/claim",
        summary="Take up to `max` tasks of these kinds, the longest waiting first; wait for one for up to `wait_s`",
        responses=answered(_GIVEN, "Those that are the caller's now, perhaps none"),
        openapi_extra=described_body(Wanted, {"kinds": ["http.check"], "worker": "worker-1", "max": 10, "wait_s": 20}),
    )
    async def claim(request: Request, caller: _Working) -> Response:
        async def is_gone() -> bool:
            # who waits for a minute may have lost the right meanwhile
            require(await caller_of(request), _WORK)
            return await request.is_disconnected()

        wanted = await read_body(request, Wanted)
        if DELIVER in wanted.kinds:
            wanted = wanted.model_copy(update={"max": min(wanted.max, _MOST_DELIVERIES)})
        claimed = await claims.claim(caller, wanted, is_gone)
        await use_quota(request, caller, "events", len(claimed))
        whose = {"tenant_id": caller.tenant_id}
        return Json({"rows": [{**row, **whose, **await with_task(caller, row)} for row in claimed]})

    async def with_task(caller: Caller, row: Mapping[str, Any]) -> Mapping[str, Any]:
        kind, input_ = row["kind"], row["input"]
        secret = await secrets.with_task(caller, kind, input_)
        return {**secret, **await deliveries.with_task(caller, kind, row["task_id"], input_)}

    def add_answer(name: str, command: type[Command], summary: str, example: dict[str, Any]) -> None:
        async def say(task_id: str, request: Request, caller: _Working) -> Response:
            async with body_of(request) as raw:
                body = json_of(raw)
                if not isinstance(body, dict):
                    raise Problem(400, "the body must be a JSON object with the `attempt`")
                try:
                    said = adapter(command).validate_python({**body, "task_id": task_id})
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
    later = {"attempt": 1, "reason": "web-1.example:443 is not asked for now", "retry_after_s": 30}
    add_answer(
        "postpone", PostponeTask, "The attempt was not made: another one follows later, and it does not count", later
    )
    return router


def _without_task_id(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body whose task the path names."""
    fields = {name: field for name, field in schema["properties"].items() if name != "task_id"}
    return {**schema, "properties": fields, "required": [name for name in schema["required"] if name != "task_id"]}
