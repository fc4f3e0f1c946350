"""How far is each run of an agent, what did it take, and how did it end?"""

from typing import Any, assert_never

from domain.automation.agent_execution import (
    AgentExecutionAnswered,
    AgentExecutionAsked,
    AgentExecutionCancelled,
    AgentExecutionCompleted,
    AgentExecutionFailed,
    AgentExecutionPrepared,
    AgentExecutionStarted,
)
from domain.automation.agent_execution_state import AgentExecutionStatus
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic

_Ended = AgentExecutionCompleted | AgentExecutionFailed | AgentExecutionCancelled
_OfRun = AgentExecutionStarted | AgentExecutionPrepared | AgentExecutionAsked | AgentExecutionAnswered | _Ended


def project(envelope: Envelope, event: _OfRun) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(event.timestamp)})


def _fields(envelope: Envelope, event: _OfRun) -> dict[str, Any]:
    at = instant_text(event.timestamp)
    match event:
        case AgentExecutionStarted():
            return {
                "status": AgentExecutionStatus.RUNNING.value,
                "agent_id": event.agent_id,
                "agent_name": event.agent_name,
                "agent_version": event.agent_version,
                "model_id": event.model_id,
                "input": event.input,
                "max_steps": event.max_steps,
                "steps": 0,
                "parent": event.parent or "",
                "started_at": at,
                "started_by": envelope.actor.id,
            }
        case AgentExecutionPrepared():
            return {"model": event.model}
        case AgentExecutionAsked():
            return {"steps": event.step}
        case AgentExecutionAnswered():
            return {"last_text": event.text}
        case AgentExecutionCompleted():
            return {"status": AgentExecutionStatus.COMPLETED.value, "output": event.output, **_ended(event, at)}
        case AgentExecutionFailed():
            return {"status": AgentExecutionStatus.FAILED.value, "error": event.error, **_ended(event, at)}
        case AgentExecutionCancelled():
            return {"status": AgentExecutionStatus.CANCELLED.value, "error": event.reason, **_ended(event, at)}
        case _:
            assert_never(event)


def _ended(event: _Ended, at: str) -> dict[str, Any]:
    return {
        "steps": event.steps,
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "duration_ms": event.duration_ms,
        "ended_at": at,
    }


PROJECTION = Projection(
    name="agent_executions",
    layout=Documents(
        filters=("status", "agent_id", "model_id", "started_by"),
        values={"status": AgentExecutionStatus},
        sorts=("started_at", "changed_at", "ended_at"),
        default_sort="-started_at",
        scope="agent_executions",
        example={
            "id": "r1",
            "version": 11,
            "status": "COMPLETED",
            "agent_id": "first-look",
            "agent_version": 1,
            "model_id": "small",
            "input": '{"device":"web-1"}',
            "steps": 2,
            "input_tokens": 220,
            "output_tokens": 31,
            "output": "It does not answer.",
            "started_at": "2026-01-31T08:30:00.250000Z",
            "ended_at": "2026-01-31T08:30:01.750000Z",
            "duration_ms": 1_500,
        },
    ),
    topics=(Topic.EVENTS,),
    events=(
        *(AgentExecutionStarted, AgentExecutionPrepared, AgentExecutionAsked, AgentExecutionAnswered),
        *(AgentExecutionCompleted, AgentExecutionFailed, AgentExecutionCancelled),
    ),
    project=project,
)
