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


def kinds_of(text: str | None, usual: Sequence[str], *, with_packages: bool = False) -> Sequence[str]:
    """Read kinds with commas between them, `none` for none; without a text those of the usual ones that are installed.

    Shape: what does not ship is looked for among the installed packages, and loaded, so that a fault is told at once;
    `with_packages` says that all of theirs are usual too.
    Raises: BadKinds.
    """
    if text is None:
        shipped = [kind for kind in usual if _is_installed(kind)]
        return (*shipped, *_of_packages()) if with_packages else tuple(shipped)
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if kinds == ("none",):
        return ()
    for kind in kinds:
        if not _is_installed(kind):
            raise BadKinds(f"{kind} needs V8: pip install 'factline[scripts]'")
    if others := [kind for kind in kinds if kind not in KINDS]:
        there = (*KINDS, *_of_packages())
        for kind in others:
            if kind not in there:
                raise BadKinds(
                    f"no handler ships for {kind}, and no installed package has one; there are: {', '.join(there)}"
                )
    return kinds


def _of_packages() -> Sequence[str]:
    """Return the kinds of installed packages, each of which has a handler that loads. Raises: BadKinds."""
    # it loads what handlers need
    from infra.handlers.packages import BadHandler, handler_of_package, kinds_of_packages  # noqa: PLC0415

    found = kinds_of_packages()
    for kind in found:
        try:
            handler_of_package(kind)
        except BadHandler as error:
            raise BadKinds(str(error)) from error
    if ours := sorted({*found} & {*KINDS}):
        raise BadKinds(f"{ours[0]} ships with factline; a package whose handler has this kind has to name another one")
    return found


def _is_installed(kind: str) -> bool:
    # V8 comes with the extra `scripts`
    return kind != SCRIPT or find_spec("py_mini_racer") is not None
