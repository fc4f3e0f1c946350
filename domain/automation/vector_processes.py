"""This process of the automation context has changes of vector collections done, as tasks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from domain.automation.vector_collection import (
    CHANGE,
    EmbeddingChangeStarted,
    FailEmbeddings,
    SettleEmbeddings,
    VectorCollection,
    change_of,
    task_id_of,
)
from domain.message import Event, value
from domain.operations.processes import later
from domain.operations.task import RequestTask, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from domain.process import Action, Around, Ask, Note, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope, id_of
from schemas.json_text import json_value

_AGAIN = "again"
_TASK, _SETTLE, _FAIL = "request_task", "settle", "fail"
_TIMEOUT_S, _HEARTBEAT_S = 600, 60


@value
class VectorChangeNoted(Event):
    """A change is being done; of which collection it is."""

    TYPE: ClassVar = "vector_change.noted"
    collection_id: str


@value
class Changing:
    """Shape: `refused` is why the task could not be requested, None while nothing speaks against it."""

    collection_id: str
    refused: str | None = None


_OfTask = TaskCompleted | TaskFailed | TaskTimedOut | TaskCancelled
_Heard = EmbeddingChangeStarted | _OfTask


def _change_of(event: _Heard, envelope: Envelope) -> str | None:
    return event.change_id if isinstance(event, EmbeddingChangeStarted) else change_of(id_of(envelope.stream))


def evolve_vector_change(state: Changing | None, event: Event) -> Changing | None:
    match event:
        case VectorChangeNoted():
            return Changing(collection_id=event.collection_id)
        case ProcessAnswered(step=step) if step == _TASK and event.refused and state is not None:
            return replace(state, refused=event.reason or "")
        case _:
            return state


def react_vector_change(
    state: Changing | None, event: _Heard | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    if isinstance(event, EmbeddingChangeStarted):
        request = RequestTask(
            task_id=task_id_of(around.id),
            kind=event.kind,
            input=json_value(event.input),
            timeout_s=_TIMEOUT_S,
            heartbeat_s=_HEARTBEAT_S,
        )
        return [Note(VectorChangeNoted(collection_id=event.collection_id)), Ask(_TASK, request)]
    if state is None:
        # a task that nobody asked for here, which only has such a name
        return []
    match event:
        case ProcessAnswered():
            if not event.refused:
                return []
            if event.step == _TASK:
                return [_end(state, around.id)]
            # the collection cannot be read now, or its tenant is suspended
            return [Wait(_AGAIN, around.now + later(around.attempts[event.step]))]
        case TaskFailed() | TaskTimedOut() if event.retry_at is not None:
            return []
        case _:
            return [_end(state, around.id)]


def _end(state: Changing, change_id: str) -> Ask:
    if state.refused is not None:
        error = FailEmbeddings(collection_id=state.collection_id, change_id=change_id, error=state.refused)
        return Ask(_FAIL, error)
    return Ask(_SETTLE, SettleEmbeddings(collection_id=state.collection_id, change_id=change_id))


def _is_wanted(collection: VectorCollection | None, event: Event) -> bool:
    """Return whether a change is to be done still."""
    if not isinstance(event, EmbeddingChangeStarted):
        return True
    return collection is not None and event.change_id in collection.changes


VECTOR_CHANGE = Process(
    name=CHANGE,
    listens=(EmbeddingChangeStarted, TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled),
    route=_change_of,
    events=(VectorChangeNoted,),
    evolve=evolve_vector_change,
    react=react_vector_change,
    still=_is_wanted,
)
