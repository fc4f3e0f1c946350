"""This process of the automation context has an agent answer what people say in a conversation."""

from collections.abc import Sequence

from domain.automation.agent_execution import (
    AgentExecutionCancelled,
    AgentExecutionCompleted,
    AgentExecutionFailed,
    CancelAgentExecution,
    ExecuteAgent,
)
from domain.automation.conversation import (
    AnswerFailed,
    Conversation,
    ConversationArchived,
    ConversationStatus,
    FailConversationAnswer,
    MessageAdded,
    TakeConversationAnswer,
)
from domain.automation.conversation_ids import answer_execution_id, answer_of, answer_token
from domain.message import Event
from domain.operations.processes import later
from domain.process import Action, Around, Ask, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope, id_of

# what a command is asked for; the number of the message is after the "~"
_RUN, _TAKE, _FAIL, _CANCEL = "run", "take", "fail", "cancel"

_Ended = AgentExecutionCompleted | AgentExecutionFailed | AgentExecutionCancelled
_OfConversation = MessageAdded | AnswerFailed | ConversationArchived
_Heard = _OfConversation | _Ended


def _conversation_of(event: _Heard, envelope: Envelope) -> str | None:
    match event:
        case MessageAdded() | AnswerFailed() | ConversationArchived():
            return id_of(envelope.stream)
        case _:
            answer = answer_of(event.parent)
            return None if answer is None else answer[0]


def evolve_conversation_answer(state: str | None, event: Event) -> str | None:
    """Return why the last run could not begin, None where it did."""
    match event:
        case ProcessAnswered(step=step) if step.partition("~")[0] == _RUN:
            return event.reason if event.refused else None
        case _:
            return state


def react_conversation_answer(
    state: str | None, event: _Heard | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case MessageAdded():
            return [_run(event, around.id)]
        case AnswerFailed() | ConversationArchived():
            return _cancel(around)
        case ProcessAnswered():
            return _answered(event, around)
        case TimerFired():
            return [_again(event.name, state or "", around.id)]
        case _:
            answer = answer_of(event.parent)
            number = 0 if answer is None else answer[1]
            return [_take(around.id, number)] if f"{_RUN}~{number}" in around.attempts else []


def _run(event: MessageAdded, conversation_id: str) -> Ask:
    execute = ExecuteAgent(
        execution_id=answer_execution_id(conversation_id, event.number),
        agent_id=event.agent_id,
        conversation_id=conversation_id,
        parent=answer_token(conversation_id, event.number),
    )
    return Ask(f"{_RUN}~{event.number}", execute)


def _take(conversation_id: str, number: int) -> Ask:
    take = TakeConversationAnswer(
        conversation_id=conversation_id, number=number, execution_id=answer_execution_id(conversation_id, number)
    )
    return Ask(f"{_TAKE}~{number}", take)


def _fail(conversation_id: str, number: int, reason: str) -> Ask:
    return Ask(
        f"{_FAIL}~{number}", FailConversationAnswer(conversation_id=conversation_id, number=number, error=reason)
    )


def _cancel(around: Around) -> Sequence[Action]:
    """Stop the run that answers the last message, unless it has ended or could not begin."""
    number = max((int(step.partition("~")[2]) for step in around.attempts if step.startswith(f"{_RUN}~")), default=None)
    if number is None or any(f"{step}~{number}" in around.attempts for step in (_TAKE, _FAIL, _CANCEL)):
        return []
    cancel = CancelAgentExecution(
        execution_id=answer_execution_id(around.id, number), reason="its conversation waits for it no longer"
    )
    return [Ask(f"{_CANCEL}~{number}", cancel)]


def _answered(event: ProcessAnswered, around: Around) -> Sequence[Action]:
    kind, _, number = event.step.partition("~")
    if not event.refused or kind == _CANCEL:
        return []
    if kind == _RUN:
        return [_fail(around.id, int(number), event.reason or "")]
    # the conversation cannot be read now, or its tenant is suspended
    return [Wait(event.step, around.now + later(around.attempts[event.step]))]


def _again(timer: str, reason: str, conversation_id: str) -> Ask:
    kind, _, number = timer.partition("~")
    return _take(conversation_id, int(number)) if kind == _TAKE else _fail(conversation_id, int(number), reason)


def _is_wanted(talk: Conversation | None, event: Event) -> bool:
    """Return whether what an event leads to is wanted still: an answer, while the conversation waits for it."""
    if not isinstance(event, MessageAdded):
        return True
    return talk is not None and talk.status is ConversationStatus.ANSWERING and talk.count == event.number


CONVERSATION_ANSWER = Process(
    name="conversation_answer",
    listens=(
        *(MessageAdded, AnswerFailed, ConversationArchived),
        *(AgentExecutionCompleted, AgentExecutionFailed, AgentExecutionCancelled),
    ),
    route=_conversation_of,
    evolve=evolve_conversation_answer,
    react=react_conversation_answer,
    still=_is_wanted,
)
