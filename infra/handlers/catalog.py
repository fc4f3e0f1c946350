"""These are the handlers that ship, by the kind of their tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from factline.worker import Done, Failed, Task
from infra.handlers import javascript
from infra.handlers.chat import chat_complete
from infra.handlers.invoice import extract_invoice
from infra.handlers.javascript import script_javascript
from infra.handlers.mail import notify_email
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import HandlerSettings
from infra.handlers.web import Handler, http_check, http_request
from infra.handlers.webhook import notify_webhook
from schemas.json_text import json_text

_SCRIPT = "script.javascript"

HARMLESS = ("chat.complete", "csv.extract_invoice", "http.check", _SCRIPT)
"""What the embedded server does by itself: it changes nothing outside, and reaches public addresses only.

Shape: a model is asked only by a tenant that has left a key for it.
"""

ONE_AT_A_TIME = frozenset({_SCRIPT})
"""Of these a worker for many tenants does one of each tenant at a time: they wait for places that all share."""

KINDS = (
    "chat.complete",
    "csv.extract_invoice",
    "http.check",
    "http.request",
    "notify.email",
    "notify.webhook",
    _SCRIPT,
)


class BadKinds(ValueError):  # noqa: N818
    """No handler is there for a kind; the message says what to do. A retry gives the same answer."""


def kinds_of(text: str | None, usual: Sequence[str]) -> Sequence[str]:
    """Read kinds with commas between them, `none` for none; without a text those of the usual ones that are installed.

    Raises: BadKinds.
    """
    if text is None:
        return tuple(kind for kind in usual if _is_installed(kind))
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if kinds == ("none",):
        return ()
    for kind in kinds:
        if kind not in KINDS:
            raise BadKinds(f"no handler ships for {kind}; there are: {', '.join(KINDS)}")
        if not _is_installed(kind):
            raise BadKinds(f"{kind} needs V8: pip install 'factline[scripts]'")
    return kinds


def _is_installed(kind: str) -> bool:
    return kind != _SCRIPT or javascript.is_installed()


def handlers(settings: HandlerSettings, kinds: Sequence[str]) -> Mapping[str, Handler]:
    """Return the handler of each of these KINDS."""
    outgoing = Outgoing(settings.allowed)
    shipped = {
        "chat.complete": chat_complete(outgoing),
        "csv.extract_invoice": extract_invoice(),
        "http.check": http_check(outgoing),
        "http.request": http_request(outgoing),
        "notify.email": notify_email(settings.mail),
        "notify.webhook": notify_webhook(outgoing),
        _SCRIPT: script_javascript(),
    }
    return {kind: _bounded(shipped[kind]) for kind in kinds}


def _bounded(handler: Handler) -> Handler:
    """Return a handler that fails where its output would not be taken: another attempt would give the same."""

    async def handle(task: Task) -> Any:
        output = await handler(task)
        try:
            json_text(output.output if isinstance(output, Done) else output)
        except ValueError as error:
            raise Failed(f"the output {error}", retryable=False) from error
        return output

    return handle
