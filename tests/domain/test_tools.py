"""What may be done with a tool, and how its executions begin, are limited and end."""

from dataclasses import replace
from datetime import timedelta
from time import process_time
from typing import Any

import pytest

from domain.automation.decide_tool import TOOL
from domain.automation.node_runs import sub_execution_id
from domain.automation.parameters import parameter_faults, schema_faults
from domain.automation.processes import WORKFLOW_NODE
from domain.automation.tool import (
    MAX_PER_MINUTE,
    MINUTE,
    ToolExecutionFailed,
    UpdateTool,
    run_stream,
    task_id_of,
)
from domain.automation.tool_processes import TOOL_RUN
from domain.given import Given
from domain.operations.task import CancelTask, RequestTask, Task, TaskStatus, task_stream
from domain.process import BEGUN, Ask, Note, Wait
from domain.rejection import Kind, free_again
from schemas.envelope import Actor, ActorType, StreamId
from schemas.json_text import json_text
from tests.examples import envelope_of
from tests.examples.automation import (
    CANCEL_TOOL_EXECUTION,
    EXECUTE_TOOL,
    FAIL_TOOL_EXECUTION,
    REGISTER_TOOL,
    RETIRE_TOOL,
    SETTLE_TOOL_EXECUTION,
    TOOL_EXECUTION_CANCELLED,
    TOOL_EXECUTION_COMPLETED,
    TOOL_EXECUTION_FAILED,
    TOOL_EXECUTION_STARTED,
    TOOL_REGISTERED,
    TOOL_RETIRED,
    TOOL_RUN_NOTED,
    TOOL_UPDATED,
    UPDATE_TOOL,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import TASK_COMPLETED, TASK_FAILED, TASK_REQUESTED, TASK_TIMED_OUT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.given_when_then import GIVEN, Rules, Runs

tool = Rules(TOOL)
run = Runs(TOOL_RUN, "x1")
REGISTERED = tool.given(TOOL_REGISTERED)
RUNNING = tool.given(TOOL_REGISTERED, TOOL_EXECUTION_STARTED)
ENGINE = GIVEN._replace(actor=Actor(ActorType.SYSTEM, "workflow_node"))
BEGAN_BEFORE = GIVEN._replace(streams={run_stream("x1"): BEGUN})


def at(seconds: float) -> Given:
    return GIVEN._replace(now=RECORDED_AT + timedelta(seconds=seconds))


def with_task(status: TaskStatus, ended_by: str) -> Given:
    task = Task(requested=TASK_REQUESTED, status=status, ended_by=ended_by)
    return GIVEN._replace(streams={task_stream("tool-run-x1"): task})


# --- the tool


def test_tool_is_registered_updated_and_retired() -> None:
    tool.given().when(REGISTER_TOOL).then(TOOL_REGISTERED)
    REGISTERED.when(UPDATE_TOOL).then(TOOL_UPDATED)
    tool.given(TOOL_REGISTERED, TOOL_UPDATED).when(UPDATE_TOOL).then_nothing()
    REGISTERED.when(RETIRE_TOOL).then(TOOL_RETIRED)
    tool.given(TOOL_REGISTERED, TOOL_RETIRED).when(RETIRE_TOOL).then_nothing()


def test_update_changes_what_it_says_and_counts_versions() -> None:
    again = UpdateTool(tool_id="look", parameters={}, fixed={}, description="")
    tool.given(TOOL_REGISTERED, TOOL_UPDATED).when(again).then(
        replace(TOOL_UPDATED, version=3, parameters="{}", fixed="{}", description="")
    )


def test_tool_is_registered_once_and_not_changed_when_it_is_retired() -> None:
    REGISTERED.when(REGISTER_TOOL).then_refused(
        Kind.CONFLICT, "tool look is registered already; update it, or take another tool_id"
    )
    retired = tool.given(TOOL_REGISTERED, TOOL_RETIRED)
    retired.when(UPDATE_TOOL).then_refused(Kind.NOT_ALLOWED, "tool look is retired; register another one")
    retired.when(EXECUTE_TOOL).then_refused(Kind.NOT_ALLOWED, "tool look is retired")


def test_tool_that_is_not_there_is_not_executed() -> None:
    tool.given().when(EXECUTE_TOOL).then_refused(Kind.NOT_FOUND, "tool look is not known; register it")


# --- schemas and parameters


def chain(length: int) -> dict[str, Any]:
    steps: dict[str, Any] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{length}": {}}}


def doubled(times: int) -> dict[str, Any]:
    steps: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 9} for n in range(times)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{times}": {}}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {"properties": {"a": {"minimum": "x"}}, "required": "a"},
            'properties.a.minimum: "x" is not of type "number"; required: "a" is not of type "array"',
        ),
        ({"properties": {"a": {"type": "text"}}}, "properties.a.type: "),
        ({"type": "string"}, "type must be object: parameters have names"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema must be https://json-schema.org/draft/2020"),
        ({"$ref": "https://web-1.example/a.json"}, "$ref https://web-1.example/a.json must be of the form #/$defs/"),
        (
            {"$ref": "file:///etc/passwd"},
            "$ref file:///etc/passwd must be of the form #/$defs/name: nothing is fetched",
        ),
        ({"$ref": "#/$defs/a"}, "$ref #/$defs/a names nothing"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "$ref #/$defs/a goes in a circle"),
        (chain(9), "more than 8 $ref lead on to each other"),
        (doubled(4), "it comes to 31364 parts, more than 500; say less of it"),
        ({"properties": {"a": {"$id": "b"}}}, "$id may stand at the top alone"),
        ({"$dynamicRef": "#a"}, "$dynamicRef is not known here; use $ref"),
        ({"unevaluatedProperties": True}, "unevaluatedProperties is not known here; use additionalProperties or items"),
        ({"properties": {"a": {"pattern": r"(\w{1,200}){1,10}x"}}}, "properties.a.pattern: "),
        ({"properties": {"a": {"pattern": "("}}}, 'properties.a.pattern: "(" is not a "regex"'),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, 'properties.a.pattern: "(?=a)" is not a "regex"'),
    ],
)
def test_schema_that_cannot_be_used_has_its_faults_named(schema: Any, said: str) -> None:
    assert "; ".join(schema_faults(schema)).startswith(said)


def test_tool_whose_schema_cannot_be_used_is_neither_registered_nor_updated() -> None:
    schema = {"type": "string", "$dynamicRef": "#a"}
    reason = "type must be object: parameters have names; $dynamicRef is not known here; use $ref"
    refused = f"the schema of the parameters: {reason}"
    tool.given().when(replace(REGISTER_TOOL, parameters=schema)).then_refused(Kind.INVALID, refused)
    REGISTERED.when(UpdateTool(tool_id="look", parameters=schema)).then_refused(Kind.INVALID, refused)


def test_schema_may_name_parts_of_its_own_and_have_more_names_if_it_says_so() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://web-1.example/tool.json",
        "properties": {"a": {"$ref": "#/$defs/a~1b"}, "mail": {"format": "email"}},
        "additionalProperties": {"type": "integer"},
        "$defs": {"a/b": {"enum": ["x", {"$ref": 1}]}},
    }
    assert schema_faults(schema) == []
    text = json_text(schema)
    assert parameter_faults(text, {"a": "x", "b": 1, "mail": "ann@acme.example"}) == []
    assert parameter_faults(text, {"a": "y", "b": "1", "mail": "ann"}) == [
        'a: "y" is not one of "x" or {"$ref":1}',
        'b: "1" is not of type "integer"',
        'mail: "ann" is not a "email"',
    ]


def test_pattern_takes_no_longer_the_longer_the_text() -> None:
    began = process_time()
    assert parameter_faults('{"properties":{"a":{"pattern":"^(a+)+$"}}}', {"a": "a" * 60_000 + "b"})
    assert process_time() - began < 2


FOREIGN = "Unevaluated properties are not allowed ('provider_key', 'url' were unexpected)"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (None, '"path" is a required property'),
        (["/"], "they must be an object"),
        ({"path": 1}, 'path: 1 is not of type "string"'),
        ({"path": "/" * 300}, f'path: "{"/" * 199}…'),
        (
            {"url": "http://127.0.0.1", "provider_key": "k"},
            f'"path" is a required property; {FOREIGN}',
        ),
        ({"path": "/", "more": {"a": "x" * 70_000}}, "is larger than 64 KiB as JSON"),
    ],
)
def test_parameters_that_do_not_match_are_refused_with_every_fault(parameters: Any, said: str) -> None:
    REGISTERED.when(replace(EXECUTE_TOOL, parameters=parameters)).then_refused(
        Kind.INVALID, f"the parameters of tool look: {said}"
    )


def test_of_many_wrong_values_only_the_first_is_told() -> None:
    schema = json_text({"properties": {"a": {"items": {"enum": [f"value {n}" for n in range(3_000)]}}}})
    [found] = parameter_faults(schema, {"a": list(range(5_000))})
    assert found.startswith("a.0: ")
    assert len(found) < 1_000
    assert parameter_faults(schema, {"a": ["value 1"] * 5_000}) == []


def test_of_many_faults_the_first_are_named_and_the_others_counted() -> None:
    schema = json_text({"properties": {f"p{n}": {"type": "string"} for n in range(30)}})
    found = parameter_faults(schema, {f"p{n}": n for n in range(30)})
    assert (len(found), found[-1]) == (21, "and 10 more")


# --- executions


def test_execution_gives_its_task_what_nobody_can_change() -> None:
    REGISTERED.when(EXECUTE_TOOL).then(TOOL_EXECUTION_STARTED)
    open_tool = replace(TOOL_REGISTERED, parameters='{"additionalProperties":true}')
    tool.given(open_tool).when(replace(EXECUTE_TOOL, parameters={"url": "http://127.0.0.1", "a": 1})).then(
        replace(
            TOOL_EXECUTION_STARTED,
            parameters='{"a":1,"url":"http://127.0.0.1"}',
            input='{"a":1,"url":"https://web-1.example"}',
        )
    )


def test_execution_is_of_the_version_that_it_began_with() -> None:
    tool.given(TOOL_REGISTERED, TOOL_UPDATED).when(EXECUTE_TOOL).then(replace(TOOL_EXECUTION_STARTED, tool_version=2))
    later = tool.given(TOOL_REGISTERED, TOOL_EXECUTION_STARTED, TOOL_UPDATED)
    later.when(CANCEL_TOOL_EXECUTION).then(TOOL_EXECUTION_CANCELLED)


def test_only_the_engine_says_who_waits_for_an_execution() -> None:
    child = replace(EXECUTE_TOOL, parent="e1~look~1")
    REGISTERED.when(child).then_refused(Kind.NOT_ALLOWED, "`parent` is given by the engine")
    REGISTERED.when(child, ENGINE).then(replace(TOOL_EXECUTION_STARTED, parent="e1~look~1"))


def test_id_of_an_execution_is_used_once_also_by_another_tool() -> None:
    used = "execution x1 has begun already; a new one needs a new execution_id"
    RUNNING.when(EXECUTE_TOOL).then_refused(Kind.CONFLICT, used)
    REGISTERED.when(EXECUTE_TOOL, BEGAN_BEFORE).then_refused(Kind.CONFLICT, used)


def began(*seconds: float) -> Rules:
    return tool.given(
        TOOL_REGISTERED,
        *(
            replace(TOOL_EXECUTION_STARTED, execution_id=f"y{n}", timestamp=RECORDED_AT + timedelta(seconds=second))
            for n, second in enumerate(seconds)
        ),
    )


def test_execution_beyond_the_limit_is_refused_until_the_first_is_a_minute_old() -> None:
    full = began(*range(MAX_PER_MINUTE))
    reason = "tool look was executed 30 times within a minute, which is its limit; it is free again at "
    full.when(EXECUTE_TOOL, at(59.9)).then_refused(Kind.NOT_NOW, f"{reason}2026-01-31T08:31:00.250000+00:00")
    free_at = free_again(f"{reason}2026-01-31T08:31:00.250000+00:00")
    assert free_at == RECORDED_AT + MINUTE
    full.when(EXECUTE_TOOL, GIVEN._replace(now=free_at)).then(replace(TOOL_EXECUTION_STARTED, timestamp=free_at))
    began(*range(1, MAX_PER_MINUTE)).when(EXECUTE_TOOL, at(31)).then(
        replace(TOOL_EXECUTION_STARTED, timestamp=at(31).now)
    )


def test_limit_is_the_tools_own_and_holds_also_where_it_became_lower() -> None:
    lower = Rules(TOOL, (*began(*range(20)).history, replace(TOOL_UPDATED, limit_per_minute=5)))
    reason = "tool look was executed 20 times within a minute, which is its limit; it is free again at "
    lower.when(EXECUTE_TOOL, at(20)).then_refused(Kind.NOT_NOW, f"{reason}2026-01-31T08:31:15.250000+00:00")
    assert free_again("tool look is not known; register it") is None


def test_execution_ends_as_its_task_did() -> None:
    RUNNING.when(SETTLE_TOOL_EXECUTION).then_nothing()
    RUNNING.when(SETTLE_TOOL_EXECUTION, with_task(TaskStatus.CLAIMED, "")).then_nothing()
    RUNNING.when(SETTLE_TOOL_EXECUTION, with_task(TaskStatus.COMPLETED, '{"status":200}')).then(
        TOOL_EXECUTION_COMPLETED
    )
    RUNNING.when(SETTLE_TOOL_EXECUTION, with_task(TaskStatus.FAILED, "connection refused")).then(TOOL_EXECUTION_FAILED)
    RUNNING.when(SETTLE_TOOL_EXECUTION, with_task(TaskStatus.CANCELLED, "enough")).then(
        replace(TOOL_EXECUTION_FAILED, error="the task was cancelled: enough")
    )
    RUNNING.when(FAIL_TOOL_EXECUTION, at(1.5)).then(
        ToolExecutionFailed(
            tool_id="look",
            tool_version=1,
            execution_id="x1",
            parent=None,
            timestamp=at(1.5).now,
            duration_ms=1_500,
            error="task tool-run-x1 is there",
        )
    )


def test_execution_that_has_ended_stays_as_it_is() -> None:
    for end in (TOOL_EXECUTION_COMPLETED, TOOL_EXECUTION_FAILED, TOOL_EXECUTION_CANCELLED):
        over = tool.given(TOOL_REGISTERED, TOOL_EXECUTION_STARTED, end)
        over.when(CANCEL_TOOL_EXECUTION, BEGAN_BEFORE).then_nothing()
        over.when(SETTLE_TOOL_EXECUTION, with_task(TaskStatus.COMPLETED, "1")).then_nothing()
        over.when(FAIL_TOOL_EXECUTION).then_nothing()


def test_execution_is_cancelled_also_of_a_retired_tool() -> None:
    RUNNING.when(CANCEL_TOOL_EXECUTION).then(TOOL_EXECUTION_CANCELLED)
    retired = tool.given(TOOL_REGISTERED, TOOL_EXECUTION_STARTED, TOOL_RETIRED)
    retired.when(CANCEL_TOOL_EXECUTION).then(TOOL_EXECUTION_CANCELLED)
    retired.when(SETTLE_TOOL_EXECUTION, with_task(TaskStatus.FAILED, "connection refused")).then(TOOL_EXECUTION_FAILED)
    REGISTERED.when(CANCEL_TOOL_EXECUTION).then_refused(Kind.NOT_FOUND, "execution x1 of tool look is not known")


@pytest.mark.parametrize(
    ("event", "stream", "instance"),
    [
        (replace(TOOL_EXECUTION_COMPLETED, parent="e1~a~1"), "tool-look", None),
        (
            replace(TOOL_EXECUTION_COMPLETED, parent="e1~a~1", execution_id=sub_execution_id("e1~a~1")),
            "tool-look",
            "e1~a~1",
        ),
        (TOOL_EXECUTION_FAILED, "tool-look", None),
        (TASK_COMPLETED, "task-e1~a~1", "e1~a~1"),
        (TASK_COMPLETED, "task-tool-run-agent~1", None),
        (TASK_COMPLETED, "task-a", None),
    ],
)
def test_node_hears_of_its_own_execution_and_of_no_other(event: Any, stream: str, instance: str | None) -> None:
    envelope = envelope_of(event)._replace(stream=StreamId(stream))
    assert WORKFLOW_NODE.route(event, envelope) == instance


# --- the process that has it done

NOTED = run.given(TOOL_RUN_NOTED)
ASKED_SETTLE = replace(ASKED, step="settle", attempt=1)


def answered(step: str, kind: str | None = "not_allowed") -> Any:
    return replace(ANSWERED, step=step, kind=kind, reason="tenant acme is SUSPENDED")


def test_task_of_an_execution_is_requested() -> None:
    run.given().when(TOOL_EXECUTION_STARTED).then(
        Note(TOOL_RUN_NOTED),
        Ask(
            "request_task",
            RequestTask(
                task_id="tool-run-x1",
                kind="http.check",
                input={"path": "/", "url": "https://web-1.example"},
                timeout_s=60,
                attempts=2,
            ),
        ),
    )
    NOTED.when(answered("request_task", None)).then()


def test_end_of_the_task_settles_the_execution_and_an_attempt_does_not() -> None:
    task = task_stream(task_id_of("x1"))
    NOTED.when(TASK_COMPLETED, stream=task).then(Ask("settle", SETTLE_TOOL_EXECUTION))
    NOTED.when(TASK_TIMED_OUT, stream=task).then(Ask("settle", SETTLE_TOOL_EXECUTION))
    NOTED.when(TASK_FAILED, stream=task).then()
    run.given().when(TASK_COMPLETED, stream=task).then()


def test_task_that_cannot_be_requested_fails_the_execution() -> None:
    error = "tenant acme is SUSPENDED"
    fail = Ask("fail", replace(FAIL_TOOL_EXECUTION, error=error))
    NOTED.when(answered("request_task")).then(fail)
    tried = run.given(TOOL_RUN_NOTED, answered("request_task"), replace(ASKED, step="fail", attempt=1))
    tried.when(answered("fail")).then(Wait("again", RECORDED_AT + timedelta(seconds=10)))
    tried.when(replace(TIMER_FIRED, name="again")).then(fail)


def test_end_that_cannot_be_taken_over_now_is_taken_over_later() -> None:
    tried = run.given(TOOL_RUN_NOTED, ASKED_SETTLE)
    tried.when(answered("settle")).then(Wait("again", RECORDED_AT + timedelta(seconds=10)))
    run.given(TOOL_RUN_NOTED, ASKED_SETTLE, replace(TIMER_SET, name="again")).when(
        replace(TIMER_FIRED, name="again")
    ).then(Ask("settle", SETTLE_TOOL_EXECUTION))


def test_cancelled_execution_takes_its_task_back() -> None:
    NOTED.when(TOOL_EXECUTION_CANCELLED).then(
        Ask("cancel", CancelTask(task_id="tool-run-x1", reason="the execution was cancelled"))
    )
    NOTED.when(answered("cancel")).then()
