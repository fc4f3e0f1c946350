"""The command line talks to a running server through this client, which waits while the server is busy."""

import random
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from threading import Event
from time import monotonic
from typing import Any

import httpx
import orjson

PATIENCE_S = 60.0
"""How long a request is tried again before the server counts as gone."""

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
_CONNECT_S = 5.0
_TIMEOUT_S = 60.0
# a request may be sent twice, so a 500 from a server that is just being stopped is worth another try as well
_BUSY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
    HTTPStatus.INSUFFICIENT_STORAGE,
}


class ServerGone(Exception):  # noqa: N818
    """The server did not take the request for as long as the client is patient; send it again under the same id."""


class ServerRefused(Exception):  # noqa: N818
    """The server answered with an error that a retry would not change; `problem` is the whole of it."""

    def __init__(self, status: int, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem or {}


class ServerClient:
    """Asks one server with one key; safe for threads.

    Shape: a request is sent again while the server is busy or away and `patience_s` lasts, so it must be one that may
    be sent twice. Without patience it is sent once, whatever is said is the answer, and a job may take its time.
    Raises: ServerGone, the URL is none.
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
        try:
            address = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise self._no_address() from error
        self._client = httpx.Client(
            base_url=address,
            headers={"X-API-Key": api_key},
            timeout=httpx.Timeout(_TIMEOUT_S if patience_s else None, connect=_CONNECT_S),
            # what this machine says to itself goes through no proxy
            trust_env=address.host not in {"127.0.0.1", "::1", "localhost"},
            transport=transport,
        )

    def _no_address(self) -> ServerGone:
        return ServerGone(f"{self.url} is no address of a server, like http://127.0.0.1:8080")

    def get(self, path: str, *, patience_s: float | None = None) -> Any:
        """Return the JSON answer. Raises: ServerGone, ServerRefused."""
        return self._ask("GET", path, patience_s=patience_s)

    def post(self, path: str, body: bytes = b"") -> Any:
        """Send JSON and return the JSON answer. Raises: ServerGone, ServerRefused."""
        return self._ask("POST", path, body)

    def delete(self, path: str) -> Any:
        """Return the JSON answer. Raises: ServerGone, ServerRefused."""
        return self._ask("DELETE", path)

    def lines(self, method: str, path: str) -> Iterator[Any]:
        """Yield what each line of the answer says, as it comes. Raises: ServerGone, ServerRefused."""
        response = self._send(method, path, b"", self._patience_s, stream=True)
        try:
            for line in response.iter_lines():
                yield _parsed(response, line)
        except httpx.RequestError as error:
            raise ServerGone(f"the server at {self.url} broke off its answer: {_why(error)}") from error
        finally:
            response.close()

    def stop(self) -> None:
        """Let requests end that wait for their next try."""
        self._stopped.set()

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, path: str, body: bytes = b"", patience_s: float | None = None) -> Any:
        response = self._send(method, path, body, self._patience_s if patience_s is None else patience_s)
        return _parsed(response, response.content)

    def _send(self, method: str, path: str, body: bytes, patience_s: float, *, stream: bool = False) -> httpx.Response:
        deadline = monotonic() + patience_s
        wait_s = _FIRST_WAIT_S
        headers = {"Content-Type": "application/json"} if body else None
        while True:
            try:
                request = self._client.build_request(method, path, content=body or None, headers=headers)
                response = self._client.send(request, stream=stream)
                if response.is_success:
                    return response
                response.read()
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise self._no_address() from error
            except httpx.RequestError as error:
                problem, asked_s = _why(error), None
            else:
                status, problem, asked_s = response.status_code, _detail(response), _retry_after_s(response)
                # a limit says exactly when it ends: where that is too late, there is nothing to wait for
                too_late = status == HTTPStatus.TOO_MANY_REQUESTS and monotonic() + (asked_s or 0.0) > deadline
                if status not in _BUSY or too_late or not patience_s:
                    raise ServerRefused(status, problem, _problem(response))
            pause_s = max(wait_s * random.uniform(0.5, 1.0), asked_s or 0.0)  # noqa: S311 - spreads retries, no secret
            left_s = deadline - monotonic()
            if left_s <= 0 or self._stopped.wait(min(pause_s, left_s)):
                how_long = f"did not answer for {patience_s:.0f} s" if patience_s else "does not answer"
                raise ServerGone(f"the server at {self.url} {how_long}: {problem}")
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _why(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__


def _parsed(response: httpx.Response, text: bytes | str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ServerRefused(response.status_code, f"{response.url} did not answer with JSON") from error


def _detail(response: httpx.Response) -> str:
    return str(
        _problem(response).get("detail", f"{response.url} answered {response.status_code} {response.reason_phrase}")
    )


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after_s(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() else None
