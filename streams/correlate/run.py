"""Correlation of one partition: facts in, through every watch that looks at them; alerts raised and resolved once."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Base64Bytes, Field, TypeAdapter

from domain.catalog import event_from
from domain.fleet.events import WatchDefined, WatchRemoved
from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from domain.fleet.rules import Anomaly, Failures, Rule
from domain.fleet.state import Watch, watch_of
from domain.fleet.watches import NOTHING_SEEN, Seen, Subject, Told, close_all, device_of, matters, observe, sample_of
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, Entry, Envelope, TenantId, Topic
from streams.identifiers import named_uuid
from streams.ports import AnomalyScorer, LogReader, LogUnavailable, Reply, Submission, WatchState, WatchStates

_LOG = logging.getLogger(__name__)

Send = Callable[[Sequence[Submission]], Sequence[Reply]]
"""Executes commands in order and returns when they are durable. Raises: LogUnavailable, Overloaded; safe to retry."""


class LogEndsEarly(Exception):  # noqa: N818
    """An older log was restored below what correlation knows: a retry gives the same answer, see what it says to do."""


NewScorer = Callable[[float, bytes | None], AnomalyScorer]
"""Makes what learns a metric, from a watch's quantile and what was learned before."""

KEEP_EVERY = 10_000
"""Records after which it is kept how far they were read, where nothing else was to be kept: they are read again."""

_CHANGED = "the watch was changed or removed"
_DEFINITIONS = {WatchDefined.TYPE, WatchRemoved.TYPE}


class _Defined(NamedTuple):
    """A watch as it is now. Shape: it looks at what was recorded from `since` on."""

    watch_id: str
    version: int
    since: datetime
    watch: Watch


class _Progress(NamedTuple):
    events: int = 0
    facts: int = 0


class _Unsent(NamedTuple):
    command: Told
    at: datetime


class _Stored(NamedTuple):
    """What is kept of one watch at one device."""

    tenant_id: TenantId
    of: Subject
    position: int
    seen: Seen
    learned: Base64Bytes | None
    unsent: tuple[_Unsent, ...]


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


_PROGRESS, _STORED, _DEFINITION = TypeAdapter(_Progress), TypeAdapter(_Stored), TypeAdapter(_Definition)
_PROGRESS_KEY = "progress"


class _Known:
    """What one watch knows of one device; `unsent` are the commands that are not known to be answered."""

    __slots__ = ("key", "of", "position", "scorer", "seen", "tenant_id", "unsent")

    def __init__(self, tenant_id: TenantId, of: Subject, scorer: AnomalyScorer | None) -> None:
        self.tenant_id = tenant_id
        self.of = of
        self.position = 0
        self.seen = NOTHING_SEEN
        self.scorer = scorer
        self.unsent: tuple[_Unsent, ...] = ()
        self.key = f"seen|{tenant_id}|{of.watch_id}|{of.version}|{of.device_id}"

    def state(self) -> WatchState:
        learned = None if self.scorer is None else self.scorer.dump()
        stored = _Stored(self.tenant_id, self.of, self.position, self.seen, learned, self.unsent)
        return WatchState(self.key, self.position, _STORED.dump_json(stored))

    def close(self, note: str, at: datetime) -> None:
        self.unsent += tuple(_Unsent(command, at) for command in close_all(self.seen, note))


class _Tenant:
    """The watches of one tenant, found by what they look at."""

    def __init__(self) -> None:
        self.defined: dict[str, _Defined] = {}
        self._by_metric: dict[str, list[_Defined]] = {}
        self._of_logs: list[_Defined] = []

    def define(self, defined: _Defined) -> None:
        self.defined[defined.watch_id] = defined
        self._index()

    def remove(self, watch_id: str) -> None:
        self.defined.pop(watch_id, None)
        self._index()

    def looking_at(self, fact: Envelope) -> Iterator[_Defined]:
        if fact.type == DeviceMetricsReported.TYPE:
            for metric in fact.data["metrics"]:
                yield from self._by_metric.get(metric, ())
        elif fact.type == LogRecorded.TYPE:
            yield from self._of_logs

    def _index(self) -> None:
        self._by_metric, self._of_logs = {}, []
        for defined in self.defined.values():
            rule = defined.watch.rule
            if isinstance(rule, Failures):
                self._of_logs.append(defined)
            else:
                self._by_metric.setdefault(rule.metric, []).append(defined)


class Correlation:
    """Follows one partition.

    Not safe for threads. What is known is kept together with the commands that it led to, then these are sent, under
    ids that name what began them: so a crash anywhere, a second worker or a replay from the beginning adds nothing.
    Raises: StoreUnavailable, safe to retry.
    """

    def __init__(self, partition: int, states: WatchStates, send: Send, new_scorer: NewScorer) -> None:
        self._partition = partition
        self._states = states
        self._send = send
        self._new_scorer = new_scorer
        self._tenants: dict[TenantId, _Tenant] = {}
        self._known: dict[tuple[TenantId, str], dict[str, _Known]] = {}
        self._changed: dict[str, _Known] = {}
        self._definitions: dict[str, WatchState] = {}
        self._gone: dict[str, _Known] = {}
        self._progress = _Progress()
        self._kept = self._progress
        self._load()

    @property
    def events(self) -> int:
        """Return the position of the last event that was looked at."""
        return self._progress.events

    @property
    def facts(self) -> int:
        """Return the position of the last fact that was looked at."""
        return self._progress.facts

    @property
    def has_watches(self) -> bool:
        return bool(self._tenants)

    def check(self, log: LogReader) -> None:
        """Compare what was read with what there is. Raises: LogEndsEarly; LogUnavailable, safe to retry."""
        for topic, read in ((Topic.EVENTS, self.events), (Topic.TELEMETRY, self.facts)):
            if read > (end := log.end(topic, self._partition)):
                raise LogEndsEarly(
                    f"correlation has read {topic.value}/{self._partition} up to {read}, the log ends at {end}:"
                    " an older log was restored below it; remove what correlation keeps, it is made again from the log"
                )

    def read_events(self, entries: Sequence[Entry]) -> None:
        """Learn of watches that were defined and removed."""
        for entry in entries:
            if entry.position <= self.events:
                continue
            if entry.type in _DEFINITIONS and isinstance(entry, Envelope):
                self._define(entry)
            self._progress = self._progress._replace(events=entry.position)

    def read_facts(self, entries: Sequence[Entry]) -> None:
        """Show facts to the watches of their tenants."""
        before = position = self.facts
        for entry in entries:
            if entry.position <= before:
                continue
            position = entry.position
            tenant = self._tenants.get(entry.tenant_id)
            if tenant is not None and isinstance(entry, Envelope):
                for defined in tenant.looking_at(entry):
                    self._show(defined, entry)
        self._progress = self._progress._replace(facts=position)

    def skip_facts(self, position: int) -> None:
        """Go past facts that were recorded before any watch was defined."""
        self._progress = self._progress._replace(facts=max(position, self.facts))

    def settle(self) -> None:
        """Keep what is known, send what follows from it, and keep that it was sent.

        Raises: StoreUnavailable, LogUnavailable, Overloaded: call it again, now or after more facts.
        """
        read = sum(self._progress) - sum(self._kept)
        if self._changed or self._gone or self._definitions or read >= KEEP_EVERY:
            self._keep()
        told = [*self._gone.values(), *(known for known in self._changed.values() if known.unsent)]
        self._changed = {known.key: known for known in told if known.key not in self._gone}
        if not told:
            return
        self._send_all(told)
        for known in told:
            known.unsent = ()
        forgotten = [WatchState(key, self.facts, None) for key in self._gone]
        self._states.keep(self._partition, [*(known.state() for known in self._changed.values()), *forgotten])
        self._changed, self._gone = {}, {}

    def _keep(self) -> None:
        gone = [known.state() for known in self._gone.values()]
        changed = [known.state() for known in self._changed.values()]
        progress = WatchState(_PROGRESS_KEY, sum(self._progress), _PROGRESS.dump_json(self._progress))
        # where not all is kept at once: what ends before what ends it, what it is known by before what is known, and
        # the progress last, so that what is missing is read again
        self._states.keep(self._partition, [*gone, *self._definitions.values(), *changed, progress])
        self._kept, self._definitions = self._progress, {}

    def _send_all(self, told: Sequence[_Known]) -> None:
        submissions = [_submission(known, unsent) for known in told for unsent in known.unsent]
        for submission, reply in zip(submissions, self._send(submissions), strict=True):
            if reply.refusal is None:
                continue
            if reply.refusal.kind is Kind.NOT_NOW:
                raise LogUnavailable(f"{submission.name} was refused for now: {reply.refusal.reason}")
            _LOG.warning(
                "%s of %s's %s refused: %s", submission.name, submission.tenant_id, submission.actor.id, reply.refusal
            )

    # --- watches

    def _define(self, entry: Envelope) -> None:
        event, watch_id = event_from(entry), entry.stream.partition("-")[2]
        tenant = self._tenants.get(entry.tenant_id)
        if tenant and (now := tenant.defined.get(watch_id)) and now.version >= entry.version:
            # kept before it was kept how far events were read
            return
        for known in self._known.pop((entry.tenant_id, watch_id), {}).values():
            known.close(_CHANGED, entry.recorded_at)
            self._drop(known)
        key = f"watch|{entry.tenant_id}|{watch_id}"
        if isinstance(event, WatchDefined):
            defined = _Defined(watch_id, entry.version, entry.recorded_at, watch_of(event))
            self._tenants.setdefault(entry.tenant_id, _Tenant()).define(defined)
            self._definitions[key] = WatchState(key, entry.position, _dump(entry.tenant_id, defined))
        else:
            if tenant:
                tenant.remove(watch_id)
                if not tenant.defined:
                    del self._tenants[entry.tenant_id]
            self._definitions[key] = WatchState(key, entry.position, None)

    def _drop(self, known: _Known) -> None:
        self._changed.pop(known.key, None)
        self._gone[known.key] = known
        # past every fact it can have seen, so that no worker that is behind brings it back
        known.position = max(known.position, self.facts)

    # --- facts

    def _show(self, defined: _Defined, fact: Envelope) -> None:
        watch = defined.watch
        device_id = device_of(fact)
        if fact.recorded_at < defined.since or watch.device_id not in (None, device_id):
            return
        sample = sample_of(watch.rule, fact)
        devices = self._known.get((fact.tenant_id, defined.watch_id), {})
        known = devices.get(device_id)
        seen = NOTHING_SEEN if known is None else known.seen
        if sample is None or not matters(watch.rule, seen, sample):
            return
        if known is None:
            known = self._meet(fact.tenant_id, defined, device_id)
        elif fact.position <= known.position:
            return
        if known.scorer is not None:
            sample = sample._replace(bound=known.scorer.beyond(sample.value))
        known.seen, told = observe(known.of, watch, seen, sample)
        known.position = fact.position
        if told:
            known.unsent += tuple(_Unsent(command, known.seen.at or sample.at) for command in told)
        self._changed[known.key] = known

    def _meet(self, tenant_id: TenantId, defined: _Defined, device_id: str, learned: bytes | None = None) -> _Known:
        rule = defined.watch.rule
        scorer = self._new_scorer(rule.quantile, learned) if isinstance(rule, Anomaly) else None
        known = _Known(tenant_id, Subject(defined.watch_id, defined.version, device_id), scorer)
        self._known.setdefault((tenant_id, defined.watch_id), {})[device_id] = known
        return known

    # --- what was kept

    def _load(self) -> None:
        stored: list[_Stored] = []
        for key, _, value in self._states.load(self._partition):
            if value is None:
                continue
            if key == _PROGRESS_KEY:
                self._progress = self._kept = _PROGRESS.validate_json(value)
            elif key.startswith("watch|"):
                tenant_id, defined = _load(value)
                self._tenants.setdefault(tenant_id, _Tenant()).define(defined)
            else:
                stored.append(_STORED.validate_json(value))
        for one in stored:
            self._take_up(one)

    def _take_up(self, stored: _Stored) -> None:
        tenant = self._tenants.get(stored.tenant_id)
        defined = tenant.defined.get(stored.of.watch_id) if tenant else None
        if defined is None or defined.version != stored.of.version:
            # the process ended before what was open was known to be resolved
            known = _Known(stored.tenant_id, stored.of, None)
            known.seen, known.unsent, known.position = stored.seen, stored.unsent, stored.position
            if stored.seen.at:
                known.close(_CHANGED, stored.seen.at)
            self._drop(known)
            return
        known = self._meet(stored.tenant_id, defined, stored.of.device_id, stored.learned)
        known.seen, known.unsent, known.position = stored.seen, stored.unsent, stored.position
        if known.unsent:
            self._changed[known.key] = known


def _submission(known: _Known, unsent: _Unsent) -> Submission:
    command = unsent.command
    name = type(command).__name__
    return Submission(
        command_id=named_uuid("correlation", name, command.alert_id),
        tenant_id=known.tenant_id,
        name=f"fleet.{name}",
        command=command,
        actor=Actor(ActorType.SYSTEM, f"watch-{known.of.watch_id}"),
        happened_at=unsent.at,
    )


def _dump(tenant_id: TenantId, defined: _Defined) -> bytes:
    watch = defined.watch
    definition = _Definition(
        tenant_id=tenant_id,
        watch_id=defined.watch_id,
        version=defined.version,
        since=defined.since,
        name=watch.name,
        severity=watch.severity,
        device_id=watch.device_id,
        quiet_s=watch.quiet_s,
        rule=watch.rule,
    )
    return _DEFINITION.dump_json(definition)


def _load(value: bytes) -> tuple[TenantId, _Defined]:
    kept = _DEFINITION.validate_json(value)
    watch = Watch(
        name=kept.name, severity=kept.severity, device_id=kept.device_id, quiet_s=kept.quiet_s, rule=kept.rule
    )
    return kept.tenant_id, _Defined(kept.watch_id, kept.version, kept.since, watch)
