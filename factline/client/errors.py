"""What a caller may meet has one exception each; those of a server carry its problem document (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx


class ClientError(Exception):
    """Anything that this client raises; its kinds say whether a retry helps."""


class ServerGone(ClientError):  # noqa: N818 - it says what happened
    """The server did not take the request for as long as the client is patient.

    Whether it was done is not known; send it again under the same id.
    """


class ServerRefused(ClientError):  # noqa: N818 - it says what happened
    """The server answered with an error that a retry would not change; `problem` is the whole of it."""

    def __init__(self, status: int, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem or {}


class Invalid(ServerRefused):
    """The request is not as it must be; `problem` names the faults in `errors` where they are in fields."""


class Unauthenticated(ServerRefused):
    """No valid credential came with the request."""


class Forbidden(ServerRefused):
    """The credential may not do this, or the rules do not allow it."""


class NotFound(ServerRefused):
    """There is no such thing, or it is another tenant's."""


class Conflict(ServerRefused):
    """Things are not as the request takes them to be: another version, a state that does not allow it."""


class TooManyRequests(ServerRefused):
    """A limit is used up; a retry helps after `retry_after_s`, which is longer than the client is patient."""

    def __init__(self, status: int, detail: str, problem: Mapping[str, Any], retry_after_s: float | None) -> None:
        super().__init__(status, detail, problem)
        self.retry_after_s = retry_after_s


class Expired(ServerRefused):
    """The deadline was over before the command was decided: nothing was done. Send it again, under the same key too."""


_KINDS: Final[Mapping[int, type[ServerRefused]]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    504: Expired,
}


def refusal_of(response: httpx.Response, retry_after_s: float | None) -> ServerRefused:
    """Return the exception of an answer that has been read and is no success."""
    status, detail, problem = response.status_code, detail_of(response), problem_of(response)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequests(status, detail, problem, retry_after_s)
    if status == HTTPStatus.GATEWAY_TIMEOUT and not is_expired(problem):
        return ServerRefused(status, detail, problem)
    return _KINDS.get(status, ServerRefused)(status, detail, problem)


def is_expired(problem: Mapping[str, Any]) -> bool:
    """Return whether the deadline of a command was over; whether it is still wanted after that, its sender knows."""
    return problem.get("kind") == "expired"


def detail_of(response: httpx.Response) -> str:
    usual = f"{response.url} answered {response.status_code} {response.reason_phrase}"
    return str(problem_of(response).get("detail", usual))


def problem_of(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
