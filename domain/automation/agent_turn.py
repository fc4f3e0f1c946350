"""An agent's run goes on here: it asks the model, proposes actions, takes over what became of them, and ends."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, assert_never

from pydantic import TypeAdapter, ValidationError

from domain.automation.agent_execution import (
    PERSON,
    POLICY,
    RUN,
    ActionApproved,
    ActionExecuted,
    ActionFailed,
    ActionProposed,
    ActionRejected,
    ActionRetried,
    AgentExecutionAnswered,
    AgentExecutionAsked,
    AgentExecutionCancelled,
    AgentExecutionCompleted,
    AgentExecutionEvent,
    AgentExecutionFailed,
    AgentExecutionPrepared,
    ApproveAction,
    EvaluateAction,
    PolicyEvaluated,
    PrepareAgentExecution,
    RejectAction,
    RetryAction,
    SettleAction,
    TakeAnswer,
    chat_task_id,
)
from domain.automation.agent_execution_state import (
    OPEN,
    Action,
    ActionStatus,
    AgentExecution,
    evolve_agent_execution,
)
from domain.automation.approver import check_role
from domain.automation.model import Model, model_stream
from domain.automation.offered import Offered, offered, offered_of, offered_text, shown
from domain.automation.parameters import parameter_faults
from domain.automation.policy import Decision, Policy, PolicyDecision, evaluate, policy_stream
from domain.automation.tool import Tool, tool_stream
from domain.given import Given
from domain.message import value
from domain.operations.task import Task, TaskStatus, task_stream
from domain.rejection import not_allowed
from schemas.json_text import MAX_DEPTH, json_text, json_value

MAX_ACTIONS = 20
"""Actions that the model may ask for in one step."""

NO_POLICY = "the agent has no policy, so a person decides"
ENDED = "the run has ended"


@value
class _Call:
    id: str
    name: str
    arguments: dict[str, Any]


@value
class _Answer:
    """What the task of a step gives. Source: chat.complete, docs/handlers.md."""

    text: str
    tool_calls: tuple[_Call, ...] = ()
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


_ANSWER = TypeAdapter(_Answer)
_CUT_OFF = frozenset({"length", "max_tokens", "content_filter", "refusal"})
"""Why an answer ended before its end, in the words of the providers."""


class AgentTurn:
    """The events of one command, and the state that they lead to."""

    def __init__(self, state: AgentExecution, given: Given) -> None:
        self.state = state
        self.events: list[AgentExecutionEvent] = []
        self._given = given

    def prepare(self, command: PrepareAgentExecution) -> None:
        if self.state.step:
            return
        streams = self._given.streams
        model: Model | None = streams.get(model_stream(command.model_id))
        if model is None or model.retired:
            stands = "not known" if model is None else "retired"
            self.fail(f"model {command.model_id} is {stands}; give the agent another one")
            return
        found: list[tuple[str, Tool]] = []
        for id_ in command.tools:
            tool: Tool | None = streams.get(tool_stream(id_))
            if tool is None or tool.retired:
                self.fail(f"tool {id_} is {'not known' if tool is None else 'retired'}; give the agent other ones")
                return
            found.append((id_, tool))
        try:
            tools = offered_text(offered(found))
        except ValueError as error:
            self.fail(f"what the tools say {error}; give the agent fewer")
            return
        self._emit(
            AgentExecutionPrepared,
            model=model.model,
            provider_key=model.provider_key,
            max_tokens=model.max_tokens,
            temperature=model.temperature,
            tools=tools,
        )
        self._ask()

    def take_answer(self, command: TakeAnswer) -> None:
        state = self.state
        task: Task | None = self._given.streams.get(task_stream(chat_task_id(command.execution_id, command.step)))
        if not state.awaits_answer or command.step != state.step or task is None or not task.is_over:
            return
        if task.status is not TaskStatus.COMPLETED:
            self.fail(f"the model did not answer in step {state.step}: {task.answer}")
            return
        try:
            answer = _ANSWER.validate_json(task.ended_by)
        except ValidationError as error:
            faults = ", ".join(".".join(map(str, one["loc"])) or "all of it" for one in error.errors())
            self.fail(f"the answer of step {state.step} is not one of chat.complete: {faults}")
            return
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.tool_calls]
        self._emit(
            AgentExecutionAnswered,
            step=state.step,
            text=answer.text,
            tool_calls=json_text(calls),
            finish_reason=answer.finish_reason,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )
        self._go_on_after(answer)

    def _go_on_after(self, answer: _Answer) -> None:
        state = self.state
        if answer.finish_reason in _CUT_OFF or not (answer.tool_calls or answer.text.strip()):
            why = answer.finish_reason or "it is empty"
            what_to_do = "give the model more max_tokens, or another prompt"
            self.fail(f"the answer of step {state.step} was cut off ({why}); {what_to_do}")
        elif not answer.tool_calls:
            self._emit(AgentExecutionCompleted, **self._ending(), output=answer.text)
        elif state.step >= state.max_steps:
            self.fail(f"the agent still asked for actions in step {state.step}, and may take {state.max_steps} steps")
        elif len(answer.tool_calls) > MAX_ACTIONS:
            self.fail(f"the agent asked for {len(answer.tool_calls)} actions in one step, more than {MAX_ACTIONS}")
        else:
            tools = offered_of(state.offered)
            for number, call in enumerate(answer.tool_calls, 1):
                self._propose(f"{state.step}-{number}", call, tools)
            self._go_on()

    def _propose(self, action_id: str, call: _Call, tools: Sequence[Offered]) -> None:
        tool = next((one for one in tools if one.name == call.name), None)
        about = {"action_id": action_id, "tool_id": call.name if tool is None else tool.tool_id}
        self._emit(
            ActionProposed,
            **about,
            step=self.state.step,
            call_id=call.id,
            parameters=json_text(call.arguments),
            policy_id=self.state.policy_id,
        )
        if tool is None:
            names = ", ".join(one.name for one in tools) or "none"
            self._emit(ActionFailed, **about, error=f"there is no tool {call.name}; there are: {names}")
        elif faults := parameter_faults(json_text(tool.parameters), call.arguments):
            # nobody is asked for what could not be done
            self._emit(ActionFailed, **about, error=f"the parameters are wrong: {'; '.join(faults)}")

    def evaluate(self, command: EvaluateAction) -> None:
        action = self._action(command.action_id, ActionStatus.PROPOSED)
        if action is None or action.asked:
            return
        policy: Policy | None = None
        if command.policy_id is not None:
            policy = self._given.streams.get(policy_stream(command.policy_id))
        found = PolicyDecision(Decision.ASK, None, NO_POLICY, None)
        if policy is not None:
            found = evaluate(policy, action.tool_id, self.state.agent_id, json_value(action.parameters))
        about = {"action_id": command.action_id, "tool_id": action.tool_id}
        self._emit(
            PolicyEvaluated,
            **about,
            policy=command.policy_id,
            decision=found.decision.value,
            rule=found.rule,
            role=found.role and found.role.value,
            reason=found.reason,
        )
        match found.decision:
            case Decision.ALLOW:
                self._emit(ActionApproved, **about, parameters=action.parameters, by=POLICY, note=found.reason)
            case Decision.DENY:
                self._emit(ActionRejected, **about, by=POLICY, reason=found.reason)
                self._go_on()
            case Decision.ASK:
                pass
            case _:
                assert_never(found.decision)

    def judge(self, command: ApproveAction | RejectAction) -> None:
        action, named = self.state.actions.get(command.action_id), f"action {command.action_id}"
        if action is None or action.status is not ActionStatus.PROPOSED:
            stands = "is not open" if action is None else f"is {action.status}"
            raise not_allowed(f"{named} of execution {command.execution_id} {stands}; nobody is asked for it")
        check_role(action.role, named, self._given)
        about = {"action_id": command.action_id, "tool_id": action.tool_id}
        if isinstance(command, ApproveAction):
            self._emit(ActionApproved, **about, parameters=action.parameters, by=PERSON, note=command.note)
        else:
            self._emit(ActionRejected, **about, by=PERSON, reason=command.reason)
            self._go_on()

    def settle(self, command: SettleAction) -> None:
        action = self._action(command.action_id, ActionStatus.APPROVED)
        if action is None:
            return
        about = {"action_id": command.action_id, "tool_id": action.tool_id}
        if command.output is not None:
            self._emit(ActionExecuted, **about, output=command.output)
        else:
            self._emit(ActionFailed, **about, error=command.error)
        self._go_on()

    def retry(self, command: RetryAction) -> None:
        if action := self._action(command.action_id, ActionStatus.APPROVED):
            about = {"action_id": command.action_id, "tool_id": action.tool_id}
            self._emit(ActionRetried, **about, parameters=action.parameters)

    def fail(self, error: str) -> None:
        self._end_actions()
        self._emit(AgentExecutionFailed, **self._ending(), error=error)

    def cancel(self, reason: str) -> None:
        self._end_actions()
        self._emit(AgentExecutionCancelled, **self._ending(), reason=reason)

    # --- how it goes on

    def _action(self, action_id: str, status: ActionStatus) -> Action | None:
        action = self.state.actions.get(action_id)
        return action if action is not None and action.status is status else None

    def _go_on(self) -> None:
        """Ask the model again when every action of the step has ended."""
        if all(action.status not in OPEN for action in self.state.actions.values()):
            self._ask()

    def _ask(self) -> None:
        state, step = self.state, self.state.step + 1
        tools = offered_of(state.offered)
        said = {
            "model": state.model,
            "messages": list(state.told),
            "max_tokens": state.max_tokens,
            **({} if state.provider_key is None else {"provider_key": state.provider_key}),
            **({} if state.temperature is None else {"temperature": state.temperature}),
            **({"tools": [shown(tool) for tool in tools]} if tools else {}),
        }
        try:
            # schemas and arguments of calls are inside of what has a depth already
            input_ = json_text(said, depth=2 * MAX_DEPTH)
        except ValueError as error:
            self.fail(f"the conversation with the model {error} before step {step}; let it ask for less at once")
        else:
            self._emit(AgentExecutionAsked, step=step, input=input_)

    def _end_actions(self) -> None:
        for id_, action in self._open():
            about = {"action_id": id_, "tool_id": action.tool_id}
            if action.status is ActionStatus.PROPOSED:
                self._emit(ActionRejected, **about, by=RUN, reason=ENDED)
            else:
                self._emit(ActionFailed, **about, error=ENDED)

    def _open(self) -> Iterator[tuple[str, Action]]:
        return ((id_, action) for id_, action in [*self.state.actions.items()] if action.status in OPEN)

    def _ending(self) -> dict[str, Any]:
        state = self.state
        return {
            "parent": state.parent,
            "steps": state.step,
            "input_tokens": state.input_tokens,
            "output_tokens": state.output_tokens,
            "duration_ms": max(0, (self._given.now - state.started_at) // timedelta(milliseconds=1)),
        }

    def _emit(self, event: Callable[..., AgentExecutionEvent], **said: Any) -> None:
        about = {
            "execution_id": self.state.execution_id,
            "agent_id": self.state.agent_id,
            "timestamp": self._given.now,
        }
        made = event(**about, **said)
        self.events.append(made)
        self.state = evolve_agent_execution(self.state, made)
