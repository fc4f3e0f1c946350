"""This knows the watches of one tenant as they are now: which look at a fact, and what a new one ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never

from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from domain.fleet.observe import device_of
from domain.fleet.rules import Failures, NoData
from domain.fleet.seen import Subject
from domain.fleet.watch import Watch, WatchDefined, WatchEvent, WatchRemoved, watch_of
from schemas.envelope import Envelope, id_of

CHANGED = "the watch was changed or removed"
"""Why alerts are resolved that a definition had open which is no more."""


class Defined(NamedTuple):
    """A watch as it is now, or one level of it. Shape: it looks at what was recorded from `since` on."""

    watch_id: str
    version: int
    since: datetime
    watch: Watch
    level: int = 0

    def levels(self) -> Iterator["Defined"]:
        """Yield what looks for each level by itself, beginning with the rule's own limit."""
        for level in range(len(self.watch.levels) + 1):
            yield self._replace(watch=self.watch.at_level(level), level=level)

    def of_device(self, device_id: str) -> Subject:
        return Subject(self.watch_id, self.version, device_id, self.level)


class Definitions(NamedTuple):
    """A tenant's watches by their id, and by what they look at."""

    by_id: Mapping[str, Defined] = {}
    by_metric: Mapping[str, Sequence[Defined]] = {}
    of_logs: Sequence[Defined] = ()
    of_anything: Sequence[Defined] = ()

    @classmethod
    def of(cls, watches: Iterable[Defined]) -> "Definitions":
        by_id = {defined.watch_id: defined for defined in watches}
        by_metric: dict[str, list[Defined]] = {}
        of_logs: list[Defined] = []
        of_anything: list[Defined] = []
        for defined in (level for whole in by_id.values() for level in whole.levels()):
            rule = defined.watch.rule
            if isinstance(rule, Failures):
                of_logs.append(defined)
            elif isinstance(rule, NoData) and rule.metric is None:
                of_anything.append(defined)
            elif rule.metric is not None:
                by_metric.setdefault(rule.metric, []).append(defined)
        return cls(by_id, by_metric, of_logs, of_anything)

    def has(self, entry: Envelope) -> bool:
        """Return whether an event of a watch, or a later one of it, made these definitions."""
        now = self.by_id.get(watch_id_of(entry))
        return now is not None and now.version >= entry.version

    def after(self, entry: Envelope, event: WatchEvent) -> "Definitions":
        watch_id = watch_id_of(entry)
        match event:
            case WatchDefined():
                since = entry.recorded_at - timedelta(seconds=event.look_back_s or 0)
                defined = Defined(watch_id, entry.version, since, watch_of(event))
                return self.of({**self.by_id, watch_id: defined}.values())
            case WatchRemoved():
                return self.of(defined for defined in self.by_id.values() if defined.watch_id != watch_id)
            case _:
                assert_never(event)

    def current(self, of: Subject) -> Defined | None:
        """Return the definition that a subject is of, None where it is changed or removed."""
        defined = self.by_id.get(of.watch_id)
        if defined is None or defined.version != of.version or of.level > len(defined.watch.levels):
            return None
        return defined._replace(watch=defined.watch.at_level(of.level), level=of.level)

    def looking_at(self, fact: Envelope) -> Iterator[tuple[Defined, str]]:
        """Yield the watches that look at a fact, each with the device that the fact is about."""
        if fact.type == DeviceMetricsReported.TYPE:
            for metric in fact.data["metrics"]:
                yield from _looks(self.by_metric.get(metric, ()), fact)
        elif fact.type == LogRecorded.TYPE:
            yield from _looks(self.of_logs, fact)
        if self.of_anything:
            yield from _looks(self.of_anything, fact)


NO_WATCHES = Definitions()


def watch_id_of(entry: Envelope) -> str:
    return id_of(entry.stream)


def _looks(watches: Sequence[Defined], fact: Envelope) -> Iterator[tuple[Defined, str]]:
    for defined in watches:
        device_id = device_of(fact)
        if fact.recorded_at >= defined.since and defined.watch.device_id in (None, device_id):
            yield defined, device_id
