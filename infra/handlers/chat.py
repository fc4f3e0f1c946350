"""This handler asks a language model, shows its words while they come, and counts what that took."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import httpx
import orjson
from pydantic import Field, StringConstraints, model_validator

from factline.worker import Done, Failed, ModelUse, Provider, Task
from infra.handlers.chat_formats import FORMATS, Asked, Call, CallPart, ChatFormat, Part, Said, Tool
from infra.handlers.inputs import Input, checked, provider_of
from infra.handlers.outgoing import Outgoing
from infra.handlers.providers import answering, hidden
from infra.handlers.web import Handler

_LONGEST_LINE = 1_048_576
_MOST_BYTES = 49_152
"""Of the text and the arguments of calls, in an output that has room for 64 KiB of JSON."""

_MOST_CHARACTERS = 1_000
"""Of a text that is shown at once: JSON takes at most six bytes for one, and a message has room for 8 KiB."""

_GATHER_S = 0.05
"""How long words are gathered before they are shown, so that not each of them is a message."""


_Text = Annotated[str, StringConstraints(min_length=1)]


_TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
_ToolName = Annotated[str, StringConstraints(pattern=_TOOL_NAME)]
"""What every provider takes as the name of a tool."""


class ToolCall(Input):
    id: _Text
    name: _ToolName
    arguments: dict[str, Any] = Field(default_factory=dict)


class Message(Input):
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: Annotated[tuple[ToolCall, ...], Field(max_length=100)] = ()
    tool_call_id: _Text | None = None

    @model_validator(mode="after")
    def _of_its_role(self) -> "Message":
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only the role assistant has tool_calls")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("the role tool has a tool_call_id, and no other role has one")
        if not self.content and not self.tool_calls and self.role != "tool":
            raise ValueError("content is missing")
        return self


class ToolSaid(Input):
    name: _ToolName
    description: Annotated[str, StringConstraints(max_length=4_000)] = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})


class Chat(Input):
    provider_key: _Text | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    messages: Annotated[tuple[Message, ...], Field(min_length=1, max_length=2_000)]
    tools: Annotated[tuple[ToolSaid, ...], Field(max_length=100)] = ()
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 1_024
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 120

    @model_validator(mode="after")
    def _answers_follow_calls(self) -> "Chat":
        called: set[str] = set()
        for message in self.messages:
            if message.tool_call_id is not None and message.tool_call_id not in called:
                raise ValueError(f"no message before has a call with the id {message.tool_call_id}")
            called.update(call.id for call in message.tool_calls)
        return self


class Whole(NamedTuple):
    """A whole answer: what its parts said, and the calls of tools that they make together."""

    said: Part
    calls: Sequence[Call]


def chat_complete(outgoing: Outgoing) -> Handler:
    """Return the handler of `chat.complete`.

    Shape: who is asked, and where, says the provider key. While the answer comes, its words are published as
    {text, at}, where `at` is how many characters came before. The output is {text, model, finish_reason, input_tokens,
    output_tokens}, with tool_calls [{id, name, arguments}] where the model asks for tools; an answer that breaks off
    before its end fails the attempt.
    """

    async def complete(task: Task) -> Any:
        asked = checked(Chat, task.input)
        if asked.provider_key is None:
            raise Failed(
                "no model is configured: keep a key with `factline provider-keys set NAME --provider openai --kind"
                " chat.complete`, and name it as `provider_key` in the input, or in the model of an agent",
                retryable=False,
            )
        provider = provider_of(task)
        words = _Words(task.publish)
        try:
            said, calls = await _answer(outgoing, provider, asked, words)
        finally:
            words.show()
        used = ModelUse(provider.name, asked.model, said.input_tokens or 0, said.output_tokens or 0)
        output = {
            "text": said.text,
            "model": asked.model,
            "finish_reason": said.finish,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            **({"tool_calls": [call._asdict() for call in calls]} if calls else {}),
        }
        return Done(output, used)

    return complete


class _Words:
    """The words of an answer on their way to those who listen."""

    def __init__(self, publish: Callable[[Any], None]) -> None:
        self._publish = publish
        self._gathered = ""
        self._shown = 0
        self._due: asyncio.TimerHandle | None = None

    def add(self, text: str) -> None:
        self._gathered += text
        if self._gathered and self._due is None:
            self._due = asyncio.get_running_loop().call_later(_GATHER_S, self.show)

    def show(self) -> None:
        """Publish what was gathered."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        for first in range(0, len(self._gathered), _MOST_CHARACTERS):
            text = self._gathered[first : first + _MOST_CHARACTERS]
            self._publish({"text": text, "at": self._shown + first})
        self._shown += len(self._gathered)
        self._gathered = ""


async def _answer(outgoing: Outgoing, provider: Provider, chat: Chat, words: _Words) -> Whole:
    """Return the whole answer. Raises: Failed."""
    format_ = FORMATS.get(provider.name, FORMATS["openai"])
    tools = [Tool(one.name, one.description, one.parameters) for one in chat.tools]
    asked = Asked(chat.model, _conversation(chat), chat.max_tokens, chat.temperature, tools)
    async with answering(outgoing, provider, format_.request(provider, asked), chat.timeout_s) as response:
        return await _whole(response, format_, provider, words)


def _conversation(chat: Chat) -> Sequence[Said]:
    names: dict[str, str] = {}
    said: list[Said] = []
    for one in chat.messages:
        calls = [Call(call.id, call.name, call.arguments) for call in one.tool_calls]
        names |= {call.id: call.name for call in calls}
        answers = one.tool_call_id or ""
        said.append(Said(one.role, one.content, calls, answers, names.get(answers, "")))
    return said


async def _whole(response: httpx.Response, format_: ChatFormat, provider: Provider, words: _Words) -> Whole:
    whole, size = Part(), 0
    calls: list[CallPart] = []
    async for line in _lines(response):
        try:
            part = format_.part(line)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Failed(f"{provider.name} answered what is not of its format: {line[:200]!r}") from error
        if part is None:
            continue
        if part.error is not None:
            raise Failed(f"{provider.name} broke off: {hidden(part.error, provider)}")
        size += len(part.text.encode()) + sum(len(call.arguments.encode()) for call in part.calls)
        if size > _MOST_BYTES:
            raise Failed(f"the answer is longer than {_MOST_BYTES // 1024} KiB; ask for less", retryable=False)
        words.add(part.text)
        # what was said last of each holds
        whole = Part(
            whole.text + part.text,
            part.finish or whole.finish,
            whole.input_tokens if part.input_tokens is None else part.input_tokens,
            whole.output_tokens if part.output_tokens is None else part.output_tokens,
        )
        calls += part.calls
        if part.is_last:
            return Whole(whole, _calls(calls, provider))
    raise Failed(f"the answer of {provider.name} broke off before its end")


def _calls(parts: Sequence[CallPart], provider: Provider) -> Sequence[Call]:
    """Return the calls whose parts these are. Raises: Failed, one of them is none; another answer may be better."""
    together: dict[int, CallPart] = {}
    for part in parts:
        index = len(together) if part.at is None else part.at
        _, id_, name, arguments = together.get(index, CallPart(None, "", "", ""))
        together[index] = CallPart(index, id_ or part.id, name or part.name, arguments + part.arguments)
    return [
        # Ollama gives no ids
        Call(whole.id or f"call_{at}", whole.name, _arguments(whole, provider))
        for at, whole in enumerate(together.values())
    ]


def _arguments(call: CallPart, provider: Provider) -> Mapping[str, Any]:
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not re.fullmatch(_TOOL_NAME, call.name):
        raise Failed(f"{provider.name} asked for a tool by a name that none may have: {call.name[:100]!r}")
    if not isinstance(arguments, dict):
        said = hidden(call.arguments, provider)[:200]
        raise Failed(f"{provider.name} asked for the tool {call.name!r} with what is no JSON object: {said!r}")
    return arguments


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for some in response.aiter_raw():
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
        if len(rest) > _LONGEST_LINE:
            raise Failed("the answer has a line without end")
    if rest:
        yield rest
