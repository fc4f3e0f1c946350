"""What may be done with a task, and what not."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.given import Given
from domain.message import adapter
from domain.operations.delivery import SENDER
from domain.operations.processes import TASK_LEASE
from domain.operations.task import TASK, ModelUse, RequestTask, TaskFailed, TaskTimedOut, TimeOutTask
from domain.process import Ask, Forget, Wait
from domain.rejection import Kind
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import (
    CANCEL_TASK,
    CLAIM_TASK,
    COMPLETE_TASK,
    FAIL_TASK,
    HEARTBEAT_TASK,
    POSTPONE_TASK,
    REQUEST_TASK,
    TASK_CANCELLED,
    TASK_CLAIMED,
    TASK_COMPLETED,
    TASK_FAILED,
    TASK_HEARTBEAT,
    TASK_MODEL_USED,
    TASK_POSTPONED,
    TASK_REQUESTED,
    TASK_TIMED_OUT,
    TIME_OUT_TASK,
)
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.given_when_then import GIVEN, Rules, Runs

task = Rules(TASK)
lease = Runs(TASK_LEASE, "check-web-1")

SECOND = timedelta(seconds=1)
CLAIMED = (TASK_REQUESTED, TASK_CLAIMED)


def at(after: timedelta) -> Given:
    return GIVEN._replace(now=RECORDED_AT + after)


def test_task_is_requested_once() -> None:
    task.given().when(REQUEST_TASK).then(TASK_REQUESTED)
    task.given(TASK_REQUESTED).when(REQUEST_TASK).then_refused(
        Kind.CONFLICT, "task check-web-1 is requested already; a new task needs a new task_id"
    )


def test_deliveries_are_asked_for_by_their_process_alone() -> None:
    words = (
        "the kind webhook.deliver and ids like webhook-shop~1 are for what is sent to webhook endpoints; take others"
    )
    delivery = replace(REQUEST_TASK, task_id="webhook-shop~1", kind="webhook.deliver")
    for forged in (delivery, replace(delivery, task_id="mine"), replace(delivery, kind="http.check")):
        task.given().when(forged).then_refused(Kind.NOT_ALLOWED, words)
    task.given().when(delivery, GIVEN._replace(actor=SENDER)).then(replace(TASK_REQUESTED, kind="webhook.deliver"))


def test_unknown_task_is_not_found() -> None:
    for command in (
        *(CLAIM_TASK, HEARTBEAT_TASK, COMPLETE_TASK, FAIL_TASK, POSTPONE_TASK, TIME_OUT_TASK, CANCEL_TASK),
    ):
        task.given().when(command).then_refused(Kind.NOT_FOUND, "task check-web-1 is not known")


def test_use_of_a_model_is_counted_with_the_answer_and_once() -> None:
    use = ModelUse(provider="openai", model="gpt-4o-mini", input_tokens=120, output_tokens=40)
    complete = replace(COMPLETE_TASK, usage=use)
    task.given(*CLAIMED).when(complete).then(TASK_MODEL_USED, TASK_COMPLETED)
    task.given(*CLAIMED, TASK_MODEL_USED, TASK_COMPLETED).when(complete).then()


def test_task_belongs_to_the_first_who_claims_it() -> None:
    task.given(TASK_REQUESTED).when(CLAIM_TASK).then(TASK_CLAIMED)
    task.given(*CLAIMED).when(replace(CLAIM_TASK, worker="worker-2")).then_refused(
        Kind.CONFLICT, "task check-web-1 is CLAIMED in attempt 1; claim another one"
    )


def test_claim_of_another_attempt_than_the_next_is_refused() -> None:
    task.given(TASK_REQUESTED).when(replace(CLAIM_TASK, attempt=1)).then(TASK_CLAIMED)
    task.given(TASK_REQUESTED).when(replace(CLAIM_TASK, attempt=2)).then_refused(
        Kind.CONFLICT, "task check-web-1 is WAITING in attempt 0; claim another one"
    )


def test_lease_without_heartbeats_lasts_as_long_as_the_attempt() -> None:
    alone = replace(TASK_REQUESTED, heartbeat_s=None)
    lasts = replace(TASK_CLAIMED, lease_until=RECORDED_AT + 300 * SECOND)
    task.given(alone).when(CLAIM_TASK).then(lasts)


def test_heartbeat_moves_the_lease_but_not_past_the_end_of_the_attempt() -> None:
    given = task.given(*CLAIMED)
    given.when(HEARTBEAT_TASK).then(TASK_HEARTBEAT)
    later = replace(TASK_HEARTBEAT, lease_until=RECORDED_AT + 300 * SECOND)
    given.when(HEARTBEAT_TASK, at(290 * SECOND)).then(later)


def test_answer_of_the_attempt_ends_the_task_and_the_same_answer_again_changes_nothing() -> None:
    task.given(*CLAIMED).when(COMPLETE_TASK).then(TASK_COMPLETED)
    task.given(*CLAIMED, TASK_COMPLETED).when(COMPLETE_TASK).then_nothing()


def test_worker_that_comes_late_changes_nothing() -> None:
    given = task.given(*CLAIMED, TASK_FAILED, replace(TASK_CLAIMED, attempt=2))
    for command in (HEARTBEAT_TASK, COMPLETE_TASK, FAIL_TASK, POSTPONE_TASK):
        given.when(command).then_refused(
            Kind.CONFLICT, "task check-web-1 is CLAIMED in attempt 2; stop the work on attempt 1"
        )


def test_failed_attempt_is_followed_by_another_after_a_time_that_doubles() -> None:
    task.given(*CLAIMED).when(FAIL_TASK).then(TASK_FAILED)
    given = task.given(*CLAIMED, TASK_FAILED)
    given.when(CLAIM_TASK).then_refused(
        Kind.NOT_ALLOWED, "task check-web-1 waits until 2026-01-31T08:30:05.250000+00:00 for its next attempt"
    )
    second = replace(
        TASK_CLAIMED, attempt=2, claimed_at=RECORDED_AT + 5 * SECOND, lease_until=RECORDED_AT + 65 * SECOND
    )
    given.when(CLAIM_TASK, at(5 * SECOND)).then(second)
    fails = replace(TASK_FAILED, attempt=2, retry_at=RECORDED_AT + 10 * SECOND)
    task.given(*CLAIMED, TASK_FAILED, second).when(replace(FAIL_TASK, attempt=2)).then(fails)


def test_last_attempt_and_one_that_may_not_be_repeated_end_the_task() -> None:
    once = replace(TASK_REQUESTED, attempts=1)
    over = replace(TASK_FAILED, retry_at=None)
    task.given(once, TASK_CLAIMED).when(FAIL_TASK).then(over)
    final = TaskFailed(attempt=1, error="connection refused", retryable=False, retry_at=None)
    task.given(*CLAIMED).when(replace(FAIL_TASK, retryable=False)).then(final)


def test_attempt_that_was_not_made_does_not_count() -> None:
    once = replace(TASK_REQUESTED, attempts=1)
    task.given(once, TASK_CLAIMED).when(POSTPONE_TASK).then(TASK_POSTPONED)
    postponed = (once, TASK_CLAIMED, TASK_POSTPONED)
    task.given(*postponed).when(CLAIM_TASK, at(29 * SECOND)).then_refused(
        Kind.NOT_ALLOWED, "task check-web-1 waits until 2026-01-31T08:30:30.250000+00:00 for its next attempt"
    )
    second = replace(TASK_CLAIMED, attempt=2)
    again = replace(TASK_POSTPONED, attempt=2, retry_at=RECORDED_AT + 90 * SECOND, postponed=2)
    task.given(*postponed, second).when(replace(POSTPONE_TASK, attempt=2), at(60 * SECOND)).then(again)
    # the one attempt that it has is left
    final = TaskFailed(attempt=3, error="connection refused", retryable=True, retry_at=None)
    third = replace(TASK_CLAIMED, attempt=3)
    task.given(*postponed, second, again, third).when(replace(FAIL_TASK, attempt=3)).then(final)


def test_time_between_attempts_doubles_with_those_that_were_made() -> None:
    second = replace(TASK_CLAIMED, attempt=2)
    fails = replace(TASK_FAILED, attempt=2, retry_at=RECORDED_AT + 5 * SECOND)
    task.given(*CLAIMED, TASK_POSTPONED, second).when(replace(FAIL_TASK, attempt=2)).then(fails)


def test_task_that_is_postponed_for_more_than_a_day_uses_up_its_attempts() -> None:
    later, day = replace(POSTPONE_TASK, attempt=2), 86_400
    postponed = task.given(*CLAIMED, TASK_POSTPONED, replace(TASK_CLAIMED, attempt=2))
    last = replace(TASK_POSTPONED, attempt=2, retry_at=RECORDED_AT + (day + 29) * SECOND, postponed=2)
    postponed.when(later, at((day - 1) * SECOND)).then(last)
    failed = TaskFailed(
        attempt=2, error=POSTPONE_TASK.reason, retryable=True, retry_at=RECORDED_AT + (day + 5) * SECOND
    )
    postponed.when(later, at(day * SECOND)).then(failed)


def test_attempt_times_out_when_its_lease_is_over_and_not_before() -> None:
    task.given(*CLAIMED).when(TIME_OUT_TASK).then_nothing()
    timed_out = TaskTimedOut(attempt=1, retry_at=RECORDED_AT + 65 * SECOND)
    task.given(*CLAIMED).when(TIME_OUT_TASK, at(60 * SECOND)).then(timed_out)
    task.given(TASK_REQUESTED).when(TIME_OUT_TASK).then_nothing()


def test_task_that_is_over_is_not_cancelled() -> None:
    task.given(TASK_REQUESTED).when(CANCEL_TASK).then(TASK_CANCELLED)
    for over in (TASK_COMPLETED, TASK_TIMED_OUT, TASK_CANCELLED):
        task.given(*CLAIMED, over).when(CANCEL_TASK).then_nothing()


@pytest.mark.parametrize("bad", [1 << 63, float("nan"), {1: 2}, "x" * 70_000, [[]] * 3 + [b"x"]])
def test_input_that_is_no_json_or_too_large_is_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        adapter(RequestTask).validate_python({"task_id": "t", "kind": "a", "input": bad})


def test_lease_is_waited_for_while_the_attempt_goes_on() -> None:
    for goes_on in (TASK_CLAIMED, TASK_HEARTBEAT):
        lease.when(goes_on).then(Wait("lease", RECORDED_AT + 60 * SECOND))
    for event in (TASK_COMPLETED, TASK_FAILED, TASK_TIMED_OUT, TASK_CANCELLED):
        lease.given(replace(TIMER_SET, name="lease")).when(event).then(Forget("lease"))


def test_lease_that_is_over_ends_the_attempt_and_a_refusal_is_asked_again() -> None:
    fired = replace(TIMER_FIRED, name="lease")
    lease.given(replace(TIMER_SET, name="lease")).when(fired).then(Ask("time_out", TimeOutTask(task_id="check-web-1")))
    asked = replace(ASKED, step="time_out", attempt=1)
    lease.given(asked).when(replace(ANSWERED, step="time_out")).then(Wait("lease", RECORDED_AT + 10 * SECOND))
    lease.given(asked).when(replace(ANSWERED, step="time_out", outcome="accepted", kind=None, reason=None)).then()
