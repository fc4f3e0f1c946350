"""What the process of an agent's run asks for, and when it asks again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.automation.agent_execution import FailAgentExecution, SettleAction
from domain.automation.agent_processes import AGENT_RUN
from domain.automation.tool import CancelToolExecution, ExecuteTool
from domain.operations.task import CancelTask, RequestTask
from domain.process import Ask, Forget, ProcessAsked, Wait
from schemas.envelope import Envelope, StreamId
from schemas.json_text import json_value
from tests.examples import agents as of
from tests.examples import envelope_of
from tests.examples.automation import TOOL_EXECUTION_CANCELLED, TOOL_EXECUTION_COMPLETED, TOOL_EXECUTION_FAILED
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import TASK_COMPLETED, TASK_FAILED
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.given_when_then import Runs

run = Runs(AGENT_RUN, "r1")
EXECUTE = ExecuteTool(tool_id="ping", execution_id="r1~1-1", parameters={"host": "web-1"}, parent="r1~1-1")


def asked(step: str, attempt: int = 1) -> ProcessAsked:
    return replace(ASKED, step=step, attempt=attempt)


def refused(step: str, reason: str, kind: str = "not_allowed") -> Any:
    return replace(ANSWERED, step=step, kind=kind, reason=reason)


def after(seconds: int) -> Any:
    return RECORDED_AT + timedelta(seconds=seconds)


def of_stream(stream: str) -> Envelope:
    return envelope_of(TASK_COMPLETED)._replace(stream=StreamId(stream))


def test_run_is_prepared_and_the_model_is_asked() -> None:
    run.when(of.AGENT_EXECUTION_STARTED).then(Ask("prepare", of.PREPARE_AGENT_EXECUTION))
    input_ = json_value(of.AGENT_EXECUTION_ASKED.input)
    run.when(of.AGENT_EXECUTION_ASKED).then(
        Ask("chat~1", RequestTask(task_id="r1~1", kind="chat.complete", input=input_, heartbeat_s=60))
    )


def test_end_of_the_models_task_is_taken_over() -> None:
    answer = Ask("answer~1", of.TAKE_ANSWER)
    run.given(asked("chat~1")).when(TASK_COMPLETED, stream="task-r1~1").then(answer)
    over = replace(TASK_FAILED, retry_at=None)
    run.given(asked("chat~1")).when(over, stream="task-r1~1").then(answer)
    run.given(asked("chat~1")).when(replace(over, retry_at=RECORDED_AT), stream="task-r1~1").then()
    # of the name of a run, but nobody asked for it here
    run.when(TASK_COMPLETED, stream="task-r1~1").then()


def test_tasks_and_tools_of_others_are_not_its_own() -> None:
    for stream in ("task-t1", "task-e1~check~1", "task-tool-run-e1~check~1"):
        envelope = of_stream(stream)
        assert AGENT_RUN.route(TASK_COMPLETED, envelope) is None
    for parent in (None, "e1~check~1"):
        assert AGENT_RUN.route(replace(TOOL_EXECUTION_COMPLETED, parent=parent), of_stream("tool-ping")) is None


def test_policy_is_asked_and_then_the_tool() -> None:
    run.when(of.ACTION_PROPOSED).then(Ask("evaluate~1-1", of.EVALUATE_ACTION))
    run.when(of.ACTION_APPROVED).then(Ask("tool~1-1", EXECUTE))
    run.given(asked("tool~1-1")).when(of.ACTION_RETRIED).then(Ask("tool~1-1", EXECUTE))


@pytest.mark.parametrize(
    ("end", "settled"),
    [
        (TOOL_EXECUTION_COMPLETED, {"output": '{"status":200}'}),
        (TOOL_EXECUTION_FAILED, {"error": "connection refused"}),
        (TOOL_EXECUTION_CANCELLED, {"error": "the execution of the tool was cancelled: not needed any more"}),
    ],
)
def test_end_of_the_tool_settles_the_action(end: Any, settled: dict[str, str]) -> None:
    ended = replace(end, parent="r1~1-1")
    settle = SettleAction(execution_id="r1", action_id="1-1", **settled)
    run.given(asked("tool~1-1")).when(ended).then(Ask("settle~1-1", settle))
    run.when(ended).then()
    run.given(asked("tool~1-1"), asked("cancel~1-1")).when(ended).then()


def test_tool_that_refuses_settles_the_action() -> None:
    settle = SettleAction(execution_id="r1", action_id="1-1", error="tool ping is retired")
    run.given(asked("tool~1-1")).when(refused("tool~1-1", "tool ping is retired")).then(Ask("settle~1-1", settle))


def test_tool_over_its_limit_is_asked_again_when_it_is_free() -> None:
    reason = f"tool ping was executed 30 times within a minute; it is free again at {after(20).isoformat()}"
    busy = refused("tool~1-1", reason, "not_now")
    run.given(asked("tool~1-1")).when(busy).then(Wait("again~1-1", after(20)))
    run.given(asked("tool~1-1", 3)).when(busy).then(Wait("again~1-1", after(22)))
    fired = replace(TIMER_FIRED, name="again~1-1")
    run.given(replace(TIMER_SET, name="again~1-1")).when(fired).then(Ask("again~1-1", of.RETRY_ACTION))
    again = refused("again~1-1", "the stream cannot be read", "not_now")
    run.given(asked("again~1-1")).when(again).then(Wait("again~1-1", after(10)))
    run.given(asked("tool~1-1")).when(refused("tool~1-1", "it failed inside", "not_now")).then(
        Wait("again~1-1", after(10))
    )


@pytest.mark.parametrize("step", ["prepare", "chat~1", "answer~1", "evaluate~1-1", "settle~1-1"])
def test_what_is_refused_fails_the_run_for_its_reason(step: str) -> None:
    fail = Ask("fail", FailAgentExecution(execution_id="r1", error="task r1~1 is there"))
    no = refused(step, "task r1~1 is there", "conflict")
    run.given(asked(step)).when(no).then(fail)
    run.given(asked(step), no, asked("fail")).when(refused("fail", "suspended")).then(Wait("fail", after(10)))
    timer = replace(TIMER_SET, name="fail")
    run.given(asked(step), no, asked("fail"), timer).when(replace(TIMER_FIRED, name="fail")).then(fail)


def test_run_that_ends_early_stops_what_is_open() -> None:
    cancel = Ask("cancel", CancelTask(task_id="r1~2", reason="its run has ended"))
    for end in (of.AGENT_EXECUTION_CANCELLED, of.AGENT_EXECUTION_FAILED):
        run.given(asked("chat~1"), asked("chat~2")).when(end).then(cancel)
        run.given(replace(TIMER_SET, name="again~1-1")).when(end).then(Forget("again~1-1"))


def test_tool_of_an_action_that_ended_otherwise_is_stopped() -> None:
    cancel = CancelToolExecution(tool_id="ping", execution_id="r1~1-1", reason="its run has ended")
    run.given(asked("tool~1-1")).when(of.ACTION_FAILED).then(Ask("cancel~1-1", cancel))
    run.given(asked("tool~1-1"), asked("settle~1-1")).when(of.ACTION_FAILED).then()
    run.given(asked("tool~1-1"), replace(TIMER_SET, name="again~1-1")).when(of.ACTION_FAILED).then()
    run.given(asked("cancel~1-1")).when(refused("cancel~1-1", "not known")).then()
