"""The client for `async` code, on asyncio or trio; what it does is what the blocking one does."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import anyio
import httpx

from factline.client import asking
from factline.client.answers import LiveRecord, Outcome, Reply, Taken
from factline.client.asking import Asked, Value
from factline.client.lines import LiveFeed, parsed
from factline.client.trying import PATIENCE_S, Tries


class AsyncClient:
    """Asks one server with one key. Shape: as of `Client`."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        patience_s: float = PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._client = httpx.AsyncClient(**asking.settings(self.url, api_key, patience_s), transport=transport)

    async def command(
        self,
        context: str,
        name: str,
        body: Any,
        *,
        idempotency_key: str | None = None,
        if_match: int | None = None,
        happened_at: datetime | None = None,
        deadline_s: float | None = None,
    ) -> Reply:
        """Return the reply to a command once it is durable.

        Shape: without an `idempotency_key` one is made; it is the same in every try. `if_match` is the version that the
        stream must have, 0 for a new one.
        """
        asked = asking.command(
            context,
            name,
            body,
            idempotency_key=idempotency_key,
            if_match=if_match,
            happened_at=happened_at,
            deadline_s=deadline_s,
        )
        return Reply.of(await self._ask(asked))

    async def outcome(self, command_id: str) -> Outcome:
        """Return what became of a command that this key sent under an `idempotency_key`. Raises: NotFound."""
        return Outcome.of(await self._ask(asking.outcome(command_id)))

    async def telemetry(self, facts: Iterable[Any], *, idempotency_key: str | None = None) -> Taken:
        """Return what became of facts, once those that were taken are durable. Raises: Invalid, none was taken."""
        return Taken.of(await self._ask(asking.telemetry(facts, idempotency_key=idempotency_key)))

    async def get(
        self, path: str, *, consistent_with: str | None = None, patience_s: float | None = None, **parameters: Value
    ) -> Any:
        """Return the JSON answer, which holds what was written up to the token `consistent_with`."""
        return await self._ask(asking.reading(path, consistent_with, parameters), patience_s)

    async def rows(
        self, path: str, *, consistent_with: str | None = None, **parameters: Value
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the rows of all pages of a list; a page is asked for when the one before is used up."""
        while True:
            page = await self._ask(asking.reading(path, consistent_with, parameters))
            for row in page["rows"]:
                yield row
            if page["next"] is None:
                return
            parameters = {**parameters, "cursor": page["next"]}

    async def live(
        self,
        *,
        types: Iterable[str] = (),
        stream: str | None = None,
        telemetry: str | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[LiveRecord, None]:
        """Yield records as they are written, from now on or `after` a place; it goes on by itself after a cut."""
        feed, asked = LiveFeed(after), asking.live(types, stream, telemetry)
        while True:
            try:
                async with self._streamed(asking.after(asked, feed.place)) as response:
                    feed.connected()
                    async for some in response.aiter_bytes():
                        for record in feed.add(some):
                            yield record
            except httpx.RequestError:
                pass  # a cut: the next try says whether the server is there
            await anyio.sleep(feed.retry_s)

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        safe: bool = False,
        idempotency_key: str | None = None,
        patience_s: float | None = None,
    ) -> Any:
        """Send JSON and return the JSON answer. Shape: what is `safe`, or has an `idempotency_key`, is sent again."""
        return await self._ask(asking.posting(path, body, safe=safe, idempotency_key=idempotency_key), patience_s)

    async def delete(self, path: str) -> Any:
        """Return the JSON answer."""
        return await self._ask(Asked("DELETE", path, safe=False))

    async def close(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, asked: Asked, patience_s: float | None = None) -> Any:
        response = await self._send(asked, self._patience_s if patience_s is None else patience_s)
        return parsed(response, response.content)

    @asynccontextmanager
    async def _streamed(self, asked: Asked) -> AsyncIterator[httpx.Response]:
        """Give an answer of which nothing was read yet."""
        response = await self._send(asked, self._patience_s, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _send(self, asked: Asked, patience_s: float, *, stream: bool = False) -> httpx.Response:
        tries = Tries(self.url, patience_s, safe=asked.safe)
        while True:
            try:
                response = await self._client.send(asking.request(self._client, asked), stream=stream)
                if response.is_success:
                    return response
                await response.aread()
                pause_s = tries.after_answer(response)
            except httpx.RequestError as error:
                pause_s = tries.after_error(error)
            await anyio.sleep(pause_s)
