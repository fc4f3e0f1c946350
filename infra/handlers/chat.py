"""This handler asks a language model, and counts what that took."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

import httpx
import orjson
from pydantic import Field, StringConstraints

from factline.worker import Done, Failed, ModelUse, Provider, Task
from infra.handlers.chat_formats import FORMATS, Asked, ChatFormat, Part, error_of
from infra.handlers.inputs import Input, checked, provider_of
from infra.handlers.outgoing import FAILURES, Outgoing, failure_of, read_up_to
from infra.handlers.web import Handler

_LONGEST_LINE = 1_048_576
_MOST_BYTES = 49_152
"""Of the text, in an output that has room for 64 KiB of JSON."""

_ERROR_BYTES = 16_384
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})

_Text = Annotated[str, StringConstraints(min_length=1)]


class Message(Input):
    role: Literal["system", "user", "assistant"]
    content: _Text


class Chat(Input):
    provider_key: _Text | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    messages: Annotated[tuple[Message, ...], Field(min_length=1, max_length=200)]
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 1_024
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 120


def chat_complete(outgoing: Outgoing) -> Handler:
    """Return the handler of `chat.complete`.

    Shape: who is asked, and where, says the provider key. The output is {text, model, finish_reason, input_tokens,
    output_tokens}; an answer that breaks off before its end fails the attempt.
    """

    async def complete(task: Task) -> Any:
        asked = checked(Chat, task.input)
        if asked.provider_key is None:
            raise Failed(
                "no model is configured: keep a key with `factline provider-keys set NAME --provider openai --kind"
                " chat.complete`, and name it as `provider_key` in the input",
                retryable=False,
            )
        provider = provider_of(task)
        said = await _answer(outgoing, provider, asked)
        used = ModelUse(provider.name, asked.model, said.input_tokens or 0, said.output_tokens or 0)
        output = {
            "text": said.text,
            "model": asked.model,
            "finish_reason": said.finish,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
        }
        return Done(output, used)

    return complete


async def _answer(outgoing: Outgoing, provider: Provider, asked: Chat) -> Part:
    """Return the whole answer as one part. Raises: Failed."""
    format_ = FORMATS.get(provider.name, FORMATS["openai"])
    messages = [one.model_dump() for one in asked.messages]
    url, headers, body = format_.request(provider, Asked(asked.model, messages, asked.max_tokens, asked.temperature))
    try:
        async with outgoing.request(
            "POST",
            url,
            headers={"content-type": "application/json", **headers},
            content=orjson.dumps(body),
            timeout_s=asked.timeout_s,
        ) as response:
            if not response.is_success:
                raise await _refused(response, provider)
            return await _whole(response, format_, provider)
    except FAILURES as error:
        raise failure_of(error, url) from error


async def _refused(response: httpx.Response, provider: Provider) -> Failed:
    body, _ = await read_up_to(response, _ERROR_BYTES)
    status = response.status_code
    again = status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Failed(f"{provider.name} answered {status}: {_hidden(error_of(body), provider)}", retryable=again)


async def _whole(response: httpx.Response, format_: ChatFormat, provider: Provider) -> Part:
    whole, size = Part(), 0
    async for line in _lines(response):
        try:
            part = format_.part(line)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Failed(f"{provider.name} answered what is not of its format: {line[:200]!r}") from error
        if part is None:
            continue
        if part.error is not None:
            raise Failed(f"{provider.name} broke off: {_hidden(part.error, provider)}")
        size += len(part.text.encode())
        if size > _MOST_BYTES:
            raise Failed(f"the answer is longer than {_MOST_BYTES // 1024} KiB; ask for less", retryable=False)
        # what was said last of each holds
        whole = Part(
            whole.text + part.text,
            part.finish or whole.finish,
            whole.input_tokens if part.input_tokens is None else part.input_tokens,
            whole.output_tokens if part.output_tokens is None else part.output_tokens,
        )
        if part.is_last:
            return whole
    raise Failed(f"the answer of {provider.name} broke off before its end")


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


def _hidden(text: str, provider: Provider) -> str:
    """Return what a provider said without the secret, which some repeat."""
    return text.replace(provider.secret, "…")
