"""A server on this machine's own address answers under its own names only, so that no other site can take its place."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from read_api.edge.problems import MEDIA_TYPE, Problem, document
from read_api.edge.safe import SAFE

HOSTS = "FACTLINE_HOSTS"
"""The variable with the names, commas between them, that a proxy or a network gives this server."""


def guard_hosts(app: FastAPI, listens_on: str, environment: Mapping[str, str]) -> None:
    """Refuse requests for other hosts than ours: where the server is for this machine only, or names are said.

    Shape: addresses and `localhost` are always ours; a page of another site can have neither as its own name.
    """
    said = frozenset(name.strip().lower() for name in environment.get(HOSTS, "").split(",") if name.strip())
    if said or listens_on == "localhost" or (_is_address(listens_on) and ip_address(listens_on).is_loopback):
        app.add_middleware(KnownHosts, names=said)


class KnownHosts:
    """ASGI middleware. Source: DNS rebinding, in which a name of another site leads here for a while."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_ours(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        problem = Problem(421, f"this server has no such name; whoever runs it may add it to {HOSTS}")
        await JSONResponse(document(problem), problem.status, SAFE, media_type=MEDIA_TYPE)(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        return not name or name in self._names or _is_address(name)


@lru_cache(maxsize=1_000)
def _name(host: str) -> str:
    """Return the name of a host without its port; no browser leaves the header out."""
    has_port = host.startswith("[") != host.endswith("]") or host.count(":") == 1
    return (host.rpartition(":")[0] if has_port else host).strip("[]").removesuffix(".").lower()


@lru_cache(maxsize=1_000)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
