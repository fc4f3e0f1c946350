"""This is what correlation keeps of a partition, as JSON: how far it read, what the watches know, and which devices
are to be heard of."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Base64Bytes, Field, TypeAdapter, ValidationError

from domain.fleet.definitions import Defined
from domain.fleet.follow import Told
from domain.fleet.liveness import Life
from domain.fleet.planned import Window
from domain.fleet.rules import Failures, Level, Rule
from domain.fleet.seen import Seen, Subject
from domain.fleet.watch import Watch
from schemas.envelope import TenantId, Topic
from streams.ports import WatchState
from streams.viewed_log import ViewedLog

_LOG = logging.getLogger(__name__)

FORMAT = 3
"""What is kept says in which form it is, from the second one on. An older one is read, any other is made again.

The third has the devices that are to be heard of.
"""


class Progress(NamedTuple):
    """Shape: the positions of the last event and of the last fact that were looked at, both of the partition that is
    followed; and by their numbers those of the last events of all other partitions. `logs` says of each topic which log
    these are of, where somebody said it.
    """

    events: int = 0
    facts: int = 0
    format: int = 1
    elsewhere: Mapping[int, int] = {}
    logs: Mapping[Topic, str] = {}

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


class Tags(NamedTuple):
    """The tags of one device."""

    tenant_id: TenantId
    device_id: str
    tags: Mapping[str, str]


class Ended(NamedTuple):
    """An alert that somebody resolved, as it was recorded, before its watch has read what it was raised for."""

    tenant_id: TenantId
    alert_id: str
    at: datetime


class KeptLife(NamedTuple):
    """A device that is to be heard of; when it was heard of last is not kept."""

    tenant_id: TenantId
    device_id: str
    version: int
    is_online: bool
    since: datetime

    def life(self) -> Life:
        return Life(version=self.version, is_online=self.is_online, since=self.since)


class Loaded(NamedTuple):
    progress: Progress
    defined: list[tuple[TenantId, Defined]]
    known: list[Kept]
    windows: list[tuple[TenantId, Window]]
    tags: list[Tags]
    ended: list[Ended]
    lives: list[KeptLife]


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
    levels: tuple[Level, ...] = ()
    again_s: int | None = None
    flap_count: int = 0
    flap_s: int = 0
    look_back_s: int = 0
    format: int = 1


class _KeptWindow(NamedTuple):
    tenant_id: TenantId
    window: Window


_PROGRESS, _KEPT, _DEFINITION = TypeAdapter(Progress), TypeAdapter(Kept), TypeAdapter(_Definition)
_OF_ONE = TypeAdapter(tuple[int, int, int])
_UNSAID = TypeAdapter(tuple[int, int, int, Mapping[int, int]])
_WINDOW, _TAGS, _ENDED = TypeAdapter(_KeptWindow), TypeAdapter(Tags), TypeAdapter(Ended)
_LIFE = TypeAdapter(KeptLife)
_PROGRESS_KEY, _DEFINITION_PREFIX, _KNOWN_PREFIX = "progress", "watch|", "seen|"
_WINDOW_PREFIX, _TAGS_PREFIX, _ENDED_PREFIX = "maintenance|", "tags|", "ended|"
_LIFE_PREFIX = "life|"


def key_of(tenant_id: TenantId, of: Subject) -> str:
    key = f"{_KNOWN_PREFIX}{tenant_id}|{of.watch_id}|{of.version}|{of.device_id}"
    return f"{key}|{of.level}" if of.level else key


def progress_state(progress: Progress) -> WatchState:
    now = progress._replace(format=FORMAT)
    if now.logs:
        value = _PROGRESS.dump_json(now)
    else:
        # where nobody said which log it is; a log of one partition has no other
        value = _UNSAID.dump_json(now[:4]) if now.elsewhere else _OF_ONE.dump_json(now[:3])
    return WatchState(_PROGRESS_KEY, progress.records, value)


def known_state(kept: Kept) -> WatchState:
    return WatchState(key_of(kept.tenant_id, kept.of), kept.position, _KEPT.dump_json(kept))


def window_state(tenant_id: TenantId, window: Window, position: int) -> WatchState:
    key = f"{_WINDOW_PREFIX}{tenant_id}|{window.id}|{window.version}"
    return WatchState(key, position, _WINDOW.dump_json(_KeptWindow(tenant_id, window)))


def tags_state(tags: Tags, position: int) -> WatchState:
    return WatchState(f"{_TAGS_PREFIX}{tags.tenant_id}|{tags.device_id}", position, _TAGS.dump_json(tags))


def ended_state(ended: Ended, position: int, *, forgotten: bool = False) -> WatchState:
    key = f"{_ENDED_PREFIX}{ended.tenant_id}|{ended.alert_id}"
    return WatchState(key, position, None if forgotten else _ENDED.dump_json(ended))


def life_state(tenant_id: TenantId, device_id: str, life: Life | None, position: int) -> WatchState:
    """Return what is known of a device at a position of the log, or None for one that need not be heard of."""
    key = f"{_LIFE_PREFIX}{tenant_id}|{device_id}"
    if life is None:
        return WatchState(key, position, None)
    kept = KeptLife(tenant_id, device_id, life.version, life.is_online, life.since)
    return WatchState(key, position, _LIFE.dump_json(kept))


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
        levels=watch.levels,
        again_s=watch.again_s,
        flap_count=watch.flap_count,
        flap_s=watch.flap_s,
        look_back_s=watch.look_back_s,
        format=FORMAT,
    )
    return WatchState(key, position, _DEFINITION.dump_json(definition))


def load(states: Iterable[WatchState]) -> Loaded:
    """Return what was kept; nothing where some of it cannot be read: then all is made again from the log."""
    try:
        loaded = _load(states)
    except ValidationError as error:
        _LOG.warning("what correlation kept cannot be read, it is made again from the log: %s", error)
        return _load(())
    if loaded.progress.format > FORMAT:
        _LOG.warning("what correlation kept is of a later version, it is made again from the log")
        return _load(())
    return loaded


def _load(states: Iterable[WatchState]) -> Loaded:
    loaded = Loaded(Progress(format=FORMAT), [], [], [], [], [], [])
    for key, _, value in states:
        if value is None:
            continue
        if key == _PROGRESS_KEY:
            loaded = loaded._replace(progress=_PROGRESS.validate_json(value))
        elif key.startswith(_DEFINITION_PREFIX):
            loaded.defined.append(_defined(value))
        elif key.startswith(_WINDOW_PREFIX):
            loaded.windows.append(_WINDOW.validate_json(value))
        elif key.startswith(_TAGS_PREFIX):
            loaded.tags.append(_TAGS.validate_json(value))
        elif key.startswith(_ENDED_PREFIX):
            loaded.ended.append(_ENDED.validate_json(value))
        elif key.startswith(_LIFE_PREFIX):
            loaded.lives.append(_LIFE.validate_json(value))
        else:
            loaded.known.append(_KEPT.validate_json(value))
    return loaded


def _defined(value: bytes) -> tuple[TenantId, Defined]:
    kept = _DEFINITION.validate_json(value)
    rule = kept.rule
    if kept.format == 1 and isinstance(rule, Failures):
        # before it could be said, a late line counted as long as its window lasted
        rule = replace(rule, late_s=0)
    watch = Watch(
        name=kept.name,
        severity=kept.severity,
        device_id=kept.device_id,
        quiet_s=kept.quiet_s,
        rule=rule,
        levels=kept.levels,
        again_s=kept.again_s,
        flap_count=kept.flap_count,
        flap_s=kept.flap_s,
        look_back_s=kept.look_back_s,
    )
    return kept.tenant_id, Defined(kept.watch_id, kept.version, kept.since, watch)


class LogEndsEarly(Exception):  # noqa: N818
    """What correlation knows is of another log, or an older one was restored below it: a retry gives the same answer.

    The message says what to do.
    """


def check_log(progress: Progress, partition: int, log: ViewedLog) -> Progress:
    """Compare what was read with what there is; return the progress, which says now of which log it is.

    Shape: what an earlier version kept, which did not say it, is taken over.
    Raises: LogEndsEarly; LogUnavailable, safe to retry.
    """
    logs = {topic: log_id for topic, log_id in log.identities().items() if log_id}
    if progress.logs and logs and progress.logs != logs:
        was, is_ = (", ".join(sorted(set(one.values()))) for one in (progress.logs, logs))
        raise LogEndsEarly(
            f"correlation has read another log, {was}, and not this one, {is_};"
            " remove what correlation keeps, it is made again from the log"
        )
    read = {**progress.elsewhere, partition: progress.events}
    events = [(Topic.EVENTS, number, read.get(number, 0), end) for number, end in enumerate(log.ends(Topic.EVENTS))]
    facts = (Topic.TELEMETRY, partition, progress.facts, log.end(Topic.TELEMETRY, partition))
    for topic, number, position, end in (*events, facts):
        if position > end:
            raise LogEndsEarly(
                f"correlation has read {topic.value}/{number} up to {position}, the log ends at {end}:"
                " an older log was restored below it; remove what correlation keeps, it is made again from the log"
            )
    return progress._replace(logs=logs or progress.logs)
