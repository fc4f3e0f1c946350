"""This shows the facts of one partition to the watches, and raises and resolves each alert once."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from domain.catalog import EVENTS, event_from, name_of
from domain.fleet.definitions import CHANGED, NO_WATCHES, Defined, Definitions, watch_id_of
from domain.fleet.observe import NOTHING_SEEN, Subject, close_all, observe, sample_that_matters
from domain.fleet.rules import Anomaly
from domain.fleet.watch import WATCH, WatchEvent
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, Entry, Envelope, TenantId, Topic, Undecodable
from streams.correlate.kept import Kept, Progress, Unsent, definition_state, key_of, known_state, load, progress_state
from streams.identifiers import system_id
from streams.newer import NeedsUpdate
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

_DEFINITIONS = frozenset(event.TYPE for event in WATCH.events)


class _Known:
    """What one watch knows of one device; `unsent` are the commands that are not known to be answered."""

    __slots__ = ("key", "of", "position", "scorer", "seen", "tenant_id", "unsent")

    def __init__(self, tenant_id: TenantId, of: Subject, scorer: AnomalyScorer | None, kept: Kept | None) -> None:
        self.tenant_id = tenant_id
        self.of = of
        self.scorer = scorer
        self.position = kept.position if kept else 0
        self.seen = kept.seen if kept else NOTHING_SEEN
        self.unsent = kept.unsent if kept else ()
        self.key = key_of(tenant_id, of)

    def state(self) -> WatchState:
        learned = None if self.scorer is None else self.scorer.dump()
        return known_state(Kept(self.tenant_id, self.of, self.position, self.seen, learned, self.unsent))

    def close(self, at: datetime) -> None:
        self.unsent += tuple(Unsent(command, at) for command in close_all(self.seen, CHANGED))


class Correlation:
    """Follows one partition.

    Not safe for threads. What is known is kept together with the commands that it led to, then these are sent, under
    ids that name what began them: so a crash anywhere, a second worker or a replay from the beginning adds nothing.
    Raises: StoreUnavailable, safe to retry; NeedsUpdate, all before the record that is not known was looked at.
    """

    def __init__(self, partition: int, states: WatchStates, send: Send, new_scorer: NewScorer) -> None:
        self._partition = partition
        self._states = states
        self._send = send
        self._new_scorer = new_scorer
        self._watches: dict[TenantId, Definitions] = {}
        self._known: dict[tuple[TenantId, str], dict[str, _Known]] = {}
        self._changed: dict[str, _Known] = {}
        self._definitions: dict[str, WatchState] = {}
        self._gone: dict[str, _Known] = {}
        self._progress = Progress()
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
        return bool(self._watches)

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
            if isinstance(entry, Undecodable) and entry.newer and _concerns(entry.type):
                raise NeedsUpdate("correlation", entry)
            if isinstance(entry, Envelope) and entry.type in _DEFINITIONS:
                self._define(entry)
            self._progress = self._progress._replace(events=entry.position)

    def read_facts(self, entries: Sequence[Entry]) -> None:
        """Show facts to the watches of their tenants."""
        before = position = self.facts
        newer: Undecodable | None = None
        for entry in entries:
            if entry.position <= before:
                continue
            if isinstance(entry, Undecodable) and entry.newer:
                newer = entry
                break
            position = entry.position
            watches = self._watches.get(entry.tenant_id)
            if watches is not None and isinstance(entry, Envelope):
                for defined, device_id in watches.looking_at(entry):
                    self._show(defined, device_id, entry)
        self._progress = self._progress._replace(facts=position)
        if newer is not None:
            raise NeedsUpdate("correlation", newer)

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
        # where not all is kept at once: what ends before what ends it, what it is known by before what is known, and
        # the progress last, so that what is missing is read again
        states = [*gone, *self._definitions.values(), *changed, progress_state(self._progress)]
        self._states.keep(self._partition, states)
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
        tenant_id, watch_id = entry.tenant_id, watch_id_of(entry)
        watches = self._watches.get(tenant_id, NO_WATCHES)
        if watches.has(entry):
            # kept before it was kept how far events were read
            return
        watches = watches.after(entry, cast("WatchEvent", event_from(entry)))
        for known in self._known.pop((tenant_id, watch_id), {}).values():
            known.close(entry.recorded_at)
            self._drop(known)
        if watches.by_id:
            self._watches[tenant_id] = watches
        else:
            self._watches.pop(tenant_id, None)
        state = definition_state(tenant_id, watch_id, entry.position, watches.by_id.get(watch_id))
        self._definitions[state.key] = state

    def _drop(self, known: _Known) -> None:
        self._changed.pop(known.key, None)
        self._gone[known.key] = known
        # past every fact it can have seen, so that no worker that is behind brings it back
        known.position = max(known.position, self.facts)

    # --- facts

    def _show(self, defined: Defined, device_id: str, fact: Envelope) -> None:
        watch = defined.watch
        known = self._known.get((fact.tenant_id, defined.watch_id), {}).get(device_id)
        seen = NOTHING_SEEN if known is None else known.seen
        sample = sample_that_matters(watch.rule, seen, fact)
        if sample is None:
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
            known.unsent += tuple(Unsent(command, known.seen.at or sample.at) for command in told)
        self._changed[known.key] = known

    def _meet(self, tenant_id: TenantId, defined: Defined, device_id: str, kept: Kept | None = None) -> _Known:
        rule = defined.watch.rule
        learned = kept.learned if kept else None
        scorer = self._new_scorer(rule.quantile, learned) if isinstance(rule, Anomaly) else None
        known = _Known(tenant_id, Subject(defined.watch_id, defined.version, device_id), scorer, kept)
        self._known.setdefault((tenant_id, defined.watch_id), {})[device_id] = known
        return known

    # --- what was kept

    def _load(self) -> None:
        loaded = load(self._states.load(self._partition))
        self._progress = self._kept = loaded.progress
        of_tenants: dict[TenantId, list[Defined]] = defaultdict(list)
        for tenant_id, defined in loaded.defined:
            of_tenants[tenant_id].append(defined)
        self._watches.update((tenant_id, Definitions.of(watches)) for tenant_id, watches in of_tenants.items())
        for kept in loaded.known:
            self._take_up(kept)

    def _take_up(self, kept: Kept) -> None:
        defined = self._watches.get(kept.tenant_id, NO_WATCHES).current(kept.of)
        if defined is not None:
            known = self._meet(kept.tenant_id, defined, kept.of.device_id, kept)
            if known.unsent:
                self._changed[known.key] = known
            return
        # the process ended before what was open was known to be resolved
        known = _Known(kept.tenant_id, kept.of, None, kept)
        if kept.seen.at:
            known.close(kept.seen.at)
        self._drop(known)


def _concerns(type_: str) -> bool:
    # what a type means that this release does not have, nobody knows
    return type_ in _DEFINITIONS or type_ not in EVENTS


def _submission(known: _Known, unsent: Unsent) -> Submission:
    command = unsent.command
    return Submission(
        command_id=system_id("correlation", type(command).__name__, command.alert_id),
        tenant_id=known.tenant_id,
        name=name_of(type(command)),
        command=command,
        actor=Actor(ActorType.SYSTEM, f"watch-{known.of.watch_id}"),
        happened_at=unsent.at,
    )
