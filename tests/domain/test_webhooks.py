"""When events are sent to an endpoint, and what becomes of those that it does not take."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import catalog
from domain.automation.tool import task_id_of as other_task
from domain.given import Given
from domain.integration.decide_webhook import FIRST_RETRY, MAX_ATTEMPTS, MAX_GIVEN_UP, PAUSED_AFTER, WEBHOOK_ENDPOINT
from domain.integration.processes import MAX_ENDPOINTS, WebhookNewsNoted, WebhookTypesNoted
from domain.integration.webhook_endpoint import (
    RedriveWebhook,
    RemoveWebhook,
    SettleWebhook,
    WakeWebhook,
    WebhookDelivered,
    WebhookDeliveryStarted,
    WebhookFailed,
    WebhookPaused,
    WebhookRedriven,
    WebhookResumed,
    WebhookWoken,
)
from domain.message import Event
from domain.operations.delivery import delivery_of, task_id_of
from domain.operations.task import CancelTask, RequestTask, Task, TaskStatus, task_stream
from domain.process import Ask, Forget, Note, ProcessAnswered, ProcessAsked, Wait
from domain.rejection import Kind
from schemas.json_text import json_text
from tests.examples.fleet import RETIRED
from tests.examples.integration import (
    CHANGE_WEBHOOK,
    PAUSE_WEBHOOK,
    REDRIVE_WEBHOOK,
    REGISTER_WEBHOOK,
    REMOVE_WEBHOOK,
    RESUME_WEBHOOK,
    ROTATE_WEBHOOK_SECRET,
    SETTLE_WEBHOOK,
    WAKE_WEBHOOK,
    WEBHOOK_CHANGED,
    WEBHOOK_DELIVERED,
    WEBHOOK_DELIVERY_STARTED,
    WEBHOOK_FAILED,
    WEBHOOK_PAUSED,
    WEBHOOK_REGISTERED,
    WEBHOOK_REMOVED,
    WEBHOOK_SECRET_ROTATED,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import TASK_COMPLETED, TASK_FAILED, TASK_REQUESTED
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED
from tests.given_when_then import GIVEN, Rules, Runs

endpoint = Rules(WEBHOOK_ENDPOINT)
ACTIVE = (WEBHOOK_REGISTERED,)
RUNNING = (*ACTIVE, WEBHOOK_DELIVERY_STARTED)
TASK = task_stream("webhook-shop~1")
ALL = Runs(catalog.PROCESS_BY_NAME["outbound_webhooks"], "all")
REFUSED = {"position": 41, "event_id": "e41", "type": "payment.recorded", "status": 503, "error": "answered 503"}


def woken(position: int) -> WebhookWoken:
    return WebhookWoken(position=position)


def started(delivery: int, after: int | None, *redo: int) -> WebhookDeliveryStarted:
    return replace(WEBHOOK_DELIVERY_STARTED, delivery=delivery, after=after, redo=redo)


def settled(output: Mapping[str, Any] | None, status: TaskStatus = TaskStatus.COMPLETED, answer: str = "") -> Given:
    text = answer if output is None else json_text(output)
    return GIVEN._replace(streams={TASK: Task(requested=TASK_REQUESTED, status=status, ended_by=text)})


def sent(events: int, looked_to: int | None, **more: Any) -> Given:
    return settled({"events": events, "redone": 0, "looked_to": looked_to, "more": False, **more})


def delivered(events: int, looked_to: int | None, **more: Any) -> WebhookDelivered:
    said = {"total": events, "redone": 0, "more": False, **more}
    return WebhookDelivered(delivery=1, events=events, looked_to=looked_to, **said)


def failed(attempt: int = 1, since: datetime = RECORDED_AT, **more: Any) -> WebhookFailed:
    of_event = {"position": 41, "event_id": "e41", "event_type": "payment.recorded", "status": 503}
    said = {**of_event, "error": "answered 503", "given_up": False, "unsent": 0, "retry_at": RECORDED_AT + FIRST_RETRY}
    return WebhookFailed(delivery=1, attempt=attempt, failing_since=since, **{**said, **more})


# --- the endpoint


def test_event_begins_a_delivery_of_what_follows_the_one_before_it() -> None:
    endpoint.given(*ACTIVE).when(WAKE_WEBHOOK).then(started(1, 40))


def test_what_comes_while_a_delivery_goes_on_is_sent_by_the_next_one() -> None:
    endpoint.given(*RUNNING).when(WakeWebhook(endpoint_id="shop", position=57)).then(woken(57))
    endpoint.given(*RUNNING, woken(57)).when(WakeWebhook(endpoint_id="shop", position=58)).then_nothing()
    endpoint.given(*RUNNING, woken(57)).when(SETTLE_WEBHOOK, sent(2, 50)).then(delivered(2, 50), started(2, 56))
    # what was looked at since is not looked at again
    endpoint.given(*RUNNING, woken(57)).when(SETTLE_WEBHOOK, sent(2, 60)).then(delivered(2, 60), started(2, 60))


def test_delivery_that_has_sent_all_is_followed_by_none() -> None:
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, sent(2, 50)).then(delivered(2, 50))
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, sent(100, 50, more=True)).then(
        delivered(100, 50, more=True), started(2, 50)
    )


def test_event_that_is_not_taken_comes_again_later_and_those_before_it_do_not() -> None:
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, sent(0, 40, stopped=REFUSED)).then(failed())
    after = endpoint.given(*RUNNING, failed())
    after.when(WakeWebhook(endpoint_id="shop", position=90)).then_nothing()
    # too early, and then
    after.when(WakeWebhook(endpoint_id="shop")).then_nothing()
    due = GIVEN._replace(now=RECORDED_AT + FIRST_RETRY)
    after.when(WakeWebhook(endpoint_id="shop"), due).then(started(2, 40))
    after.when(WakeWebhook(endpoint_id="shop", position=90), due).then(started(2, 40))
    some = sent(3, 44, stopped={**REFUSED, "position": 45})
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, some).then(delivered(3, 44, more=True), failed(position=45))


def test_waits_double_and_the_last_attempt_gives_up_that_event_alone() -> None:
    again = (*RUNNING, failed(attempt=3), started(1, 40))
    endpoint.given(*again).when(SETTLE_WEBHOOK, sent(0, 40, stopped=REFUSED)).then(
        failed(attempt=4, retry_at=RECORDED_AT + 8 * FIRST_RETRY)
    )
    last = (*RUNNING, failed(attempt=MAX_ATTEMPTS - 1), started(1, 40))
    endpoint.given(*last).when(SETTLE_WEBHOOK, sent(0, 40, stopped=REFUSED)).then(
        failed(attempt=MAX_ATTEMPTS, given_up=True, unsent=1, retry_at=None), started(2, 41)
    )


GIVEN_UP = failed(attempt=MAX_ATTEMPTS, given_up=True, unsent=1, retry_at=None)


def test_what_was_given_up_is_sent_again_first() -> None:
    history = (*RUNNING, GIVEN_UP, replace(WEBHOOK_DELIVERED, delivery=1, looked_to=60))
    redrive = endpoint.given(*history).when(REDRIVE_WEBHOOK)
    redrive.then(WebhookRedriven(positions=(41,)), started(2, None, 41))
    again = (*history, WebhookRedriven(positions=(41,)), started(1, None, 41))
    endpoint.given(*again).when(SETTLE_WEBHOOK, sent(1, None, redone=1)).then(delivered(1, None, total=4, redone=1))
    endpoint.given(*again).when(SETTLE_WEBHOOK, sent(0, None, stopped=REFUSED)).then(failed())
    endpoint.given(*ACTIVE).when(REDRIVE_WEBHOOK).then_nothing()


def test_endpoint_that_takes_nothing_for_long_is_paused_with_the_reason() -> None:
    since = RECORDED_AT - PAUSED_AFTER
    history = (*RUNNING, failed(since=since, attempt=3), started(1, 40))
    reason = f"it has taken nothing since {since.isoformat()}: answered 503"
    endpoint.given(*history).when(SETTLE_WEBHOOK, sent(0, 40, stopped=REFUSED)).then(
        failed(since=since, attempt=4, retry_at=None), WebhookPaused(reason=reason)
    )


def test_endpoint_that_is_gone_is_paused_at_once() -> None:
    gone = {**REFUSED, "status": 410, "error": "answered 410", "gone": True}
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, sent(0, 40, stopped=gone)).then(
        failed(status=410, error="answered 410", retry_at=None), WebhookPaused(reason="answered 410")
    )


def test_endpoint_that_has_given_up_much_is_paused_so_that_nothing_is_forgotten() -> None:
    many = [replace(GIVEN_UP, position=1_000 + at) for at in range(MAX_GIVEN_UP - 1)]
    history = (*RUNNING, *many, failed(attempt=MAX_ATTEMPTS - 1), started(1, 40))
    endpoint.given(*history).when(SETTLE_WEBHOOK, sent(0, 40, stopped=REFUSED)).then(
        failed(attempt=MAX_ATTEMPTS, given_up=True, unsent=MAX_GIVEN_UP, retry_at=None),
        WebhookPaused(reason=f"it has given up {MAX_GIVEN_UP} events; redrive them when it takes them again"),
    )


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (settled(None, TaskStatus.FAILED, "no secret"), "no secret"),
        (settled({"sent": 3}), "the output of its task is not that of a delivery"),
        (settled(None, TaskStatus.CANCELLED, "why not"), "the task was cancelled: why not"),
        (GIVEN, "its task is not there"),
    ],
)
def test_delivery_that_was_not_made_is_tried_again(given: Given, error: str) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("position", "event_id", "event_type", "status"))
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, given).then(failed(**nothing, error=error))


def test_task_that_goes_on_and_one_of_an_earlier_delivery_settle_nothing() -> None:
    endpoint.given(*RUNNING).when(SETTLE_WEBHOOK, settled(None, TaskStatus.CLAIMED)).then_nothing()
    endpoint.given(*RUNNING).when(SettleWebhook(endpoint_id="shop", delivery=2)).then_nothing()


def test_paused_endpoint_remembers_where_it_goes_on() -> None:
    paused = (*ACTIVE, WEBHOOK_PAUSED)
    endpoint.given(*paused).when(WAKE_WEBHOOK).then(woken(41))
    endpoint.given(*paused, woken(41)).when(WakeWebhook(endpoint_id="shop", position=50)).then_nothing()
    endpoint.given(*paused, woken(41)).when(RESUME_WEBHOOK).then(WebhookResumed(after=40), started(1, 40))
    endpoint.given(*paused).when(RESUME_WEBHOOK).then(WebhookResumed(after=None))
    endpoint.given(*ACTIVE).when(RESUME_WEBHOOK).then_nothing()
    endpoint.given(*paused).when(PAUSE_WEBHOOK).then_nothing()
    # what was done before it was stopped counts, and is followed by nothing
    going = endpoint.given(*RUNNING, WEBHOOK_PAUSED)
    going.when(SETTLE_WEBHOOK, sent(100, 50, more=True)).then(delivered(100, 50, more=True))
    going.when(SETTLE_WEBHOOK, sent(0, 40, stopped=REFUSED)).then(failed(retry_at=None))


def test_delivery_that_is_stopped_by_a_change_is_no_failure_and_begins_anew() -> None:
    stopped = settled(None, TaskStatus.CANCELLED, "its webhook endpoint was changed, paused or removed")
    again = delivered(0, 40, more=True)
    types = WEBHOOK_CHANGED.types
    endpoint.given(*RUNNING, WEBHOOK_CHANGED).when(SETTLE_WEBHOOK, stopped).then(
        again, replace(started(2, 40), types=types)
    )
    endpoint.given(*RUNNING, WEBHOOK_SECRET_ROTATED).when(SETTLE_WEBHOOK, stopped).then(again, started(2, 40))
    for last in (WEBHOOK_PAUSED, WEBHOOK_REMOVED):
        endpoint.given(*RUNNING, last).when(SETTLE_WEBHOOK, stopped).then(again)
    resumed = (*RUNNING, WEBHOOK_PAUSED, WebhookResumed(after=40))
    endpoint.given(*resumed).when(SETTLE_WEBHOOK, stopped).then(again, started(2, 40))


def test_endpoint_that_is_registered_anew_has_other_tasks_and_another_secret() -> None:
    anew = (*RUNNING, woken(57), WEBHOOK_REMOVED, WEBHOOK_REGISTERED)
    endpoint.given(*anew).when(SETTLE_WEBHOOK, sent(2, 50)).then_nothing()
    endpoint.given(*anew).when(WAKE_WEBHOOK).then(started(2, 40))
    endpoint.given(*anew).when(ROTATE_WEBHOOK_SECRET).then(replace(WEBHOOK_SECRET_ROTATED, number=3, sealed="BQYHCA=="))


def test_endpoint_is_managed_until_it_is_removed() -> None:
    endpoint.given().when(REGISTER_WEBHOOK).then(replace(WEBHOOK_REGISTERED, sealed="AQIDBA=="))
    endpoint.given(*ACTIVE).when(REGISTER_WEBHOOK).then_refused(
        Kind.CONFLICT, "webhook endpoint shop is there already; take another endpoint_id"
    )
    endpoint.given(*ACTIVE).when(CHANGE_WEBHOOK).then(WEBHOOK_CHANGED)
    endpoint.given(*ACTIVE, WEBHOOK_CHANGED).when(CHANGE_WEBHOOK).then_nothing()
    endpoint.given(*ACTIVE).when(ROTATE_WEBHOOK_SECRET).then(replace(WEBHOOK_SECRET_ROTATED, sealed="BQYHCA=="))
    endpoint.given(*ACTIVE).when(REMOVE_WEBHOOK).then(WEBHOOK_REMOVED)
    removed = endpoint.given(*ACTIVE, WEBHOOK_REMOVED)
    removed.when(REMOVE_WEBHOOK).then_nothing()
    removed.when(REGISTER_WEBHOOK).then(replace(WEBHOOK_REGISTERED, sealed="AQIDBA=="))
    removed.when(WAKE_WEBHOOK).then_nothing()
    for command in (CHANGE_WEBHOOK, ROTATE_WEBHOOK_SECRET, PAUSE_WEBHOOK, RESUME_WEBHOOK, REDRIVE_WEBHOOK):
        removed.when(command).then_refused(Kind.NOT_ALLOWED, "webhook endpoint shop is removed; register another one")


# --- the process


NOTED = WebhookTypesNoted(endpoint_id="shop", types=("device.retired",))
NEWS = WebhookNewsNoted(endpoint_id="shop", position=7)
WAKE = Ask("wake~shop", WakeWebhook(endpoint_id="shop", position=7))


FORGOTTEN = [Forget(f"{step}~shop") for step in ("try", "wake", "settle")]


def asked(step: str) -> ProcessAsked:
    return replace(ASKED, step=step)


def answered(step: str, **more: Any) -> ProcessAnswered:
    return replace(ANSWERED, step=step, **more)


def test_event_wakes_the_endpoints_that_want_it_and_no_other() -> None:
    others = [WebhookTypesNoted(endpoint_id=name, types=("device.registered",)) for name in ("a", "b")]
    ALL.given(NOTED, *others).when(RETIRED).then(Note(NEWS), WAKE)
    ALL.given(*others).when(RETIRED).then()
    ALL.given().when(RETIRED).then()


def test_many_events_wake_an_endpoint_twice_until_its_delivery_ends() -> None:
    ALL.given(NOTED, NEWS).when(RETIRED).then(Note(NEWS), WAKE)
    ALL.given(NOTED, NEWS, NEWS).when(RETIRED).then()
    ALL.given(NOTED, NEWS, NEWS, asked("settle~shop")).when(RETIRED).then(Note(NEWS), WAKE)


def test_delivery_is_a_task_and_its_end_is_settled() -> None:
    task = RequestTask(
        task_id="webhook-shop~1",
        kind="webhook.deliver",
        input={"after": 40, "redo": [], "types": ["payment.recorded", "invoice.approved"]},
        timeout_s=900,
        heartbeat_s=30,
        attempts=3,
    )
    ALL.given(NOTED).when(WEBHOOK_DELIVERY_STARTED).then(Ask("task~shop", task))
    settle = Ask("settle~shop", SETTLE_WEBHOOK)
    ALL.given(NOTED).when(TASK_COMPLETED, stream=TASK).then(settle)
    ALL.given(NOTED).when(replace(TASK_FAILED, retry_at=None), stream=TASK).then(settle)
    ALL.given(NOTED).when(replace(TASK_FAILED, retry_at=RECORDED_AT), stream=TASK).then()


def test_delivery_that_goes_on_is_stopped_when_its_endpoint_is_changed_paused_or_removed() -> None:
    reason = "its webhook endpoint was changed, paused or removed"
    stop = Ask("stop~shop", CancelTask(task_id="webhook-shop~1", reason=reason))
    going = (NOTED, asked("task~shop"), answered("task~shop", stream=TASK))
    ALL.given(*going).when(WEBHOOK_SECRET_ROTATED).then(stop)
    ALL.given(*going).when(WEBHOOK_PAUSED).then(Forget("try~shop"), stop)
    ALL.given(*going).when(WEBHOOK_CHANGED).then(Note(replace(NOTED, types=("payment.recorded",))), stop)
    ALL.given(*going).when(WEBHOOK_REMOVED).then(*FORGOTTEN, stop, Note(replace(NOTED, types=())))
    ALL.given(*going, asked("settle~shop")).when(WEBHOOK_SECRET_ROTATED).then()
    refused: dict[str, Any] = {"kind": "not_found", "reason": "no", "stream": TASK}
    ALL.given(*going, asked("stop~shop")).when(answered("stop~shop", **refused)).then()


def test_tasks_of_others_are_not_listened_to() -> None:
    assert delivery_of(task_id_of("a~b", 12)) == ("a~b", 12)
    assert [delivery_of(name) for name in ("check", "webhook-shop", "webhook-shop~x", other_task("s~1"))] == [None] * 4


def test_what_is_refused_is_asked_again_or_told_to_the_endpoint() -> None:
    refused: dict[str, Any] = {"kind": "not_allowed", "reason": "no", "stream": TASK}
    ALL.given(NOTED, asked("task~shop")).when(answered("task~shop", **refused)).then(
        Ask("settle~shop", replace(SETTLE_WEBHOOK, error="no"))
    )
    inside = {**refused, "stream": "outbound_webhooks-all", "attempt": 1}
    ALL.given(NOTED, asked("task~shop")).when(answered("task~shop", **inside)).then(
        Ask("settle~shop", replace(SETTLE_WEBHOOK, error="no"))
    )
    later = RECORDED_AT + timedelta(minutes=1)
    for step in ("wake~shop", "settle~shop"):
        ALL.given(NOTED, asked(step)).when(answered(step, **refused)).then(Wait(step, later))
    ALL.given(NOTED, NEWS, replace(NEWS, position=9)).when(_fired("wake~shop")).then(WAKE)
    begun = answered("task~shop", stream=TASK)
    ALL.given(NOTED, begun).when(_fired("settle~shop")).then(Ask("settle~shop", SETTLE_WEBHOOK))


def test_next_attempt_has_a_timer() -> None:
    ALL.given(NOTED).when(WEBHOOK_FAILED).then(Wait("try~shop", RECORDED_AT))
    ALL.given(NOTED).when(replace(WEBHOOK_FAILED, retry_at=None)).then()
    ALL.given(NOTED).when(_fired("try~shop")).then(Ask("wake~shop", WakeWebhook(endpoint_id="shop")))
    ALL.given(NOTED).when(WEBHOOK_PAUSED).then(Forget("try~shop"))


def _fired(name: str) -> Event:
    return replace(TIMER_FIRED, name=name)


def test_types_of_an_endpoint_are_known_while_it_is_there() -> None:
    types = Note(replace(NOTED, types=("payment.recorded", "invoice.approved")))
    ALL.given().when(WEBHOOK_REGISTERED).then(types)
    ALL.given(NOTED).when(WEBHOOK_CHANGED).then(Note(replace(NOTED, types=("payment.recorded",))))
    ALL.given(NOTED).when(WEBHOOK_REMOVED).then(*FORGOTTEN, Note(replace(NOTED, types=())))
    ALL.given(NOTED, replace(NOTED, types=())).when(RETIRED).then()


def test_tenant_has_so_many_endpoints_and_not_more() -> None:
    many = [replace(NOTED, endpoint_id=f"e{at}") for at in range(MAX_ENDPOINTS)]
    reason = "a tenant has at most 50 webhook endpoints; remove one, then register it anew"
    ALL.given(*many).when(WEBHOOK_REGISTERED).then(Ask("remove~shop", RemoveWebhook(endpoint_id="shop", reason=reason)))


def test_no_event_that_a_delivery_leads_to_is_offered() -> None:
    assert not [name for name in catalog.OFFERED if name.startswith(("task.", "webhook.", "process.", "timer."))]
    assert set(catalog.DECIDED) > catalog.OFFERED
    assert RedriveWebhook(endpoint_id="shop").stream == REGISTER_WEBHOOK.stream
