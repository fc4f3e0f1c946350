"""A long stream's state is kept beside the log from time to time, so that a writer need not read all its events."""

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple, Protocol, get_type_hints

from pydantic import TypeAdapter, ValidationError

from domain import catalog
from domain.message import KeptApart, Personal, marked_fields
from domain.process import Process, Running
from schemas.envelope import Actor, ActorType, Entry, Envelope, StreamKey, category_of
from streams.ports import EventLog
from streams.write.states import StreamState, fold

_LOG = logging.getLogger(__name__)

EVERY = 200
"""Events of a stream from one snapshot to the next; so many are read in some milliseconds."""

_READ_AT_ONCE = 1_000

_LONG_PROCESSES = {name: catalog.PROCESS_BY_NAME[name] for name in ("outbound_webhooks",)}
"""Their streams have some events for each delivery of a tenant."""

_WITHOUT_SECRETS = frozenset({"webhook_endpoint", "connector"})
"""What their events keep apart is not in their states, and their streams are long too."""


class Snapshot(NamedTuple):
    """A stream's state as of the event `event_id`, which has this version in the stream.

    Shape: `state` is JSON of what the stream's `evolve` gives; `made_by` is who recorded the first event, as type and
    id.
    """

    version: int
    event_id: str
    made_by: tuple[str, str]
    state: bytes


class Snapshots(Protocol):
    """A cache: what is lost costs time, nothing else."""

    def find(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Snapshot]:
        """Return what there is of these streams."""

    def keep(self, snapshots: Mapping[StreamKey, Snapshot]) -> None:
        """Keep these in place of earlier ones."""


class NoSnapshots:
    """Nothing is kept: each stream is read from its first event on."""

    def find(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Snapshot]:
        del keys
        return {}

    def keep(self, snapshots: Mapping[StreamKey, Snapshot]) -> None:
        """Keep nothing."""


@cache
def code(packages: tuple[str, ...] = ("domain", "schemas")) -> str:
    """Return a hash of the code that makes states: a snapshot of other code is of no use."""
    digest = blake2b(digest_size=16)
    for package in packages:
        for file in _sources(resources.files(package)):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _sources(folder: Traversable) -> list[Traversable]:
    found: list[Traversable] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _sources(entry)
        elif entry.name.endswith(".py"):
            found.append(entry)
    return found


def load_streams(
    log: EventLog,
    snapshots: Snapshots,
    keys: Collection[StreamKey],
    processes: Mapping[str, Process] = catalog.PROCESS_BY_NAME,
) -> dict[StreamKey, StreamState]:
    """Return the states of streams, from their snapshots and what follows those, and keep snapshots of long ones."""
    found = snapshots.find(keys)
    history = log.read_streams([key for key in keys if key not in found])
    states = {key: fold(history.get(key, ()), processes) for key in keys if key not in found}
    late = {key: history[key][-1] for key, state in states.items() if state.version >= EVERY}
    for key, snapshot in found.items():
        states[key], last = _read_on(log, key, snapshot)
        if states[key].version >= snapshot.version + EVERY:
            late[key] = last
    keep_long(snapshots, states, [last for last in late.values() if isinstance(last, Envelope)], every=1)
    return states


def keep_long(
    snapshots: Snapshots, states: Mapping[StreamKey, StreamState], events: Sequence[Envelope], *, every: int = EVERY
) -> None:
    """Keep a snapshot of each stream that one of these events, which were recorded, has brought to a multiple.

    Shape: `states` are those after all of the events.
    """
    due = {event.key for event in events if event.version % every == 0}
    if due:
        last = {event.key: event for event in events if event.key in due}
        made = {key: _snapshot(states[key], event) for key, event in last.items()}
        snapshots.keep({key: snapshot for key, snapshot in made.items() if snapshot is not None})


def _read_on(log: EventLog, key: StreamKey, snapshot: Snapshot) -> tuple[StreamState, Entry]:
    """Return a stream's state and last event, from its snapshot if that is of this stream, else from all its events."""
    start = _opened(key, snapshot)
    # the event that it was made at is read with what follows: another log, or an older copy of this one, has another
    events = _read_stream(log, key, after=snapshot.version - 1)
    if start is None or not events or not _is(events[0], snapshot):
        events = _read_stream(log, key, after=0)
        return fold(events), events[-1]
    return fold(events[1:], start=start), events[-1]


def _is(event: Entry, snapshot: Snapshot) -> bool:
    return isinstance(event, Envelope) and (event.event_id, event.version) == (snapshot.event_id, snapshot.version)


def _read_stream(log: EventLog, key: StreamKey, *, after: int) -> list[Entry]:
    found: list[Entry] = []
    while part := log.read_stream(*key, after=after + len(found), limit=_READ_AT_ONCE):
        found += part
    return found


def _snapshot(state: StreamState, last: Envelope) -> Snapshot | None:
    if state.unreadable or state.made_by is None or state.version != last.version:
        return None
    adapter = _adapter(category_of(last.stream))
    if adapter is None or (isinstance(state.state, Running) and state.state.open):
        # what is asked and not answered yet may be sealed in the log
        return None
    by = (state.made_by.type.value, state.made_by.id)
    return Snapshot(state.version, last.event_id, by, adapter.dump_json(state.state))


def _opened(key: StreamKey, snapshot: Snapshot) -> StreamState | None:
    adapter = _adapter(category_of(key[1]))
    if adapter is None:
        return None
    try:
        state = adapter.validate_json(snapshot.state)
    except ValidationError as error:
        _LOG.warning("the snapshot of stream %s is not used: %s", key[1], error)
        return None
    type_, id_ = snapshot.made_by
    return StreamState(snapshot.version, state, Actor(ActorType(type_), id_))


@cache
def _adapter(category: str) -> TypeAdapter[Any] | None:
    """Return what reads and writes the states of a kind of stream; None for those that are never kept.

    Shape: the streams of most processes are short; and what is sealed in the log, or kept apart from it, is not kept
    here in the open.
    """
    if process := _LONG_PROCESSES.get(category):
        running: Any = Running
        return TypeAdapter(running[get_type_hints(process.evolve)["return"]])
    decider = catalog.decider_for_category(category)
    if decider is None:
        return None
    marks = (Personal,) if category in _WITHOUT_SECRETS else (Personal, KeptApart)
    if any(marked_fields(event, *marks) for event in decider.events):
        return None
    return TypeAdapter(get_type_hints(decider.evolve)["return"])
