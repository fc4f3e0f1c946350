"""This is what correlation keeps of a partition, as JSON: how far it read, and what the watches know."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Base64Bytes, Field, TypeAdapter

from domain.fleet.definitions import Defined
from domain.fleet.observe import Seen, Subject, Told
from domain.fleet.rules import Rule
from domain.fleet.watch import Watch
from schemas.envelope import TenantId
from streams.ports import WatchState


class Progress(NamedTuple):
    """Shape: the positions of the last event and of the last fact that were looked at, both of the partition that is
    followed; and by their numbers those of the last events of all other partitions.
    """

    events: int = 0
    facts: int = 0
    elsewhere: Mapping[int, int] = {}

    @property
    def records(self) -> int:
        """Return a number that grows with whatever is looked at."""
        return self.events + self.facts + sum(self.elsewhere.values())


class Unsent(NamedTuple):
    """A command that is not known to be answered, and when what it says happened."""

    command: Told
    at: datetime


class Kept(NamedTuple):
    """What one watch knows of one device."""

    tenant_id: TenantId
    of: Subject
    position: int
    seen: Seen
    learned: Base64Bytes | None
    unsent: tuple[Unsent, ...]


class Loaded(NamedTuple):
    progress: Progress
    defined: list[tuple[TenantId, Defined]]
    known: list[Kept]


class _Definition(NamedTuple):
    tenant_id: TenantId
    watch_id: str
    version: int
    since: datetime
    name: str
    severity: str
    device_id: str | None
    quiet_s: int
    rule: Annotated[Rule, Field(discriminator="kind")]


_PROGRESS, _KEPT, _DEFINITION = TypeAdapter(Progress), TypeAdapter(Kept), TypeAdapter(_Definition)
_TWO = TypeAdapter(tuple[int, int])
_PROGRESS_KEY, _DEFINITION_PREFIX = "progress", "watch|"


def key_of(tenant_id: TenantId, of: Subject) -> str:
    return f"seen|{tenant_id}|{of.watch_id}|{of.version}|{of.device_id}"


def progress_state(progress: Progress) -> WatchState:
    # a log of one partition has no other, and keeps what it always kept
    value = _PROGRESS.dump_json(progress) if progress.elsewhere else _TWO.dump_json(progress[:2])
    return WatchState(_PROGRESS_KEY, progress.records, value)


def known_state(kept: Kept) -> WatchState:
    return WatchState(key_of(kept.tenant_id, kept.of), kept.position, _KEPT.dump_json(kept))


def definition_state(tenant_id: TenantId, watch_id: str, position: int, defined: Defined | None) -> WatchState:
    """Return a watch as it was defined at a position of the log, or None for one that was removed there."""
    key = f"{_DEFINITION_PREFIX}{tenant_id}|{watch_id}"
    if defined is None:
        return WatchState(key, position, None)
    watch = defined.watch
    definition = _Definition(
        tenant_id=tenant_id,
        watch_id=watch_id,
        version=defined.version,
        since=defined.since,
        name=watch.name,
        severity=watch.severity,
        device_id=watch.device_id,
        quiet_s=watch.quiet_s,
        rule=watch.rule,
    )
    return WatchState(key, position, _DEFINITION.dump_json(definition))


def load(states: Iterable[WatchState]) -> Loaded:
    loaded = Loaded(Progress(), [], [])
    for key, _, value in states:
        if value is None:
            continue
        if key == _PROGRESS_KEY:
            loaded = loaded._replace(progress=_PROGRESS.validate_json(value))
        elif key.startswith(_DEFINITION_PREFIX):
            loaded.defined.append(_defined(value))
        else:
            loaded.known.append(_KEPT.validate_json(value))
    return loaded


def _defined(value: bytes) -> tuple[TenantId, Defined]:
    kept = _DEFINITION.validate_json(value)
    watch = Watch(
        name=kept.name, severity=kept.severity, device_id=kept.device_id, quiet_s=kept.quiet_s, rule=kept.rule
    )
    return kept.tenant_id, Defined(kept.watch_id, kept.version, kept.since, watch)
