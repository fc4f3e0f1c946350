"""This handler has a model make vectors of texts, and counts what that took."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import httpx
import orjson
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from domain.automation.vector_collection import Number
from factline.worker import Done, Failed, ModelUse, Provider, Task
from infra.handlers.inputs import Input, checked, provider_of
from infra.handlers.outgoing import Outgoing, read_up_to
from infra.handlers.providers import Question, answering
from infra.handlers.web import Handler

_MOST_BYTES = 16 * 1_048_576

Vector = Annotated[list[Number], Field(min_length=1, max_length=8_192)]
_MOST_TOKENS = 1_000_000_000
_VECTORS: TypeAdapter[list[list[float]]] = TypeAdapter(list[Vector])
_Text = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]


class Embed(Input):
    provider_key: Annotated[str, StringConstraints(min_length=1)] | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    texts: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=100)]
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 120


class Embedded(NamedTuple):
    """Vectors, in the order of the texts, and what they took."""

    vectors: Sequence[Sequence[float]]
    used: ModelUse


def embed_text(outgoing: Outgoing) -> Handler:
    """Return the handler of `embed.text`.

    Shape: who is asked, and where, says the provider key. The output is {vectors, model, dimensions, input_tokens}.
    """

    async def embed(task: Task) -> Any:
        asked = checked(Embed, task.input)
        made = await vectors_of(outgoing, task, asked.model, asked.texts, asked.timeout_s)
        output = {
            "vectors": made.vectors,
            "model": asked.model,
            "dimensions": len(made.vectors[0]),
            "input_tokens": made.used.input_tokens,
        }
        return Done(output, made.used)

    return embed


async def vectors_of(
    outgoing: Outgoing, task: Task, model: str, texts: Sequence[str], timeout_s: float = 120
) -> Embedded:
    """Return a vector of each text, made by the provider whose key the task names. Raises: Failed."""
    if task.provider is None and not task.input.get("provider_key"):
        raise Failed(
            "no model is configured: keep a key with `factline provider-keys set NAME --provider openai --kind"
            f" {task.kind}`, and name it as `provider_key` in the input, or in the vector collection",
            retryable=False,
        )
    provider = provider_of(task)
    async with answering(outgoing, provider, _request(provider, model, texts), timeout_s) as response:
        answer = await _read(response, provider)
    vectors, tokens = _whole(answer, provider, len(texts))
    return Embedded(vectors, ModelUse(provider.name, model, tokens, 0))


def _request(provider: Provider, model: str, texts: Sequence[str]) -> Question:
    """Source: OpenAI's embeddings, which many others speak as well, and Ollama's /api/embed."""
    headers = {"authorization": f"Bearer {provider.secret}"}
    if provider.name == "anthropic":
        raise Failed("Anthropic has no model that makes vectors; name a key of another provider", retryable=False)
    if provider.name == "ollama":
        # what is too long for the model is refused, as by the others, and not cut without a word
        body = {"model": model, "input": list(texts), "truncate": False}
        return f"{(provider.base_url or 'http://127.0.0.1:11434').rstrip('/')}/api/embed", headers, body
    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    return f"{(provider.base_url or 'https://api.openai.com/v1').rstrip('/')}/embeddings", headers, body


async def _read(response: httpx.Response, provider: Provider) -> Any:
    body, more = await read_up_to(response, _MOST_BYTES)
    if more:
        raise Failed(f"the answer of {provider.name} is longer than {_MOST_BYTES >> 20} MiB", retryable=False)
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise Failed(f"{provider.name} answered what is no JSON: {body[:200]!r}") from error


def _whole(answer: Any, provider: Provider, texts: int) -> tuple[Sequence[Sequence[float]], int]:
    """Return the vectors of an answer and the tokens it took. Raises: Failed, it is not of its format; try again."""
    try:
        if provider.name == "ollama":
            found, tokens = answer["embeddings"], answer.get("prompt_eval_count")
        else:
            found = [one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])]
            tokens = (answer.get("usage") or {}).get("prompt_tokens")
        vectors = _VECTORS.validate_python(found)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise Failed(f"{provider.name} answered what is not of its format: {str(answer)[:200]}") from error
    if len(vectors) != texts or len({len(vector) for vector in vectors}) != 1:
        raise Failed(f"{provider.name} gave {len(vectors)} vectors for {texts} texts, or some of other sizes")
    # a count that is none is no reason to lose the vectors
    return vectors, tokens if isinstance(tokens, int) and 0 <= tokens <= _MOST_TOKENS else 0
