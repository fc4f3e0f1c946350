"""A stream's state follows from its history; a history that cannot be read gives a state that says so."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain import catalog
from domain.process import Process
from schemas.envelope import Actor, Entry, Envelope, category_of

_LOG = logging.getLogger(__name__)


class StreamState(NamedTuple):
    """What is known of a stream.

    Shape: `made_by` is who recorded its first event; `unreadable` says why nothing may be decided on it, None where all
    is well.
    """

    version: int
    state: Any
    made_by: Actor | None = None
    unreadable: str | None = None


NOTHING = StreamState(0, None)


def fold(
    history: Sequence[Entry],
    processes: Mapping[str, Process] = catalog.PROCESS_BY_NAME,
    start: StreamState = NOTHING,
) -> StreamState:
    """Return the state and version that a stream's history gives, from the state that it had before that."""
    if not history:
        return start
    evolve = catalog.evolve_for_category(category_of(history[0].stream), processes)
    state, made_by = start.state, start.made_by
    for entry in history:
        if evolve is None or not isinstance(entry, Envelope):
            return _unreadable(start.version + len(history), entry)
        made_by = made_by or entry.actor
        try:
            state = evolve(state, catalog.event_from(entry))
        except Exception:  # noqa: BLE001 - one stream that breaks a rule's code must not stop everyone else's
            _LOG.exception("the event at position %d of stream %s cannot be read", entry.position, entry.stream)
            return _unreadable(start.version + len(history), entry)
    return StreamState(start.version + len(history), state, made_by)


def _unreadable(version: int, entry: Entry) -> StreamState:
    reason = f"stream {entry.stream} has an event that cannot be read, at position {entry.position}"
    return StreamState(version, None, unreadable=reason)
