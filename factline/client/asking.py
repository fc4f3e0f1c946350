"""Requests are put together here, for the blocking client and the one with `async` alike."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import httpx

from factline.client.trying import no_address

Value = str | int | float | datetime | Sequence[str] | None
"""A parameter of a query: of several texts each is sent under the name, None is left out."""

_CONNECT_S = 5.0
_TIMEOUT_S = 60.0
# a server says something on a live feed every 15 seconds
_LIVE_TIMEOUT = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_S)


class Asked(NamedTuple):
    """A request. Shape: `safe` says that it may be sent twice."""

    method: str
    path: str
    parameters: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    safe: bool = True
    timeout: httpx.Timeout | None = None


def request(client: httpx.Client | httpx.AsyncClient, asked: Asked) -> httpx.Request:
    """Return the request as a client of httpx sends it. Raises: ServerGone, its address is none."""
    how: dict[str, Any] = {"headers": asked.headers, "content": asked.content}
    # parameters, also none of them, would take the place of those in the path
    how |= {"params": list(asked.parameters)} if asked.parameters else {}
    how |= {"timeout": asked.timeout} if asked.timeout else {}
    try:
        return client.build_request(asked.method, asked.path, **how)
    except httpx.InvalidURL as error:
        raise no_address(str(client.base_url)) from error


def settings(url: str, api_key: str, patience_s: float) -> dict[str, Any]:
    """Return what both kinds of httpx's client are made with. Raises: ServerGone, the URL is none."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise no_address(url) from error
    return {
        "base_url": address,
        "headers": {"X-API-Key": api_key},
        # without patience a job may take its time
        "timeout": httpx.Timeout(_TIMEOUT_S if patience_s else None, connect=_CONNECT_S),
        # what this machine says to itself goes through no proxy
        "trust_env": address.host not in {"127.0.0.1", "::1", "localhost"},
    }


def command(
    context: str,
    name: str,
    body: Any,
    *,
    idempotency_key: str | None,
    if_match: int | None,
    happened_at: datetime | None,
    deadline_s: float | None,
) -> Asked:
    headers = {
        # always one: an answer that was lost is asked for again, and nothing is done twice
        "Idempotency-Key": idempotency_key or str(uuid4()),
        "If-Match": None if if_match is None else str(if_match),
        "X-Happened-At": None if happened_at is None else happened_at.isoformat(),
        "X-Deadline": None if deadline_s is None else f"{deadline_s:.9f}",
    }
    path = f"/v1/commands/{quote(context, safe='')}/{quote(name, safe='')}"
    return _sending(path, body, {name: text for name, text in headers.items() if text is not None}, safe=True)


def outcome(command_id: str) -> Asked:
    return Asked("GET", f"/v1/commands/{quote(command_id, safe='')}")


def telemetry(facts: Iterable[Any], *, idempotency_key: str | None) -> Asked:
    return _sending("/v1/telemetry", list(facts), {"Idempotency-Key": idempotency_key or str(uuid4())}, safe=True)


def reading(path: str, consistent_with: str | None, parameters: Mapping[str, Value]) -> Asked:
    headers = {"X-Consistent-With": consistent_with} if consistent_with else {}
    said = [(name, text) for name, value in parameters.items() for text in _texts(value)]
    return Asked("GET", path, said, headers)


def posting(path: str, body: Any, *, safe: bool, idempotency_key: str | None) -> Asked:
    safe = safe or idempotency_key is not None
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return Asked("POST", path, (), headers, None, safe) if body is None else _sending(path, body, headers, safe=safe)


def live(types: Iterable[str], stream: str | None, telemetry: str | None) -> Asked:
    parameters: Mapping[str, Value] = {"types": ",".join(types) or None, "stream": stream, "telemetry": telemetry}
    return reading("/v1/live", None, parameters)._replace(timeout=_LIVE_TIMEOUT)


def after(asked: Asked, place: str | None) -> Asked:
    """Return the request for what a live feed has behind a place."""
    # a header, because the address may be too short for all positions
    return asked._replace(headers={"Last-Event-ID": place} if place else {})


def _sending(path: str, body: Any, headers: Mapping[str, str], *, safe: bool) -> Asked:
    content = body if isinstance(body, bytes) else json.dumps(body, default=_plain, ensure_ascii=False).encode()
    return Asked("POST", path, (), {"Content-Type": "application/json", **headers}, content, safe)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _texts(value: Value) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, datetime):
        return (value.isoformat(),)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (str(value),)
