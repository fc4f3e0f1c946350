"""The client that blocks until the server has answered; safe for threads."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from types import TracebackType
from typing import Any, Self

import httpx

from factline.client import asking
from factline.client.answers import LiveRecord, Outcome, Reply, Taken
from factline.client.asking import Asked, Value
from factline.client.lines import Lines, LiveFeed, parsed
from factline.client.trying import PATIENCE_S, Tries, broke_off


class Client:
    """Asks one server with one key.

    Shape: what may be sent twice is sent again while the server is busy or away and `patience_s` lasts; without
    patience everything is sent once, whatever is said is the answer, and a job may take its time.
    Raises: ServerGone, the URL is none. Every method raises ServerGone and ServerRefused.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        patience_s: float = PATIENCE_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._stopped = Event()
        self._client = httpx.Client(**asking.settings(self.url, api_key, patience_s), transport=transport)

    def command(
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
        return Reply.of(self._ask(asked))

    def outcome(self, command_id: str) -> Outcome:
        """Return what became of a command that this key sent under an `idempotency_key`. Raises: NotFound."""
        return Outcome.of(self._ask(asking.outcome(command_id)))

    def telemetry(self, facts: Iterable[Any], *, idempotency_key: str | None = None) -> Taken:
        """Return what became of facts, once those that were taken are durable. Raises: Invalid, none was taken."""
        return Taken.of(self._ask(asking.telemetry(facts, idempotency_key=idempotency_key)))

    def get(
        self, path: str, *, consistent_with: str | None = None, patience_s: float | None = None, **parameters: Value
    ) -> Any:
        """Return the JSON answer, which holds what was written up to the token `consistent_with`."""
        return self._ask(asking.reading(path, consistent_with, parameters), patience_s)

    def rows(self, path: str, *, consistent_with: str | None = None, **parameters: Value) -> Iterator[dict[str, Any]]:
        """Yield the rows of all pages of a list; a page is asked for when the one before is used up."""
        while True:
            page = self._ask(asking.reading(path, consistent_with, parameters))
            yield from page["rows"]
            if page["next"] is None:
                return
            parameters = {**parameters, "cursor": page["next"]}

    def live(
        self,
        *,
        types: Iterable[str] = (),
        stream: str | None = None,
        telemetry: str | None = None,
        after: str | None = None,
    ) -> Generator[LiveRecord, None, None]:
        """Yield records as they are written, from now on or `after` a place; it goes on by itself after a cut."""
        feed, asked = LiveFeed(after), asking.live(types, stream, telemetry)
        while not self._stopped.is_set():
            try:
                with self._streamed(asking.after(asked, feed.place)) as response:
                    feed.connected()
                    for some in response.iter_bytes():
                        yield from feed.add(some)
            except httpx.RequestError:
                pass  # a cut: the next try says whether the server is there
            self._stopped.wait(feed.retry_s)

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        safe: bool = False,
        idempotency_key: str | None = None,
        patience_s: float | None = None,
    ) -> Any:
        """Send JSON and return the JSON answer. Shape: what is `safe`, or has an `idempotency_key`, is sent again."""
        return self._ask(asking.posting(path, body, safe=safe, idempotency_key=idempotency_key), patience_s)

    def delete(self, path: str) -> Any:
        """Return the JSON answer."""
        return self._ask(Asked("DELETE", path, safe=False))

    def lines(self, method: str, path: str) -> Iterator[Any]:
        """Yield what each line of the answer says, as it comes."""
        with self._streamed(Asked(method, path, safe=method == "GET")) as response:
            lines = Lines()
            try:
                for some in response.iter_bytes():
                    yield from (parsed(response, line) for line in lines.add(some))
            except httpx.RequestError as error:
                raise broke_off(self.url, error) from error

    def stop(self) -> None:
        """Let requests end that wait for their next try, and the live feed."""
        self._stopped.set()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, asked: Asked, patience_s: float | None = None) -> Any:
        response = self._send(asked, self._patience_s if patience_s is None else patience_s)
        return parsed(response, response.content)

    @contextmanager
    def _streamed(self, asked: Asked) -> Iterator[httpx.Response]:
        """Give an answer of which nothing was read yet."""
        response = self._send(asked, self._patience_s, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _send(self, asked: Asked, patience_s: float, *, stream: bool = False) -> httpx.Response:
        tries = Tries(self.url, patience_s, safe=asked.safe)
        while True:
            try:
                response = self._client.send(asking.request(self._client, asked), stream=stream)
                if response.is_success:
                    return response
                response.read()
                pause_s = tries.after_answer(response)
            except httpx.RequestError as error:
                pause_s = tries.after_error(error)
            if self._stopped.wait(pause_s):
                raise tries.gone()
