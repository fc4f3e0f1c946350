"""A request is tried again while that is safe and patience lasts; nothing here waits or sends."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic

import httpx

from factline.client.errors import ServerGone, detail_of, is_expired, problem_of, refusal_of

PATIENCE_S = 60.0
"""How long a request is tried again before the server counts as gone."""

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
# what may be sent twice is worth another try also after a 500, from a server that is just being stopped
_BUSY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        HTTPStatus.INSUFFICIENT_STORAGE,
    }
)


class Tries:
    """The tries of one request. Shape: one that may not be sent twice is tried again only where it was not taken.

    Source: RFC 9110, sections 9.2.2 and 10.2.3.
    """

    def __init__(self, url: str, patience_s: float, *, safe: bool) -> None:
        self._url = url
        self._patience_s = patience_s
        self._deadline = monotonic() + patience_s
        self._safe = safe
        self._wait_s = _FIRST_WAIT_S
        self._problem = ""

    def after_answer(self, response: httpx.Response) -> float:
        """Return after how many seconds to try again; the answer is no success and has been read.

        Raises: ServerRefused, ServerGone.
        """
        status, asked_s = response.status_code, _retry_after_s(response)
        limited = status == HTTPStatus.TOO_MANY_REQUESTS
        again = status in _BUSY and (self._safe or limited) and not is_expired(problem_of(response))
        if not again or not self._patience_s:
            raise refusal_of(response, asked_s)
        if limited and (asked_s or 0.0) > self._left_s():
            # it says when, and that is later than anybody waits here
            raise refusal_of(response, asked_s)
        return self._pause(detail_of(response), asked_s or 0.0)

    def after_error(self, error: httpx.RequestError) -> float:
        """Return after how many seconds to try again. Raises: ServerGone."""
        if isinstance(error, httpx.UnsupportedProtocol):
            raise no_address(self._url) from error
        if not (self._safe or isinstance(error, httpx.ConnectError)):
            raise ServerGone(f"the server at {self._url} does not answer: {why(error)}") from error
        return self._pause(why(error), 0.0)

    def _pause(self, problem: str, asked_s: float) -> float:
        self._problem = problem
        pause_s = max(self._wait_s * random.uniform(0.5, 1.0), asked_s)  # noqa: S311 - spreads retries, no secret
        left_s = self._left_s()
        if left_s <= 0:
            raise self.gone()
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)
        return min(pause_s, left_s)

    def gone(self) -> ServerGone:
        """Return the exception of a request that is given up now."""
        how_long = f"did not answer for {self._patience_s:.0f} s" if self._patience_s else "does not answer"
        return ServerGone(f"the server at {self._url} {how_long}: {self._problem}")

    def _left_s(self) -> float:
        return self._deadline - monotonic()


def no_address(url: str) -> ServerGone:
    return ServerGone(f"{url} is no address of a server, like http://127.0.0.1:8080")


def broke_off(url: str, error: httpx.RequestError) -> ServerGone:
    return ServerGone(f"the server at {url} broke off its answer: {why(error)}")


def why(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__


def _retry_after_s(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
