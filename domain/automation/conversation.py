"""These are the commands, the events, the state and the rules of a conversation, in which an agent answers people."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import StringConstraints

from domain.automation.agent_execution import agent_execution_stream
from domain.automation.agent_execution_state import AgentExecution, AgentExecutionStatus
from domain.automation.conversation_ids import ConversationId, conversation_stream
from domain.given import Given
from domain.message import Command, Decider, Event, Personal, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.json_text import json_text
from schemas.values import Id, Name, Text

MAX_MESSAGES = 200
"""Of people and of the agent together, in one conversation."""

MAX_TOLD_BYTES = 32 * 1024
"""Of the latest messages, as JSON: what a model is told again with each message."""

MessageText = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
"""What a person says; as JSON it fits into the input of a run however it is written."""

USER, ASSISTANT = "user", "assistant"
"""Who says something, in the words of language models."""

# --- commands


@value
class _OfConversation(Command):
    IS_FOR_OWN: ClassVar = True
    conversation_id: ConversationId

    @property
    def stream(self) -> StreamId:
        return conversation_stream(self.conversation_id)


@value
class StartConversation(_OfConversation):
    """Begin to talk with an agent; it answers each message as it is when that comes."""

    agent_id: Id
    title: Name


@value
class AddMessage(_OfConversation):
    """Say something to the agent, whose answer is a run of it; the next message is taken after the answer."""

    text: MessageText


@value
class StopAnswer(_OfConversation):
    """Wait no longer for the answer to the last message; what the agent does for it is cancelled."""

    reason: Text = ""


@value
class RenameConversation(_OfConversation):
    title: Name


@value
class ArchiveConversation(_OfConversation):
    """Nothing is said in it any more; an answer that is being made is cancelled."""

    reason: Text = ""


@value
class TakeConversationAnswer(_OfConversation):
    """Take over how the run ended that answers the message with this number."""

    IS_OURS: ClassVar = True
    IS_FOR_OWN: ClassVar = False
    number: int
    execution_id: str


@value
class FailConversationAnswer(_OfConversation):
    """There is no answer to the message with this number, because no run of the agent could begin."""

    IS_OURS: ClassVar = True
    IS_FOR_OWN: ClassVar = False
    number: int
    error: Text


ConversationCommand = (
    StartConversation
    | AddMessage
    | StopAnswer
    | RenameConversation
    | ArchiveConversation
    | TakeConversationAnswer
    | FailConversationAnswer
)

# --- events

_OfAuthor = Annotated[str, Personal("author")]
"""Belongs to the person to whom `author` is the stream: who said it, or whom the agent answers."""


@value
class ConversationStarted(Event):
    TYPE: ClassVar = "conversation.started"
    agent_id: str
    title: str


@value
class MessageAdded(Event):
    """Shape: `number` counts the messages of the conversation from 1; `started_by` is whose the conversation is."""

    TYPE: ClassVar = "conversation.message.added"
    number: int
    author: str
    text: _OfAuthor
    agent_id: str
    started_by: str


@value
class ConversationAnswered(Event):
    """Shape: `number` is that of the answer, which is a message too; `author` is who asked."""

    TYPE: ClassVar = "conversation.answered"
    number: int
    author: str
    text: _OfAuthor
    execution_id: str
    input_tokens: int
    output_tokens: int
    started_by: str


@value
class AnswerFailed(Event):
    """Shape: `number` is that of the message that has no answer."""

    TYPE: ClassVar = "conversation.answer.failed"
    number: int
    error: str
    started_by: str


@value
class ConversationRenamed(Event):
    TYPE: ClassVar = "conversation.renamed"
    title: str


@value
class ConversationArchived(Event):
    TYPE: ClassVar = "conversation.archived"
    reason: str


ConversationEvent = (
    ConversationStarted
    | MessageAdded
    | ConversationAnswered
    | AnswerFailed
    | ConversationRenamed
    | ConversationArchived
)

# --- state


class ConversationStatus(StrEnum):
    OPEN = "OPEN"
    ANSWERING = "ANSWERING"
    """The agent is about to answer the last message."""
    ARCHIVED = "ARCHIVED"


@value
class Conversation:
    """Shape: `count` is the number of the last message; `author` is whose that is, and whom the agent answers.

    `told` are the latest messages, {role, content}, as many as a model is told again.
    """

    agent_id: str
    title: str
    status: ConversationStatus = ConversationStatus.OPEN
    count: int = 0
    author: str = ""
    told: tuple[Mapping[str, str], ...] = ()


def evolve_conversation(state: Conversation | None, event: ConversationEvent) -> Conversation:
    if isinstance(event, ConversationStarted):
        return filled(Conversation, event)
    talk = known(state)
    match event:
        case MessageAdded():
            told = _latest([*talk.told, {"role": USER, "content": event.text}])
            return replace(
                talk, status=ConversationStatus.ANSWERING, count=event.number, author=event.author, told=told
            )
        case ConversationAnswered():
            told = _latest([*talk.told, {"role": ASSISTANT, "content": event.text}])
            return replace(talk, status=ConversationStatus.OPEN, count=event.number, told=told)
        case AnswerFailed():
            return replace(talk, status=ConversationStatus.OPEN)
        case ConversationRenamed():
            return replace(talk, title=event.title)
        case ConversationArchived():
            return replace(talk, status=ConversationStatus.ARCHIVED)
        case _:
            assert_never(event)


def _latest(messages: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    """Return the latest messages that a model is told again together, always the last one."""
    first, left = len(messages) - 1, MAX_TOLD_BYTES - _size(messages[-1])
    while first and (left := left - _size(messages[first - 1])) >= 0:
        first -= 1
    return tuple(messages[first:])


def _size(message: Mapping[str, str]) -> int:
    return len(json_text(message, most=10 * MAX_TOLD_BYTES))


# --- rules


def conversation_reads(command: ConversationCommand, _actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case TakeConversationAnswer():
            return (agent_execution_stream(command.execution_id),)
        case _:
            return ()


def decide_conversation(
    command: ConversationCommand, state: Conversation | None, given: Given
) -> tuple[ConversationEvent, ...]:
    named = f"conversation {command.conversation_id}"
    if isinstance(command, StartConversation):
        if state is not None:
            raise conflict(f"{named} is there already; a new one needs a new conversation_id")
        return (filled(ConversationStarted, command),)
    if state is None:
        raise not_found(f"{named} is not known")
    match command:
        case TakeConversationAnswer() | FailConversationAnswer():
            return _answer(command, state, given)
        case StopAnswer():
            error = f"stopped: {command.reason}" if command.reason else "stopped"
            return _failed(error, state, given) if state.status is ConversationStatus.ANSWERING else ()
        case ArchiveConversation():
            is_over = state.status is ConversationStatus.ARCHIVED
            return () if is_over else (ConversationArchived(reason=command.reason),)
        case _ if state.status is ConversationStatus.ARCHIVED:
            raise not_allowed(f"{named} is archived; start another one")
        case RenameConversation():
            return () if command.title == state.title else (filled(ConversationRenamed, command),)
        case AddMessage():
            return (_message(command, state, given),)
        case _:
            assert_never(command)


def _message(command: AddMessage, state: Conversation, given: Given) -> MessageAdded:
    named = f"conversation {command.conversation_id}"
    if state.status is ConversationStatus.ANSWERING:
        raise conflict(f"message {state.count} of {named} is being answered; say the next one after that")
    if state.count >= MAX_MESSAGES - 1:
        # there must be room for the answer
        raise not_allowed(f"{named} has {state.count} messages of at most {MAX_MESSAGES}; start another one")
    return MessageAdded(
        number=state.count + 1,
        author=f"{given.actor.type}-{given.actor.id}",
        text=command.text,
        agent_id=state.agent_id,
        started_by=known(given.made_by).id,
    )


def _answer(
    command: TakeConversationAnswer | FailConversationAnswer, state: Conversation, given: Given
) -> tuple[ConversationEvent, ...]:
    if state.status is not ConversationStatus.ANSWERING or command.number != state.count:
        return ()
    if isinstance(command, FailConversationAnswer):
        return _failed(command.error, state, given)
    run: AgentExecution | None = given.streams.get(agent_execution_stream(command.execution_id))
    if run is None or run.status is AgentExecutionStatus.RUNNING:
        return ()
    if run.status is not AgentExecutionStatus.COMPLETED:
        return _failed(run.error or f"the run was {run.status.lower()}", state, given)
    answered = filled(
        ConversationAnswered,
        run,
        number=state.count + 1,
        author=state.author,
        text=run.output,
        execution_id=command.execution_id,
        started_by=known(given.made_by).id,
    )
    return (answered,)


def _failed(error: str, state: Conversation, given: Given) -> tuple[AnswerFailed]:
    return (AnswerFailed(number=state.count, error=error, started_by=known(given.made_by).id),)


CONVERSATION = Decider(
    category="conversation",
    commands=classes_of(ConversationCommand),
    events=classes_of(ConversationEvent),
    decide=decide_conversation,
    evolve=evolve_conversation,
    reads=conversation_reads,
)
