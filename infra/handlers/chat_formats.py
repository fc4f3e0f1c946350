"""These are the formats in which language models are asked over HTTP, and in which their answers stream back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from factline.worker import Provider

_ANTHROPIC_VERSION = "2023-06-01"
_SSE = b"data:"


class Asked(NamedTuple):
    """What a model is asked. Shape: each of `messages` has a `role` and a `content`."""

    model: str
    messages: Sequence[Mapping[str, str]]
    max_tokens: int
    temperature: float | None


class Part(NamedTuple):
    """What a line of an answer says. Shape: what it says nothing of is None."""

    text: str = ""
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    is_last: bool = False


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
            "messages": list(asked.messages),
            "max_tokens": asked.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
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
        return Part(
            (choices[0].get("delta") or {}).get("content") or "",
            choices[0].get("finish_reason"),
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
        )


class Anthropic:
    """Source: Anthropic's messages."""

    def request(self, provider: Provider, asked: Asked) -> tuple[str, Mapping[str, str], Any]:
        system = "\n\n".join(one["content"] for one in asked.messages if one["role"] == "system")
        body = {
            "model": asked.model,
            "messages": [one for one in asked.messages if one["role"] != "system"],
            "max_tokens": asked.max_tokens,
            "stream": True,
            **({"system": system} if system else {}),
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


class Ollama:
    """Source: Ollama's /api/chat."""

    def request(self, provider: Provider, asked: Asked) -> tuple[str, Mapping[str, str], Any]:
        body = {
            "model": asked.model,
            "messages": list(asked.messages),
            "stream": True,
            "options": {"num_predict": asked.max_tokens, **_warmth(asked)},
        }
        base = (provider.base_url or "http://127.0.0.1:11434").rstrip("/")
        return f"{base}/api/chat", {"authorization": f"Bearer {provider.secret}"}, body

    def part(self, line: bytes) -> Part | None:
        if not line.strip():
            return None
        said = orjson.loads(line)
        if "error" in said:
            return Part(error=_message_of(said["error"]))
        text = (said.get("message") or {}).get("content") or ""
        if not said["done"]:
            return Part(text)
        return Part(text, said.get("done_reason"), said.get("prompt_eval_count"), said.get("eval_count"), is_last=True)


FORMATS: Mapping[str, ChatFormat] = {"anthropic": Anthropic(), "ollama": Ollama(), "openai": OpenAi()}
"""By the name of the provider; any other one is asked as OpenAI is."""


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
