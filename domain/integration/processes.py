"""This process of the integration context has events sent to the webhook endpoints of their tenant, as tasks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from domain.integration import webhook_endpoint as of
from domain.message import Event, value
from domain.operations.delivery import DELIVER, SENDER, delivery_of, task_id_of
from domain.operations.task import CancelTask, RequestTask, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from domain.process import (
    Action,
    Around,
    Ask,
    Forget,
    Note,
    Process,
    ProcessAnswered,
    ProcessAsked,
    TimerFired,
    Wait,
)
from schemas.envelope import Envelope, StreamId, id_of

ALL = "all"
"""The one instance of a tenant: an event does not say which endpoints want it."""

MAX_ENDPOINTS = 50
"""Of a tenant, because each of its events is held against them."""

_ENOUGH_WAKES = 2
"""The first begins a delivery, or waits while none may begin; the second says that there is more. What comes then is
sent with that: a delivery reads up to the record of its own task, and its beginning is what counts anew."""

_AGAIN = timedelta(minutes=1)

_TIMEOUT_S, _HEARTBEAT_S, _ATTEMPTS = 900, 30, 3

# what a command is asked for; the endpoint is after the "~"
_WAKE, _TASK, _SETTLE, _RETRY, _REMOVE, _STOP = "wake", "task", "settle", "try", "remove", "stop"
_COUNTS_ANEW = (_TASK, _SETTLE)


@value
class WebhookTypesNoted(Event):
    """Which events an endpoint wants; none once it is removed."""

    TYPE: ClassVar = "outbound_webhooks.types.noted"
    endpoint_id: str
    types: tuple[str, ...]


@value
class WebhookNewsNoted(Event):
    """There is an event for an endpoint, at this position."""

    TYPE: ClassVar = "outbound_webhooks.news.noted"
    endpoint_id: str
    position: int


@value
class Line:
    """What is known of an endpoint.

    Shape: `wakes` counts how often it was woken since its last delivery began or ended. `owed` is the position of the
    first event of which the endpoint has not taken that there is one. `delivery` is the last one, which
    goes on where it `runs`.
    """

    types: frozenset[str]
    wakes: int = 0
    owed: int | None = None
    delivery: int = 0
    runs: bool = False


Lines = Mapping[str, Line]

_OfEndpoint = (
    of.WebhookRegistered
    | of.WebhookChanged
    | of.WebhookSecretRotated
    | of.WebhookPaused
    | of.WebhookRemoved
    | of.WebhookDeliveryStarted
    | of.WebhookFailed
)
_OF_ENDPOINT: tuple[type[Event], ...] = (
    of.WebhookRegistered,
    of.WebhookChanged,
    of.WebhookSecretRotated,
    of.WebhookPaused,
    of.WebhookRemoved,
    of.WebhookDeliveryStarted,
    of.WebhookFailed,
)
_ENDS: tuple[type[Event], ...] = (TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled)


def _tenant_of(event: Event, envelope: Envelope) -> str | None:
    return None if isinstance(event, _ENDS) and delivery_of(id_of(envelope.stream)) is None else ALL


def evolve_outbound_webhooks(state: Lines | None, event: Event) -> Lines:
    lines = state or {}
    match event:
        case WebhookTypesNoted():
            others = {name: line for name, line in lines.items() if name != event.endpoint_id}
            if not event.types:
                return others
            before = lines.get(event.endpoint_id) or Line(types=frozenset())
            return {**others, event.endpoint_id: replace(before, types=frozenset(event.types))}
        case WebhookNewsNoted():
            return _with(lines, event.endpoint_id, lambda line: _woken(line, event.position))
        case ProcessAsked():
            kind, endpoint_id = _parts(event.step)
            # what comes from now on is not sent by the delivery that has begun, or ended
            if kind not in _COUNTS_ANEW:
                return lines
            return _with(lines, endpoint_id, lambda line: replace(line, wakes=0, runs=kind == _TASK))
        case ProcessAnswered():
            return _with(lines, _parts(event.step)[1], lambda line: _after_answer(line, event))
        case _:
            return lines


def _woken(line: Line, position: int) -> Line:
    return replace(line, wakes=line.wakes + 1, owed=position if line.owed is None else line.owed)


def _after_answer(line: Line, event: ProcessAnswered) -> Line:
    match _parts(event.step)[0]:
        case "wake" if not event.refused:
            return replace(line, owed=None)
        case "task" if (begun := delivery_of(id_of(StreamId(event.stream)))) is not None:
            return replace(line, delivery=begun[1])
        case _:
            return line


def _with(lines: Lines, endpoint_id: str, change: Callable[[Line], Line]) -> Lines:
    return {**lines, endpoint_id: change(lines[endpoint_id])} if endpoint_id in lines else lines


def react_outbound_webhooks(state: Lines | None, event: Event, around: Around) -> Sequence[Action]:
    lines = state or {}
    if isinstance(event, _OF_ENDPOINT):
        return _of_endpoint(lines, event, id_of(around.stream))  # type: ignore[arg-type]
    if isinstance(event, _ENDS):
        return _task_ended(event, around)
    match event:
        case TimerFired():
            return _again(lines, event.name)
        case ProcessAnswered():
            return _answered(lines, event, around)
        case _:
            return [
                action
                for endpoint_id, line in lines.items()
                if event.TYPE in line.types and line.wakes < _ENOUGH_WAKES
                for action in (
                    Note(WebhookNewsNoted(endpoint_id=endpoint_id, position=around.position)),
                    _wake(endpoint_id, around.position if line.owed is None else line.owed),
                )
            ]


def _of_endpoint(lines: Lines, event: _OfEndpoint, endpoint_id: str) -> Sequence[Action]:
    match event:
        case of.WebhookRegistered():
            if len(lines) >= MAX_ENDPOINTS:
                reason = f"a tenant has at most {MAX_ENDPOINTS} webhook endpoints; remove one, then register it anew"
                return [Ask(f"{_REMOVE}~{endpoint_id}", of.RemoveWebhook(endpoint_id=endpoint_id, reason=reason))]
            return [Note(WebhookTypesNoted(endpoint_id=endpoint_id, types=event.types))]
        case of.WebhookChanged():
            is_new = endpoint_id in lines and lines[endpoint_id].types != frozenset(event.types)
            noted = [Note(WebhookTypesNoted(endpoint_id=endpoint_id, types=event.types))] if is_new else []
            return [*noted, *_stop(lines, endpoint_id)]
        case of.WebhookSecretRotated():
            return _stop(lines, endpoint_id)
        case of.WebhookPaused():
            return [Forget(f"{_RETRY}~{endpoint_id}"), *_stop(lines, endpoint_id)]
        case of.WebhookRemoved():
            known = [Note(WebhookTypesNoted(endpoint_id=endpoint_id, types=()))] if endpoint_id in lines else []
            forgotten = [Forget(f"{step}~{endpoint_id}") for step in (_RETRY, _WAKE, _SETTLE)]
            return [*forgotten, *_stop(lines, endpoint_id), *known]
        case of.WebhookDeliveryStarted():
            return [Ask(f"{_TASK}~{endpoint_id}", _task(event))]
        case of.WebhookFailed():
            return [] if event.retry_at is None else [Wait(f"{_RETRY}~{endpoint_id}", event.retry_at)]


def _stop(lines: Lines, endpoint_id: str) -> Sequence[Action]:
    """Return what stops the delivery that goes on: its worker was given the address and the secret of before."""
    line = lines.get(endpoint_id)
    if line is None or not line.runs:
        return []
    reason = "its webhook endpoint was changed, paused or removed"
    return [Ask(f"{_STOP}~{endpoint_id}", CancelTask(task_id=task_id_of(endpoint_id, line.delivery), reason=reason))]


def _task(event: of.WebhookDeliveryStarted) -> RequestTask:
    return RequestTask(
        task_id=task_id_of(event.endpoint_id, event.delivery),
        kind=DELIVER,
        input={"after": event.after, "redo": list(event.redo), "types": list(event.types)},
        timeout_s=_TIMEOUT_S,
        heartbeat_s=_HEARTBEAT_S,
        attempts=_ATTEMPTS,
    )


def _task_ended(event: Event, around: Around) -> Sequence[Action]:
    if isinstance(event, TaskFailed | TaskTimedOut) and event.retry_at is not None:
        return []
    ended = delivery_of(id_of(around.stream))
    return [] if ended is None else [_settle(*ended)]


def _wake(endpoint_id: str, position: int | None) -> Ask:
    return Ask(f"{_WAKE}~{endpoint_id}", of.WakeWebhook(endpoint_id=endpoint_id, position=position))


def _settle(endpoint_id: str, delivery: int, error: str | None = None) -> Ask:
    settle = of.SettleWebhook(endpoint_id=endpoint_id, delivery=delivery, error=error)
    return Ask(f"{_SETTLE}~{endpoint_id}", settle)


def _again(lines: Lines, timer: str) -> Sequence[Action]:
    kind, endpoint_id = _parts(timer)
    line = lines.get(endpoint_id)
    if line is None:
        return []
    if kind == _SETTLE:
        return [_settle(endpoint_id, line.delivery)]
    return [_wake(endpoint_id, line.owed if kind == _WAKE else None)]


def _answered(lines: Lines, event: ProcessAnswered, around: Around) -> Sequence[Action]:
    kind, endpoint_id = _parts(event.step)
    line = lines.get(endpoint_id)
    if not event.refused or line is None or kind == _STOP:
        return []
    if kind == _TASK:
        # where the command failed inside, its answer does not say which task it was for
        asked = delivery_of(id_of(StreamId(event.stream))) or (endpoint_id, (line.delivery or event.attempt - 1) + 1)
        return [_settle(*asked, error=event.reason or "")]
    # the endpoint cannot be read now, or its tenant is suspended
    return [Wait(event.step, around.now + _AGAIN)]


def _parts(step: str) -> tuple[str, str]:
    kind, _, endpoint_id = step.partition("~")
    return kind, endpoint_id


def outbound_webhooks(offered: Collection[type[Event]]) -> Process:
    """Return the process, which sends the events that are offered to endpoints."""
    return Process(
        name=SENDER.id,
        listens=(*_OF_ENDPOINT, *_ENDS, *offered),
        route=_tenant_of,
        events=(WebhookTypesNoted, WebhookNewsNoted),
        evolve=evolve_outbound_webhooks,
        react=react_outbound_webhooks,
        begun_by=(of.WebhookRegistered,),
    )
