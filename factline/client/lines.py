"""Streams of lines are read here: of JSON, and of server-sent events."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from factline.client.answers import LiveMessage, LiveRecord
from factline.client.errors import ServerRefused


class Lines:
    """Cuts what comes into lines. Shape: LF alone ends one, because JSON may hold what else Python ends lines at."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, some: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + some).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in lines)


class LiveFeed:
    """Where a live feed is, and what it says. Source: HTML, section 9.2.6, as far as the server uses it."""

    def __init__(self, after: str | None) -> None:
        self.place = after
        self._next = after
        self.retry_s = 2.0
        self._data: list[bytes] = []
        self._event = b""
        self._lines = Lines()

    def connected(self) -> None:
        """Forget what was not whole."""
        self._next, self._data, self._event, self._lines = self.place, [], b"", Lines()

    def add(self, some: bytes) -> Iterator[LiveRecord]:
        for line in self._lines.add(some):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not line:
                # only now it is whole: after a cut before, it is asked for again
                self.place = self._next
                data, event = self._data, self._event
                self._data, self._event = [], b""
                if data:
                    kind = LiveMessage if event == b"ephemeral" else LiveRecord
                    yield kind(self.place or "", json.loads(b"\n".join(data)))
            elif name == b"id":
                self._next = value.decode()
            elif name == b"event":
                self._event = value
            elif name == b"data":
                self._data.append(value)
            elif name == b"retry" and value.isdigit():
                self.retry_s = int(value) / 1000


def parsed(response: httpx.Response, text: bytes) -> Any:
    """Return what JSON says. Raises: ServerRefused, it is none: what answers there is no server of ours."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ServerRefused(response.status_code, f"{response.url} did not answer with JSON") from error
