"""These are the rules of a tool: what it may be, and how its executions begin, are limited and end."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from domain.automation.parameters import parameter_faults, schema_faults
from domain.automation.tool import (
    COMMANDS,
    EVENTS,
    MINUTE,
    CancelToolExecution,
    ExecuteTool,
    FailToolExecution,
    RegisterTool,
    RetireTool,
    SettleToolExecution,
    Tool,
    ToolCommand,
    ToolEvent,
    ToolExecutionCancelled,
    ToolExecutionCompleted,
    ToolExecutionFailed,
    ToolExecutionStarted,
    ToolRegistered,
    ToolRetired,
    ToolUpdated,
    UpdateTool,
    evolve_tool,
    run_stream,
    task_id_of,
)
from domain.given import Given
from domain.message import Decider, described, filled
from domain.operations.task import Task, TaskStatus, task_stream
from domain.rejection import conflict, invalid, not_allowed, not_found, not_now
from schemas.envelope import Actor, ActorType, StreamId
from schemas.json_text import MAX_JSON_BYTES, json_text, json_value


def decide_tool(command: ToolCommand, state: Tool | None, given: Given) -> tuple[ToolEvent, ...]:
    if isinstance(command, RegisterTool):
        if state is not None:
            raise conflict(f"tool {command.tool_id} is registered already; update it, or take another tool_id")
        return (_registered(command),)
    if state is None:
        raise not_found(f"tool {command.tool_id} is not known; register it")
    match command:
        case UpdateTool():
            return _update(command, state)
        case RetireTool():
            return () if state.retired else (ToolRetired(reason=command.reason),)
        case ExecuteTool():
            return (_execute(command, state, given),)
        case CancelToolExecution() | SettleToolExecution() | FailToolExecution():
            return _end(command, state, given)
        case _:
            assert_never(command)


def _registered(command: RegisterTool) -> ToolRegistered:
    _check_schema(command.parameters)
    fixed = None if command.fixed is None else json_text(command.fixed)
    return filled(ToolRegistered, command, version=1, parameters=json_text(command.parameters), fixed=fixed)


def _check_schema(parameters: Mapping[str, Any]) -> None:
    if found := schema_faults(parameters):
        raise invalid(f"the schema of the parameters: {'; '.join(found)}")


def _update(command: UpdateTool, tool: Tool) -> tuple[ToolUpdated, ...]:
    if tool.retired:
        raise not_allowed(f"tool {command.tool_id} is retired; register another one")
    said = described(command, UpdateTool)
    del said["tool_id"]
    if command.parameters is not None:
        _check_schema(command.parameters)
        said["parameters"] = json_text(command.parameters)
    if command.fixed is not None:
        said["fixed"] = json_text(command.fixed)
    updated = filled(ToolUpdated, tool, **{**said, "version": tool.version + 1})
    return () if filled(ToolUpdated, tool) == replace(updated, version=tool.version) else (updated,)


def _execute(command: ExecuteTool, tool: Tool, given: Given) -> ToolExecutionStarted:
    if command.parent is not None and given.actor.type is not ActorType.SYSTEM:
        raise not_allowed("`parent` is given by the engine")
    if tool.retired:
        raise not_allowed(f"tool {command.tool_id} is retired")
    if command.execution_id in tool.running or given.streams.get(run_stream(command.execution_id)) is not None:
        raise conflict(f"execution {command.execution_id} has begun already; a new one needs a new execution_id")
    parameters = _parameters(command, tool)
    _check_limit(command.tool_id, tool, given.now)
    input_ = {**parameters, **json_value(tool.fixed or "{}")}
    return ToolExecutionStarted(
        tool_id=command.tool_id,
        tool_version=tool.version,
        execution_id=command.execution_id,
        parent=command.parent,
        timestamp=given.now,
        kind=tool.kind,
        parameters=json_text(parameters),
        input=json_text(input_, most=2 * MAX_JSON_BYTES),
        timeout_s=tool.timeout_s,
        attempts=tool.attempts,
    )


def _parameters(command: ExecuteTool, tool: Tool) -> Mapping[str, Any]:
    """Return what was given. Raises: CommandRejected, it is not what the tool's schema says; every fault is named."""
    given = {} if command.parameters is None else command.parameters
    try:
        # what a workflow or an agent gives may be larger than what anybody may send
        given = json_value(json_text(given))
    except ValueError as error:
        raise invalid(f"the parameters of tool {command.tool_id}: {error}") from error
    if found := parameter_faults(tool.parameters, given):
        raise invalid(f"the parameters of tool {command.tool_id}: {'; '.join(found)}")
    parameters: Mapping[str, Any] = given
    return parameters


def _check_limit(tool_id: str, tool: Tool, now: datetime) -> None:
    """Raises: CommandRejected, as many executions as the tool may have in a minute have begun within the last one."""
    lately = [at for at in tool.began if at > now - MINUTE]
    if len(lately) >= tool.limit_per_minute:
        often = f"tool {tool_id} was executed {len(lately)} times within a minute, which is its limit"
        raise not_now(often, lately[-tool.limit_per_minute] + MINUTE)


def _end(
    command: CancelToolExecution | SettleToolExecution | FailToolExecution, tool: Tool, given: Given
) -> tuple[ToolEvent, ...]:
    run = tool.running.get(command.execution_id)
    if run is None:
        if isinstance(command, CancelToolExecution) and given.streams.get(run_stream(command.execution_id)) is None:
            raise not_found(f"execution {command.execution_id} of tool {command.tool_id} is not known")
        return ()
    duration_ms = max(0, (given.now - run.started_at) // timedelta(milliseconds=1))
    about: Mapping[str, Any] = {
        "tool_id": command.tool_id,
        "tool_version": run.tool_version,
        "execution_id": command.execution_id,
        "parent": run.parent,
        "timestamp": given.now,
        "duration_ms": duration_ms,
    }
    match command:
        case CancelToolExecution():
            return (ToolExecutionCancelled(**about, reason=command.reason),)
        case FailToolExecution():
            return (ToolExecutionFailed(**about, error=command.error),)
        case SettleToolExecution():
            task: Task | None = given.streams.get(task_stream(task_id_of(command.execution_id)))
            if task is None or not task.is_over:
                return ()
            if task.status is TaskStatus.COMPLETED:
                return (ToolExecutionCompleted(**about, output=task.answer),)
            return (ToolExecutionFailed(**about, error=task.answer),)
        case _:
            assert_never(command)


def tool_reads(command: ToolCommand, _actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case ExecuteTool() | CancelToolExecution():
            # the stream of the process that has it done says of every execution that it was there, of any tool
            return (run_stream(command.execution_id),)
        case SettleToolExecution():
            return (task_stream(task_id_of(command.execution_id)),)
        case _:
            return ()


TOOL = Decider(
    category="tool",
    commands=COMMANDS,
    events=EVENTS,
    decide=decide_tool,
    evolve=evolve_tool,
    reads=tool_reads,
)
