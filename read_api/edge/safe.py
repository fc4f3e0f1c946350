"""Every answer tells browsers to keep it to themselves, and to take it for nothing but what it says it is."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Where an answer says nothing of its own. Source: the OWASP cheat sheet on HTTP headers."""

_RAW = {name.lower().encode(): value.encode() for name, value in SAFE.items()}


class SafeAnswers:
    """ASGI middleware that adds these headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"]
                said = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(header for header in _RAW.items() if header[0] not in said)]
            await send(message)

        await self._app(scope, receive, sending)
