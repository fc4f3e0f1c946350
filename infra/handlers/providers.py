"""Providers of models are asked here: what they refuse, or do not answer, fails the task in words."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from factline.worker import Failed, Provider
from infra.handlers.chat_formats import error_of
from infra.handlers.outgoing import FAILURES, Outgoing, failure_of, read_up_to

_ERROR_BYTES = 16_384
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})

Question = tuple[str, Mapping[str, str], Any]
"""The address, the headers, and the body, which is sent as JSON."""


@asynccontextmanager
async def answering(
    outgoing: Outgoing, provider: Provider, question: Question, timeout_s: float
) -> AsyncIterator[httpx.Response]:
    """Give the answer to a question while it comes. Raises: Failed, it is a refusal, or it breaks off."""
    url, headers, body = question
    try:
        async with outgoing.request(
            "POST",
            url,
            headers={"content-type": "application/json", **headers},
            content=orjson.dumps(body),
            timeout_s=timeout_s,
        ) as response:
            if not response.is_success:
                raise await _refused(response, provider)
            yield response
    except FAILURES as error:
        raise failure_of(error, url) from error


def hidden(text: str, provider: Provider) -> str:
    """Return what a provider said without the secret, which some repeat."""
    return text.replace(provider.secret, "…")


async def _refused(response: httpx.Response, provider: Provider) -> Failed:
    body, _ = await read_up_to(response, _ERROR_BYTES)
    status = response.status_code
    again = status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Failed(f"{provider.name} answered {status}: {hidden(error_of(body), provider)}", retryable=again)
