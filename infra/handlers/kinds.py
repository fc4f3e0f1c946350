"""These are the kinds of tasks that ship, without their handlers, which take a moment to load."""

from collections.abc import Sequence
from importlib.util import find_spec

DELIVER = "webhook.deliver"

SCRIPT = "script.javascript"

VECTORS = ("vectors.delete", "vectors.search", "vectors.upsert")
"""What needs Qdrant; where it is missing, the handler says what to do."""

HARMLESS = ("chat.complete", "csv.extract_invoice", "embed.text", "http.check", SCRIPT, *VECTORS, DELIVER)
"""What the embedded server does by itself: it reaches public addresses only, and changes nothing outside.

Shape: a model is asked only by a tenant that has left a key for it, and webhooks are sent only to the endpoints that
a tenant has registered.
"""

ONE_AT_A_TIME = frozenset({SCRIPT})
"""Of these a worker for many tenants does one of each tenant at a time: they wait for places that all share."""

KINDS = (
    "chat.complete",
    "csv.extract_invoice",
    "embed.text",
    "http.check",
    "http.request",
    "notify.email",
    "notify.webhook",
    SCRIPT,
    *VECTORS,
    DELIVER,
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
    # V8 comes with the extra `scripts`
    return kind != SCRIPT or find_spec("py_mini_racer") is not None
