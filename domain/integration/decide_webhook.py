"""These are the rules of a webhook endpoint: when a delivery begins, and what comes of one that ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Annotated, assert_never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from domain.backoff import backoff
from domain.given import Given
from domain.integration import webhook_endpoint as of
from domain.message import Decider, filled
from domain.operations.delivery import task_id_of
from domain.operations.task import Task, TaskStatus, task_stream
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.json_text import json_value

MAX_ATTEMPTS = 12
"""Of one event: with these waits it is tried for two and a half hours."""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(hours=1)

PAUSED_AFTER = timedelta(days=1)
"""An endpoint that has taken nothing for so long is paused."""

MAX_GIVEN_UP = 100
"""Events that an endpoint has given up; with more of them it is paused, so that none is forgotten."""

_SHOWN = 1_000


class Stopped(BaseModel):
    """The event that was not taken, and what was answered. Shape: `gone` says that no other event will be taken."""

    model_config = ConfigDict(extra="ignore")
    position: of.LogPosition | None = None
    event_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    type: Annotated[str, StringConstraints(max_length=80)] | None = None
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    error: str
    gone: bool = False


class Output(BaseModel):
    """What a worker says of a delivery."""

    model_config = ConfigDict(extra="ignore")
    events: Annotated[int, Field(strict=True, ge=0)]
    redone: Annotated[int, Field(strict=True, ge=0)]
    looked_to: of.LogPosition | None
    more: bool
    stopped: Stopped | None = None


def decide_webhook(command: of.WebhookCommand, state: of.Webhook | None, given: Given) -> tuple[of.WebhookEvent, ...]:
    if isinstance(command, of.RegisterWebhook):
        if state is not None and state.status is not of.WebhookStatus.REMOVED:
            raise conflict(f"webhook endpoint {command.endpoint_id} is there already; take another endpoint_id")
        return (filled(of.WebhookRegistered, command),)
    if state is None:
        raise not_found(f"webhook endpoint {command.endpoint_id} is not known")
    match command:
        case of.WakeWebhook():
            return _wake(command, state, given.now)
        case of.SettleWebhook():
            return _settle(command, state, given)
        case of.RemoveWebhook():
            return () if state.status is of.WebhookStatus.REMOVED else (filled(of.WebhookRemoved, command),)
        case _:
            return _manage(command, state, given.now)


def _manage(
    command: of.ChangeWebhook | of.RotateWebhookSecret | of.PauseWebhook | of.ResumeWebhook | of.RedriveWebhook,
    state: of.Webhook,
    now: datetime,
) -> tuple[of.WebhookEvent, ...]:
    if state.status is of.WebhookStatus.REMOVED:
        raise not_allowed(f"webhook endpoint {command.endpoint_id} is removed; register another one")
    match command:
        case of.ChangeWebhook():
            said = of.WebhookChanged(url=command.url or state.url, types=command.types or state.types)
            return () if (said.url, said.types) == (state.url, state.types) else (said,)
        case of.RotateWebhookSecret():
            return (filled(of.WebhookSecretRotated, command, number=state.secrets + 1),)
        case of.PauseWebhook():
            return () if state.status is of.WebhookStatus.PAUSED else (filled(of.WebhookPaused, command),)
        case of.ResumeWebhook():
            if state.status is of.WebhookStatus.ACTIVE:
                return ()
            return _and_go_on(command.endpoint_id, state, [of.WebhookResumed(after=state.after)], now)
        case of.RedriveWebhook():
            if not state.given_up:
                return ()
            return _and_go_on(command.endpoint_id, state, [of.WebhookRedriven(positions=state.given_up)], now)
        case _:
            assert_never(command)


def _wake(command: of.WakeWebhook, state: of.Webhook, now: datetime) -> tuple[of.WebhookEvent, ...]:
    if command.position is None:
        return _and_go_on(command.endpoint_id, state, [], now)
    if state.status is of.WebhookStatus.REMOVED:
        return ()
    if state.running is not None:
        return () if state.woken is not None else (of.WebhookWoken(position=command.position),)
    if state.after is not None:
        # it is paused, or waits for its next attempt, which may be due, and sends all after that position then
        return _and_go_on(command.endpoint_id, state, [], now)
    if state.status is of.WebhookStatus.ACTIVE and state.retry_at is None:
        return (_started(command.endpoint_id, state, command.position - 1),)
    return _and_go_on(command.endpoint_id, state, [of.WebhookWoken(position=command.position)], now)


def _and_go_on(
    endpoint_id: str, state: of.Webhook, events: Sequence[of.WebhookEvent], now: datetime
) -> tuple[of.WebhookEvent, ...]:
    """Return the events, and the beginning of the next delivery where something waits after them."""
    after = reduce(of.evolve_webhook, events, state)
    may = after.status is of.WebhookStatus.ACTIVE and (after.retry_at is None or after.retry_at <= now)
    return (*events, *([_started(endpoint_id, after, after.after)] if may and after.waits else []))


def _started(endpoint_id: str, state: of.Webhook, after: int | None) -> of.WebhookDeliveryStarted:
    return of.WebhookDeliveryStarted(
        endpoint_id=endpoint_id, delivery=state.deliveries + 1, after=after, redo=state.redo, types=state.types
    )


# --- what came of a delivery


def _settle(command: of.SettleWebhook, state: of.Webhook, given: Given) -> tuple[of.WebhookEvent, ...]:
    if state.running != command.delivery:
        return ()
    task: Task | None = given.streams.get(task_stream(task_id_of(command.endpoint_id, command.delivery)))
    if command.error is None and task is not None and not task.is_over:
        return ()
    if state.interrupted and command.error is None and task is not None and task.status is TaskStatus.CANCELLED:
        return _and_go_on(command.endpoint_id, state, [_interrupted(state, command.delivery)], given.now)
    output = _said(command.error or "its task is not there", None if command.error is not None else task)
    events: list[of.WebhookEvent] = []
    if output.stopped is None or output.events or output.redone:
        looked_to = None if state.after is None else max(state.after, output.looked_to or 0)
        events.append(
            of.WebhookDelivered(
                delivery=command.delivery,
                events=output.events,
                total=state.sent + output.events,
                redone=output.redone,
                looked_to=looked_to,
                more=looked_to is not None and (output.more or output.stopped is not None),
            )
        )
    if output.stopped is not None:
        events += _failed(reduce(of.evolve_webhook, events, state), command.delivery, output.stopped, given.now)
    return _and_go_on(command.endpoint_id, state, events, given.now)


def _interrupted(state: of.Webhook, delivery: int) -> of.WebhookDelivered:
    """Return the end of a delivery that was stopped: nobody says what it has sent, so all of it waits still."""
    waits = state.after is not None or bool(state.redo)
    return of.WebhookDelivered(
        delivery=delivery, events=0, total=state.sent, redone=0, looked_to=state.after, more=waits
    )


def _said(error: str, task: Task | None) -> Output:
    """Return what the worker said, or that there is nothing which it said."""
    if task is not None:
        error = task.answer
        if task.status is TaskStatus.COMPLETED:
            try:
                return Output.model_validate(json_value(task.answer))
            except ValidationError:
                error = "the output of its task is not that of a delivery"
    return Output(events=0, redone=0, looked_to=None, more=False, stopped=Stopped(error=error))


def _failed(state: of.Webhook, delivery: int, stopped: Stopped, now: datetime) -> list[of.WebhookEvent]:
    attempt = 1 + (state.attempts if state.failing == stopped.position else 0)
    since = state.failing_since or now
    given_up = attempt >= MAX_ATTEMPTS and stopped.position is not None
    why = _why_paused(state, stopped, since, now, given_up=given_up)
    again = not given_up and why is None and state.status is of.WebhookStatus.ACTIVE
    failed = of.WebhookFailed(
        delivery=delivery,
        position=stopped.position,
        event_id=stopped.event_id,
        event_type=stopped.type,
        attempt=attempt,
        status=stopped.status,
        error=stopped.error[:_SHOWN],
        failing_since=since,
        given_up=given_up,
        unsent=len(state.given_up) + given_up,
        retry_at=now + backoff(FIRST_RETRY, attempt, LONGEST_RETRY) if again else None,
    )
    return [failed] if why is None else [failed, of.WebhookPaused(reason=why)]


def _why_paused(state: of.Webhook, stopped: Stopped, since: datetime, now: datetime, *, given_up: bool) -> str | None:
    if state.status is not of.WebhookStatus.ACTIVE:
        return None
    if stopped.gone:
        return stopped.error[:_SHOWN]
    if now >= since + PAUSED_AFTER:
        return f"it has taken nothing since {since.isoformat()}: {stopped.error[:_SHOWN]}"
    if given_up and len(state.given_up) + 1 >= MAX_GIVEN_UP:
        return f"it has given up {MAX_GIVEN_UP} events; redrive them when it takes them again"
    return None


def _task_of(command: of.WebhookCommand, _actor: Actor) -> tuple[StreamId, ...]:
    if isinstance(command, of.SettleWebhook):
        return (task_stream(task_id_of(command.endpoint_id, command.delivery)),)
    return ()


WEBHOOK_ENDPOINT = Decider(
    category="webhook_endpoint",
    commands=of.COMMANDS,
    events=of.EVENTS,
    decide=decide_webhook,
    evolve=of.evolve_webhook,
    reads=_task_of,
)
