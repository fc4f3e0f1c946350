"""An id that is shown works in a path as it stands, whatever the thing is called."""

import re
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASH = re.compile(rb"%2[fF]")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._:@~%-]+|%(?![0-9A-Fa-f]{2})")


class SlashesOfIds:
    """ASGI middleware that keeps an encoded slash encoded: decoded it would divide an id into two parts of the path.

    Source: RFC 3986, section 2.2: what is reserved and encoded is not what is reserved and not encoded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if _SLASH.search(raw):
            scope = {**scope, "path": unquote(_SLASH.sub(b"%252F", raw).decode("latin-1"))}
        await self._app(scope, receive, send)


def as_shown(id_: str) -> str:
    """Return an id as it is shown from one that was decoded on its way: blanks and letters beyond ASCII are encoded."""
    return _NOT_IN_IDS.sub(lambda found: quote(found[0], safe=""), id_)
