"""This shows the facts of one partition to the watches, raises and resolves each alert once, and tells of silence."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

from domain.catalog import EVENTS, event_from, facts_of
from domain.fleet.alert import AlertResolved
from domain.fleet.definitions import NO_WATCHES, Defined, Definitions, watch_id_of
from domain.fleet.device import DeviceTagged
from domain.fleet.follow import Told
from domain.fleet.liveness import Listening
from domain.fleet.observe import sample_of, taken
from domain.fleet.rules import Anomaly, NoData
from domain.fleet.seen import NOTHING_SEEN, Seen, is_open
from domain.fleet.watch import WATCH, WatchEvent
from domain.message import Fact
from schemas.envelope import Entry, Envelope, TenantId, Undecodable
from streams.correlate.awaited import Awaited
from streams.correlate.calendar import TYPES as CALENDAR_TYPES
from streams.correlate.calendar import Calendar
from streams.correlate.elsewhere import Here
from streams.correlate.ended import EndedAlerts, ended_by_hand
from streams.correlate.keeping import Keeping
from streams.correlate.kept import (
    FORMAT,
    Kept,
    Loaded,
    Progress,
    check_log,
    definition_state,
    key_of,
    load,
)
from streams.correlate.known import Known, raised_by
from streams.correlate.liveness import TYPES as DEVICE_TYPES
from streams.correlate.liveness import Liveness
from streams.correlate.past import LookBack
from streams.correlate.sending import Send
from streams.newer import NeedsUpdate
from streams.ports import LogReader, NewScorer, WatchStates
from streams.viewed_log import ViewedLog

SETTLED_S = 5
"""Seconds after which everything that was recorded can be read: only then a device is missed."""

_DEFINITIONS = frozenset(event.TYPE for event in WATCH.events)
_NO_DEVICES: dict[tuple[str, int], Known] = {}


class Correlation:
    """Follows the facts of one partition, and the watches of all tenants, whose events are in any partition.

    Not safe for threads. What is known is kept together with the commands that it led to, then these are sent, under
    ids that name what began them: so a crash anywhere, a second worker or a replay from the beginning adds nothing.
    Raises: StoreUnavailable, safe to retry; NeedsUpdate, all before the record that is not known was looked at.
    """

    def __init__(
        self,
        partition: int,
        states: WatchStates,
        send: Send,
        new_scorer: NewScorer,
        *,
        listening: Listening,
        partitions: int = 1,
    ) -> None:
        self._partition = partition
        self._here = Here(partition, partitions)
        self._states = states
        self._send = send
        self._new_scorer = new_scorer
        self._watches: dict[TenantId, Definitions] = {}
        self._known: dict[tuple[TenantId, str], dict[tuple[str, int], Known]] = {}
        self._awaited = Awaited()
        self._to_look_back = LookBack()
        loaded = load(states.load(partition))
        self._calendar = Calendar(loaded.windows, loaded.tags)
        self._ended = EndedAlerts(loaded.ended)
        self._liveness = Liveness(loaded.lives, listening)
        besides = (self._calendar, self._ended, self._liveness)
        self._keeping = Keeping(partition, states, loaded.progress, besides)
        self._take_up_all(loaded)

    @property
    def events(self) -> int:
        """Return the position of the last event of this partition that was looked at."""
        return self._keeping.progress.events

    def events_at(self, partition: int) -> int:
        """Return the position of the last event of any partition that was looked at."""
        return self.events if partition == self._partition else self._keeping.progress.elsewhere.get(partition, 0)

    @property
    def facts(self) -> int:
        """Return the position of the last fact that was looked at."""
        return self._keeping.progress.facts

    @property
    def needs_facts(self) -> bool:
        return bool(self._watches) or bool(self._liveness)

    def check(self, log: ViewedLog) -> None:
        """Compare what was read with what there is.

        Raises: LogEndsEarly; StoreUnavailable, LogUnavailable, safe to retry.
        """
        unsaid = not self._keeping.progress.logs
        self._keeping.progress = check_log(self._keeping.progress, self._partition, log)
        if self._keeping.progress.format < FORMAT:
            # what an earlier version did not look for in the events is looked for now; until then it stays as it was
            elsewhere = dict.fromkeys(self._keeping.progress.elsewhere, 0)
            self._keeping.progress = Progress(0, self.facts, FORMAT, elsewhere, self._keeping.progress.logs)
        elif unsaid and self._keeping.progress.logs and self._keeping.progress.records:
            self._keeping.keep()

    def read_events(self, entries: Sequence[Entry]) -> None:
        """Learn of watches that were defined and removed, of alerts that were resolved, and of maintenance.

        Shape: events of one partition, in their order.
        """
        if not entries:
            return
        partition = entries[0].partition
        before = self.events_at(partition)
        reached = before
        try:
            for entry in entries:
                if entry.position > before:
                    self._read_event(entry)
                    reached = entry.position
        finally:
            progress = self._keeping.progress
            if partition == self._partition:
                self._keeping.progress = progress._replace(events=reached)
            else:
                self._keeping.progress = progress._replace(elsewhere={**progress.elsewhere, partition: reached})

    def _read_event(self, entry: Entry) -> None:
        """Raises: NeedsUpdate, it is of a newer release and may concern the watches."""
        if not isinstance(entry, Envelope):
            if entry.newer and _concerns(entry.type):
                raise NeedsUpdate("correlation", entry)
        elif entry.type in _DEFINITIONS:
            self._define(entry)
        elif entry.type == AlertResolved.TYPE:
            self._end(entry)
        elif entry.type in CALENDAR_TYPES and (entry.type != DeviceTagged.TYPE or self._here.has(entry.key)):
            self._calendar.read(entry)
        if isinstance(entry, Envelope) and entry.type in DEVICE_TYPES and self._here.has(entry.key):
            self._liveness.read(entry)

    def look_back(self, log: LogReader) -> bool:
        """Show new watches what was recorded before them, as far as they say; True when all is shown.

        Shape: one call shows a bounded part; facts wait until all is shown. Raises: LogUnavailable, safe to retry.
        """
        if not self._to_look_back:
            return True
        tenant_id, defined = self._to_look_back.first()
        if self._watches.get(tenant_id, NO_WATCHES).by_id.get(defined.watch_id) is not defined:
            self._to_look_back.drop()
            return not self._to_look_back
        of_definition = Definitions.of([defined])
        for record in self._to_look_back.part(log, self._partition, self.facts):
            if record.tenant_id == tenant_id:
                self._show_all(of_definition, record)
        return not self._to_look_back

    def read_facts(self, entries: Sequence[Entry]) -> None:
        """Show facts to the watches of their tenants."""
        before = position = self.facts
        recorded_at: datetime | None = None
        newer: Undecodable | None = None
        for entry in entries:
            if entry.position <= before:
                continue
            if isinstance(entry, Undecodable) and entry.newer:
                newer = entry
                break
            position = entry.position
            if not isinstance(entry, Envelope):
                continue
            recorded_at = entry.recorded_at
            self._liveness.hear(entry)
            watches = self._watches.get(entry.tenant_id)
            if watches is not None:
                self._show_all(watches, entry)
        self._keeping.progress = self._keeping.progress._replace(facts=position)
        if recorded_at is not None:
            self.tick(recorded_at)
        if newer is not None:
            raise NeedsUpdate("correlation", newer)

    def skip_facts(self, position: int) -> None:
        """Go past facts that were recorded before anybody needed them."""
        self._keeping.progress = self._keeping.progress._replace(facts=max(position, self.facts))

    def tick(self, now: datetime) -> None:
        """Learn how late it is, where everything was read: a device is missed of which nothing comes."""
        settled = now - timedelta(seconds=SETTLED_S)
        self._liveness.tick(settled)
        for known in self._awaited.due(settled):
            self._miss(known, settled)
            self._awaited.add(known)

    def settle(self) -> None:
        """Keep what is known, send what follows from it, and keep that it was sent.

        Raises: StoreUnavailable, LogUnavailable, Overloaded: call it again, now or after more facts.
        """
        if self._to_look_back:
            # kept now, a watch would not look back again after a crash
            return
        # sent again after a crash, these change nothing: so they come first, and none is kept
        self._liveness.send(self._send)
        self._keeping.settle(self._send)

    # --- watches

    def _define(self, entry: Envelope) -> None:
        tenant_id, watch_id = entry.tenant_id, watch_id_of(entry)
        watches = self._watches.get(tenant_id, NO_WATCHES)
        if watches.has(entry):
            # kept before it was kept how far events were read
            self._begin(tenant_id, watches.by_id[watch_id], entry)
            return
        watches = watches.after(entry, cast("WatchEvent", event_from(entry)))
        for known in self._known.pop((tenant_id, watch_id), {}).values():
            known.close(entry.recorded_at)
            self._keeping.drop(known)
        if watches.by_id:
            self._watches[tenant_id] = watches
        else:
            self._watches.pop(tenant_id, None)
        defined = watches.by_id.get(watch_id)
        state = definition_state(tenant_id, watch_id, entry.position, defined)
        self._keeping.to_keep[state.key] = state
        if defined is not None:
            self._begin(tenant_id, defined, entry)

    def _begin(self, tenant_id: TenantId, defined: Defined, entry: Envelope) -> None:
        if defined.version != entry.version:
            return
        watch = defined.watch
        if watch.look_back_s and self.facts:
            self._to_look_back.add(tenant_id, defined)
        if not isinstance(watch.rule, NoData) or watch.device_id is None:
            return
        if not self._here.has_device(tenant_id, watch.device_id):
            return
        for level in defined.levels():
            if self._find(tenant_id, level, watch.device_id) is None:
                known = self._meet(tenant_id, level, watch.device_id)
                known.seen = Seen(at=entry.recorded_at)
                self._keeping.changed[known.key] = known
                self._awaited.add(known)

    # --- alerts that somebody resolved

    def _end(self, entry: Envelope) -> None:
        """Learn of an alert that was resolved by other than its watch."""
        ended = ended_by_hand(entry)
        if ended is None:
            return
        for known in self._of_tenant(ended.tenant_id):
            if is_open(known.seen, ended.alert_id):
                known.end(ended.alert_id, ended.at)
                self._keeping.changed[known.key] = known
                self._awaited.add(known)
                return
        # what it was raised for is read later
        self._ended.add(ended, entry.position)

    def _of_tenant(self, tenant_id: TenantId) -> Iterator[Known]:
        watches = self._watches.get(tenant_id, NO_WATCHES)
        for watch_id in watches.by_id:
            yield from self._known.get((tenant_id, watch_id), _NO_DEVICES).values()

    def _look_for_ended(self, known: Known, told: tuple[Told, ...]) -> None:
        """Learn which of the alerts that are raised now were resolved before what they are for was read."""
        for alert_id in raised_by(told):
            if (at := self._ended.pop(known.tenant_id, alert_id, self.events)) is not None:
                known.end(alert_id, at)

    # --- facts

    def _show_all(self, watches: Definitions, record: Envelope) -> None:
        if not record.stream.startswith(f"{Fact.CATEGORY}-"):
            # watches are of devices
            return
        for fact in facts_of(record):
            for defined, device_id in watches.looking_at(fact):
                self._show(defined, device_id, fact)

    def _show(self, defined: Defined, device_id: str, fact: Envelope) -> None:
        sample = sample_of(defined.watch.rule, fact)
        if sample is None:
            return
        known = self._find(fact.tenant_id, defined, device_id)
        found = taken(defined.watch.rule, NOTHING_SEEN if known is None else known.seen, sample)
        if found is None or (known is not None and (fact.position, fact.place) <= (known.position, known.place)):
            return
        is_silence = isinstance(defined.watch.rule, NoData)
        if not is_silence and self._is_under_maintenance(fact, device_id):
            return
        if known is None:
            known = self._meet(fact.tenant_id, defined, device_id)
        if is_silence:
            self._miss(known, fact.recorded_at)
            found = known.seen, sample
        self._look_for_ended(known, known.show(*found, fact))
        self._keeping.changed[known.key] = known
        self._awaited.add(known)

    def _find(self, tenant_id: TenantId, defined: Defined, device_id: str) -> Known | None:
        return self._known.get((tenant_id, defined.watch_id), _NO_DEVICES).get((device_id, defined.level))

    def _is_under_maintenance(self, fact: Envelope, device_id: str) -> bool:
        at = min(fact.happened_at, fact.recorded_at)
        return self._calendar.ends_at(fact.tenant_id, device_id, at) is not None

    def _meet(self, tenant_id: TenantId, defined: Defined, device_id: str, kept: Kept | None = None) -> Known:
        rule = defined.watch.rule
        learned = kept.learned if kept else None
        scorer = self._new_scorer(rule.quantile, learned) if isinstance(rule, Anomaly) else None
        known = Known(tenant_id, defined.of_device(device_id), defined, scorer, kept)
        self._known.setdefault((tenant_id, defined.watch_id), {})[device_id, defined.level] = known
        return known

    # --- silence

    def _miss(self, known: Known, now: datetime) -> None:
        """Raise the alert of a device that is missed; a maintenance counts as if it was heard of to its end."""
        while (missed := known.missed_at()) is not None and missed <= now:
            ends = self._calendar.ends_at(known.tenant_id, known.of.device_id, missed)
            if ends is None:
                told = known.pass_time(now)
                if not told:
                    return
                self._look_for_ended(known, told)
            else:
                known.seen = known.seen._replace(at=ends)
            self._keeping.changed[known.key] = known

    # --- what was kept

    def _take_up_all(self, own: Loaded) -> None:
        defined, known = list(own.defined), [kept for kept in own.known if self._here.has_facts_of(kept)]
        found: list[Kept] = []
        if self._here.others and not own.progress.elsewhere:
            theirs, found = self._here.ask_others(self._states, {key_of(kept.tenant_id, kept.of) for kept in known})
            defined += theirs
            states = [definition_state(tenant_id, each.watch_id, 0, each) for tenant_id, each in theirs]
            self._keeping.to_keep.update((state.key, state) for state in states)
            # their events are read from the first one on, for what is kept of them besides
            self._keeping.progress = self._keeping.progress._replace(elsewhere=dict.fromkeys(self._here.others, 0))
        of_tenants: dict[TenantId, list[Defined]] = defaultdict(list)
        for tenant_id, each in defined:
            of_tenants[tenant_id].append(each)
        self._watches.update((tenant_id, Definitions.of(watches)) for tenant_id, watches in of_tenants.items())
        for kept in known:
            self._take_up(kept)
        for kept in found:
            self._take_up(kept, is_from_elsewhere=True)

    def _take_up(self, kept: Kept, *, is_from_elsewhere: bool = False) -> None:
        defined = self._watches.get(kept.tenant_id, NO_WATCHES).current(kept.of)
        if defined is not None:
            known = self._meet(kept.tenant_id, defined, kept.of.device_id, kept)
            self._awaited.add(known)
            # what was found elsewhere is kept here from now on
            if known.unsent or is_from_elsewhere:
                self._keeping.changed[known.key] = known
            return
        # the process ended before what was open was known to be resolved
        known = Known(kept.tenant_id, kept.of, None, None, kept)
        if kept.seen.at:
            known.close(kept.seen.at)
        self._keeping.drop(known)


def _concerns(type_: str) -> bool:
    # what a type means that this release does not have, nobody knows
    ours = _DEFINITIONS | CALENDAR_TYPES | DEVICE_TYPES | {AlertResolved.TYPE}
    return type_ in ours or type_ not in EVENTS
