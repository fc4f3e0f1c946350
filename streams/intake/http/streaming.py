"""What is on its way is shown here to those who listen, and not recorded: parts of a task's output, and who types."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from domain.automation.agent_execution import agent_execution_stream
from domain.automation.conversation_ids import answer_of, conversation_stream
from domain.operations.task import TaskStatus
from projections.automation.agent_executions import PROJECTION as RUNS
from projections.automation.conversations import PROJECTION as CONVERSATIONS
from projections.automation.tasks import PROJECTION as TASKS
from projections.readers import DocumentsReader
from read_api.edge.asking import Admitted, Allowed, Known
from read_api.edge.auth import Caller
from read_api.edge.direct_route import DirectRoute
from read_api.edge.ephemeral import MOST_BYTES, STREAMED, TYPING, Ephemeral, Ephemerals, count_message, publish
from read_api.edge.problems import Problem
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import may, require
from schemas.envelope import StreamId, TenantId
from schemas.json_text import json_text, json_value
from schemas.values import Id
from streams.intake.http.commands import invalid
from streams.intake.http.described import described_body
from streams.intake.http.tenants import read_body

_SAY, _SAY_IN_OWN = "automation:write", "automation:own"

_TRIES, _PAUSE_S = 20, 0.05
"""How often, and how long after each other, it is looked if the view of tasks has the claim by now."""


_ID = TypeAdapter[str](Id)


def _small(value: Any) -> Any:
    return json_value(json_text(value, most=MOST_BYTES))


class _Part(BaseModel):
    """A part of an output. Shape: `output` is what the worker and those who listen agree on, in at most 8 KiB."""

    model_config = ConfigDict(extra="forbid")
    attempt: Annotated[int, Field(strict=True)]
    output: Annotated[Any, AfterValidator(_small)]


class _Streaming(Allowed):
    """A dependency: a worker. Its requests are not counted one by one: the messages of its tenant are."""

    async def __call__(self, request: Request, caller: Known) -> Caller:
        self.check(request, caller)
        return caller


class _Talking(Admitted):
    """A dependency: who may say something in some conversation. Raises: Forbidden; as Admitted."""

    def check(self, request: Request, caller: Caller) -> None:  # noqa: ARG002 - others look at it
        if not may(caller, _SAY_IN_OWN):
            require(caller, _SAY)


_Talker = Annotated[Caller, Depends(_Talking())]
_Worker = Annotated[Caller, Depends(_Streaming(f"{TASKS.layout.scope}:write"))]


def streaming_router(documents: DocumentsReader, ephemerals: Ephemerals) -> APIRouter:
    """Shape: `documents` has the views of tasks, of the runs of agents and of conversations."""
    router = APIRouter(route_class=DirectRoute)

    @router.post(
        "/v1/tasks/{task_id}/stream",
        tags=["tasks"],
        summary="Show a part of the output to those who listen to /v1/live now; it is not recorded",
        responses=answered({"about": ["task-draft-1", "agent_execution-r1"]}, "What the part was said to be about"),
        openapi_extra=described_body(_Part, {"attempt": 1, "output": {"text": "It is ", "at": 0}}),
    )
    async def stream(task_id: str, request: Request, caller: _Worker) -> Response:
        await count_message(request, caller)
        part = await read_body(request, _Part)
        await _check_claim(documents, caller.tenant_id, _checked(task_id), part.attempt)
        message = await to_thread.run_sync(_message, documents, caller.tenant_id, task_id, part)
        await publish(ephemerals, message)
        return Json({"about": message.streams})

    @router.post(
        "/v1/conversations/{id}/typing",
        tags=["conversations"],
        summary="Show those who listen to a conversation now that the caller is about to say something",
        responses=answered({"about": ["conversation-c1"]}, "What it was said to be about"),
    )
    async def typing(id: str, request: Request, caller: _Talker) -> Response:  # noqa: A002 - as the path has it
        await count_message(request, caller)
        talk = await to_thread.run_sync(documents.get, CONVERSATIONS.name, caller.tenant_id, _checked(id))
        is_own = talk is not None and talk.fields["started_by"] == caller.actor.id
        if talk is None or not (is_own or may(caller, _SAY)):
            raise Problem(404, f"no conversation has the id {id}")
        about = (conversation_stream(id),)
        said = {"by": caller.actor._asdict()}
        message = Ephemeral(caller.tenant_id, TYPING, about, datetime.now(UTC), said, CONVERSATIONS.layout.scope)
        await publish(ephemerals, message)
        return Json({"about": about})

    return router


def _checked(id_: str) -> str:
    """Return an id of the path. Raises: Problem, nothing can have it."""
    try:
        return _ID.validate_python(id_)
    except ValidationError as error:
        raise invalid(error) from error


async def _check_claim(documents: DocumentsReader, tenant_id: TenantId, task_id: str, attempt: int) -> None:
    """Do nothing where this attempt goes on. Raises: Problem; StoreUnavailable, safe to retry."""
    for _ in range(_TRIES):
        task = await to_thread.run_sync(documents.get, TASKS.name, tenant_id, task_id)
        if task is None:
            raise Problem(404, f"task {task_id} is not known")
        status, at = task.fields["status"], task.fields["attempt"]
        if (status, at) == (TaskStatus.CLAIMED, attempt):
            return
        if (status, at) != (TaskStatus.WAITING, attempt - 1):
            break
        # whoever claimed it a moment ago may be ahead of the view
        await asyncio.sleep(_PAUSE_S)
    raise Problem(409, f"task {task_id} is {status} in attempt {at}; stop the work on attempt {attempt}")


def _message(documents: DocumentsReader, tenant_id: TenantId, task_id: str, part: _Part) -> Ephemeral:
    """Return the message about a task, and about the run of an agent and the conversation that the task is for."""
    streams, answer = [StreamId(f"task-{task_id}")], None
    execution_id, _, step = task_id.rpartition("~")
    run = documents.get(RUNS.name, tenant_id, execution_id) if execution_id else None
    # a task that somebody calls like one of a run is none of its: the run asks in one step at a time
    if run is not None and str(run.fields.get("steps")) == step:
        streams.append(agent_execution_stream(run.id))
        answer = answer_of(run.fields.get("parent"))
    if answer is not None:
        streams.append(conversation_stream(answer[0]))
    # what is said in a conversation is of those who talk in it
    resource = (TASKS if answer is None else CONVERSATIONS).layout.scope
    said = part.model_dump()
    return Ephemeral(
        tenant_id, STREAMED, tuple(streams), datetime.now(UTC), said, resource, personal=answer is not None
    )
