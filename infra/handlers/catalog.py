"""These are the handlers that ship, by the kind of their tasks."""

from collections.abc import Mapping, Sequence

from infra.handlers.mail import notify_email
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import HandlerSettings
from infra.handlers.web import Handler, http_check, http_request
from infra.handlers.webhook import notify_webhook

HARMLESS = ("http.check",)
"""What the embedded server does by itself: it changes nothing outside, and reaches public addresses only."""

KINDS = ("http.check", "http.request", "notify.email", "notify.webhook")


class BadKinds(ValueError):  # noqa: N818
    """No handler ships for a kind; the message names those that there are. A retry gives the same answer."""


def kinds_of(text: str) -> Sequence[str]:
    """Read kinds with commas between them, `none` for none. Raises: BadKinds."""
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if kinds == ("none",):
        return ()
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise BadKinds(f"no handler ships for {unknown[0]}; there are: {', '.join(KINDS)}")
    return kinds


def handlers(settings: HandlerSettings) -> Mapping[str, Handler]:
    """Return the handler of each of KINDS."""
    outgoing = Outgoing(settings.allowed)
    return {
        "http.check": http_check(outgoing),
        "http.request": http_request(outgoing),
        "notify.email": notify_email(settings.mail),
        "notify.webhook": notify_webhook(outgoing, lambda _task: settings.webhook_secret),
    }
