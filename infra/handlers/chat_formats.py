"""These are the formats in which language models are asked over HTTP, and in which their answers stream back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from factline.worker import Provider

_ANTHROPIC_VERSION = "2023-06-01"
_SSE = b"data:"


class Call(NamedTuple):
    """A tool that a model asks for; `id` tells one call from another."""

    id: str
    name: str
    arguments: Mapping[str, Any]


class Said(NamedTuple):
    """One message of a conversation.

    Shape: the role `tool` is the answer to the call with the id `answers`, of the tool `tool`.
    """

    role: str
    content: str
    calls: Sequence[Call] = ()
    answers: str = ""
    tool: str = ""


class Tool(NamedTuple):
    """A tool that the model may ask for. Shape: `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class Asked(NamedTuple):
    """What a model is asked."""

    model: str
    messages: Sequence[Said]
    max_tokens: int
    temperature: float | None
    tools: Sequence[Tool] = ()


class CallPart(NamedTuple):
    """A part of a call. Shape: parts with the same `at` belong together, one without it is a whole call."""

    at: int | None
    id: str
    name: str
    arguments: str


class Part(NamedTuple):
    """What a line of an answer says. Shape: what it says nothing of is None."""

    text: str = ""
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    is_last: bool = False
    calls: Sequence[CallPart] = ()


class ChatFormat(Protocol):
    def request(self, provider: Provider, asked: Asked) -> tuple[str, Mapping[str, str], Any]:
        """Return the address, the headers and the body of a request for an answer that streams."""

    def part(self, line: bytes) -> Part | None:
        """Return what a line says, None where it is none of the answer. Raises: ValueError, KeyError, TypeError."""


class OpenAi:
    """Source: OpenAI's chat completions, which many others speak as well."""

    def request(self, provider: Provider, asked: Asked) -> tuple[str, Mapping[str, str], Any]:
        body = {
            "model": asked.model,
            "messages": [self._message(one) for one in asked.messages],
            "max_tokens": asked.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **_functions(asked),
            **_warmth(asked),
        }
        base = (provider.base_url or "https://api.openai.com/v1").rstrip("/")
        return f"{base}/chat/completions", {"authorization": f"Bearer {provider.secret}"}, body

    def part(self, line: bytes) -> Part | None:
        if not line.startswith(_SSE):
            return None
        said = line.removeprefix(_SSE).strip()
        if said == b"[DONE]":
            return Part(is_last=True)
        event = orjson.loads(said)
        if "error" in event:
            return Part(error=_message_of(event["error"]))
        choices, usage = event.get("choices") or [{}], event.get("usage") or {}
        delta = choices[0].get("delta") or {}
        return Part(
            delta.get("content") or "",
            choices[0].get("finish_reason"),
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            calls=[self._call(one) for one in delta.get("tool_calls") or ()],
        )

    @staticmethod
    def _message(said: Said) -> Mapping[str, Any]:
        if said.role == "tool":
            return {"role": "tool", "tool_call_id": said.answers, "content": said.content}
        if not said.calls:
            return {"role": said.role, "content": said.content}
        calls = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": orjson.dumps(arguments).decode()}}
            for id_, name, arguments in said.calls
        ]
        return {"role": said.role, "content": said.content or None, "tool_calls": calls}

    @staticmethod
    def _call(delta: Mapping[str, Any]) -> CallPart:
        function = delta.get("function") or {}
        return CallPart(
            delta.get("index"), delta.get("id") or "", function.get("name") or "", function.get("arguments") or ""
        )


class Anthropic:
    """Source: Anthropic's messages."""

    def request(self, provider: Provider, asked: Asked) -> tuple[str, Mapping[str, str], Any]:
        system = "\n\n".join(one.content for one in asked.messages if one.role == "system")
        tools = [{"name": name, "description": about, "input_schema": schema} for name, about, schema in asked.tools]
        body = {
            "model": asked.model,
            "messages": list(self._messages(asked.messages)),
            "max_tokens": asked.max_tokens,
            "stream": True,
            **({"system": system} if system else {}),
            **({"tools": tools} if tools else {}),
            **_warmth(asked),
        }
        base = (provider.base_url or "https://api.anthropic.com").rstrip("/")
        headers = {"x-api-key": provider.secret, "anthropic-version": _ANTHROPIC_VERSION}
        return f"{base}/v1/messages", headers, body

    def part(self, line: bytes) -> Part | None:  # noqa: PLR0911 - one for each kind of event
        if not line.startswith(_SSE):
            return None
        event = orjson.loads(line.removeprefix(_SSE))
        match event["type"]:
            case "message_start":
                return Part(input_tokens=event["message"]["usage"]["input_tokens"])
            case "content_block_start":
                block = event["content_block"]
                is_call = block["type"] == "tool_use"
                return Part(calls=[CallPart(event["index"], block["id"], block["name"], "")]) if is_call else None
            case "content_block_delta" if event["delta"].get("type") == "input_json_delta":
                return Part(calls=[CallPart(event["index"], "", "", event["delta"]["partial_json"])])
            case "content_block_delta":
                return Part(event["delta"].get("text", ""))
            case "message_delta":
                return Part(finish=event["delta"].get("stop_reason"), output_tokens=event["usage"]["output_tokens"])
            case "message_stop":
                return Part(is_last=True)
            case "error":
                return Part(error=_message_of(event["error"]))
            case _:
                return None

    @staticmethod
    def _messages(messages: Sequence[Said]) -> Iterator[Mapping[str, Any]]:
        """Yield the messages; the answers of tools that follow each other are one, which it asks for."""
        answers: list[Any] = []
        for said in messages:
            if said.role == "tool":
                answers.append({"type": "tool_result", "tool_use_id": said.answers, "content": said.content})
                continue
            if answers:
                yield {"role": "user", "content": answers}
                answers = []
            if said.calls:
                text = [{"type": "text", "text": said.content}] if said.content else []
                calls = [{"type": "tool_use", "id": id_, "name": name, "input": args} for id_, name, args in said.calls]
                yield {"role": said.role, "content": [*text, *calls]}
            elif said.role != "system":
                yield {"role": said.role, "content": said.content}
        if answers:
            yield {"role": "user", "content": answers}


class Ollama:
    """Source: Ollama's /api/chat."""

    def request(self, provider: Provider, asked: Asked) -> tuple[str, Mapping[str, str], Any]:
        body = {
            "model": asked.model,
            "messages": [self._message(one) for one in asked.messages],
            "stream": True,
            "options": {"num_predict": asked.max_tokens, **_warmth(asked)},
            **_functions(asked),
        }
        base = (provider.base_url or "http://127.0.0.1:11434").rstrip("/")
        return f"{base}/api/chat", {"authorization": f"Bearer {provider.secret}"}, body

    def part(self, line: bytes) -> Part | None:
        if not line.strip():
            return None
        said = orjson.loads(line)
        if "error" in said:
            return Part(error=_message_of(said["error"]))
        message = said.get("message") or {}
        calls = [self._call(one) for one in message.get("tool_calls") or ()]
        part = Part(message.get("content") or "", calls=calls)
        if not said["done"]:
            return part
        return part._replace(
            finish=said.get("done_reason"),
            input_tokens=said.get("prompt_eval_count"),
            output_tokens=said.get("eval_count"),
            is_last=True,
        )

    @staticmethod
    def _message(said: Said) -> Mapping[str, Any]:
        calls = [{"function": {"name": name, "arguments": arguments}} for _, name, arguments in said.calls]
        return {
            "role": said.role,
            "content": said.content,
            **({"tool_calls": calls} if calls else {}),
            **({"tool_name": said.tool} if said.role == "tool" else {}),
        }

    @staticmethod
    def _call(call: Mapping[str, Any]) -> CallPart:
        function = call["function"]
        return CallPart(
            None, call.get("id") or "", function["name"], orjson.dumps(function.get("arguments") or {}).decode()
        )


FORMATS: Mapping[str, ChatFormat] = {"anthropic": Anthropic(), "ollama": Ollama(), "openai": OpenAi()}
"""By the name of the provider; any other one is asked as OpenAI is."""


def _functions(asked: Asked) -> Mapping[str, Any]:
    """Return the tools in the words of OpenAI, which Ollama shares."""
    tools = [
        {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
        for name, about, schema in asked.tools
    ]
    return {"tools": tools} if tools else {}


def _warmth(asked: Asked) -> Mapping[str, float]:
    return {} if asked.temperature is None else {"temperature": asked.temperature}


def _message_of(error: Any) -> str:
    """Return the words of an error, which each provider puts elsewhere."""
    return str(error.get("message") or error) if isinstance(error, dict) else str(error)


def error_of(body: bytes) -> str:
    """Return the words of an answer that is an error."""
    try:
        said = orjson.loads(body)
    except ValueError:
        return body[:300].decode(errors="replace")
    return _message_of(said["error"] if isinstance(said, dict) and "error" in said else said)[:1_000]
