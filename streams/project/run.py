"""This applies batches of the log to one view, once, and parks the streams of records that it cannot take."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from domain import catalog
from projections.columns import Columns
from projections.operations import DeadLetter
from projections.projection import Projection
from projections.rows import Checkpoint, Row, View
from projections.stores import TakesRows, WriteRefused
from schemas.envelope import UNKNOWN_TYPE, Entry, Envelope, Position, StreamKey, Topic, Undecodable
from schemas.raw_facts import RawFacts, Unusual
from streams.newer import NeedsUpdate
from streams.ports import Clock, DeadLetters
from streams.project.parked import Parked, place_of

_LOG = logging.getLogger(__name__)

UNSAID: Mapping[Topic, str] = MappingProxyType({})
"""The log of a build that is compared with it and thrown away: nobody asks which one it was."""


class Effect(NamedTuple):
    """What one record does to a view."""

    entry: Entry
    rows: Sequence[Row]


class _Part(NamedTuple):
    """What a view has to look at of a batch.

    Shape: `last` is the record up to which it has then read, None where it cannot go on; `newer` is what stops it.
    """

    entries: Sequence[Entry]
    last: Entry | None
    newer: Undecodable | None


class ProjectionRun:
    """Carries one build of a view forward, batch by batch.

    Not safe for threads. A batch may be delivered again, whole or in part: its effect is once.
    """

    def __init__(
        self,
        projection: Projection,
        view: View,
        store: TakesRows,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        logs: Mapping[Topic, str] = UNSAID,
    ) -> None:
        """Shape: `logs` says of each topic which log it is of; the checkpoints carry it."""
        self.projection = projection
        self._logs = logs
        self.view = view
        self._store = store
        self._clock = clock
        self._types = None if projection.events is None else {event.TYPE for event in projection.events}
        self.reached: dict[tuple[Topic, int], Checkpoint] = {
            (checkpoint.topic, checkpoint.partition): checkpoint for checkpoint in store.checkpoints(view)
        }
        # asked after the checkpoints: whoever else writes the build parks before it moves them
        self.parked = Parked(view, dead_letters, clock)

    def position(self, topic: Topic, partition: int) -> int:
        reached = self.reached.get((topic, partition))
        return reached.position if reached else 0

    def take_over(self) -> None:
        """Say in the checkpoints of an earlier version, which did not, that they are of this log.

        Raises: StoreUnavailable, safe to retry.
        """
        unsaid = [
            at._replace(log=log) for at in self.reached.values() if not at.log and (log := self._log_of(at.topic))
        ]
        if unsaid:
            _LOG.warning("%s did not say of which log it is; it is taken for one of this log", self.view.table)
            self._store.apply(self.view, (), *unsaid)
            self.reached |= {(at.topic, at.partition): at for at in unsaid}

    def run(self, *batches: Sequence[Entry], left_out: Collection[Position] = ()) -> None:
        """Apply batches and move the checkpoints past them; each holds records of one topic and partition, in order.

        Shape: what is at the places `left_out` is passed over.
        Raises: StoreUnavailable, safe to retry with the same or longer batches; TooMuchPoison; NeedsUpdate, all before
        the record that is not known was applied.
        """
        if self._apply_raw(batches, left_out):
            return
        parts = [self._part(some) for batch in batches if (some := self._news(batch))]
        if going := [part for part in parts if part.last is not None]:
            self._apply(going, left_out)
        for part in parts:
            if part.newer is not None:
                raise NeedsUpdate(self.view.table, part.newer)

    def _apply_raw(self, batches: Sequence[Sequence[Entry]], left_out: Collection[Position]) -> bool:
        """Apply batches of records that nobody has decoded; False where they must be looked at one by one."""
        project = self.projection.project_raw
        raw = [batch for batch in batches if isinstance(batch, RawFacts) and batch]
        if project is None or not raw or len(raw) < len(batches) or Topic.TELEMETRY not in self.projection.topics:
            return False
        news: list[RawFacts] = []
        for batch in raw:
            place = (batch.topic, batch.partition)
            passed_over = {at.position for at in left_out if at[:2] == place}
            news.append(batch.after(self.position(*place), without=passed_over))
        try:
            rows = project(news[0].joined(news[1:]))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - as in `_columns`
            return False
        checkpoints = [at for batch in raw if self._is_news(at := self._checkpoint(batch[-1]))]
        if not checkpoints:
            return True
        try:
            self._store.apply(self.view, rows, *checkpoints)
        except WriteRefused:
            return False
        self.reached |= {(at.topic, at.partition): at for at in checkpoints}
        return True

    def _is_news(self, at: Checkpoint) -> bool:
        return at.position > self.position(at.topic, at.partition)

    def _apply(self, parts: Sequence[_Part], left_out: Collection[Position]) -> None:
        checkpoints = [self._checkpoint(part.last) for part in parts if part.last is not None]
        news = [part.entries for part in parts]
        if left_out:
            news = [[entry for entry in some if place_of(entry) not in left_out] for some in news]
        if not self._apply_columns(news, checkpoints):
            self._apply_rows(news, checkpoints)
        for checkpoint in checkpoints:
            self.reached[checkpoint.topic, checkpoint.partition] = checkpoint

    def _apply_columns(self, news: Sequence[Sequence[Entry]], checkpoints: Sequence[Checkpoint]) -> bool:
        """Apply batches in which nothing is unusual as columns; False where they must be looked at one by one."""
        columns = self._columns(news)
        if columns is None:
            return False
        try:
            self._store.apply(self.view, columns, *checkpoints)
        except WriteRefused:
            # none of them was kept: which of them it is about will be found among their rows
            return False
        return True

    def _columns(self, news: Sequence[Sequence[Entry]]) -> Columns | None:
        project = self.projection.project_columns
        if project is None:
            return None
        wanted = [entry for some in news for entry in self._wanted(some)]
        facts = [entry for entry in wanted if isinstance(entry, Envelope)]
        if len(facts) < len(wanted):
            return None
        try:
            return project(facts)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - what is raised, and for which of them, their rows will show
            return None

    def _apply_rows(self, news: Sequence[Sequence[Entry]], checkpoints: Sequence[Checkpoint]) -> None:
        effects: list[Effect] = []
        letters: list[DeadLetter] = []
        for some in news:
            self._project(some, effects, letters)
        # parked before the checkpoints pass them: a crash in between writes the same letters again
        self.parked.park(letters)
        try:
            self._store.apply(self.view, [row for effect in effects for row in effect.rows], *checkpoints)
        except WriteRefused:
            self.parked.park(self._apply_apart(effects))
            self._store.apply(self.view, (), *checkpoints)

    def retry(self, entry: Entry) -> str | None:
        """Apply a parked record without moving the checkpoint; return why it still fails, or None.

        Raises: StoreUnavailable, safe to retry.
        """
        rows_or_reason = self._rows(entry)
        if isinstance(rows_or_reason, str):
            return rows_or_reason
        try:
            self._store.apply(self.view, rows_or_reason)
        except WriteRefused as refused:
            return str(refused)
        return None

    def _news(self, batch: Sequence[Entry]) -> Sequence[Entry]:
        if not batch:
            return batch
        if isinstance(batch, RawFacts):
            return batch.after(self.position(batch.topic, batch.partition))
        reached = self.position(batch[0].topic, batch[0].partition)
        return batch if batch[0].position > reached else [entry for entry in batch if entry.position > reached]

    def _part(self, news: Sequence[Entry]) -> _Part:
        """Return what comes before the first record that concerns the view and that a newer release wrote, and that."""
        concerning: Sequence[Entry] = news
        if isinstance(news, RawFacts) and self._types is not None:
            # what is surely of other types is not even decoded
            with suppress(Unusual):
                concerning = news.concerning(self._types)
        for at, entry in enumerate(concerning):
            if isinstance(entry, Undecodable) and entry.newer and self._concerns(entry.type):
                return _Part(concerning[:at], concerning[at - 1] if at else None, entry)
        return _Part(concerning, news[-1], None)

    def _concerns(self, type_: str) -> bool:
        # of a type that this release does not have, nobody knows which views take it
        return self._types is None or type_ in self._types or type_ not in catalog.EVENTS

    def _wanted(self, news: Sequence[Entry]) -> Sequence[Entry]:
        """Return the records of a batch that the view is made of, and those of which nobody knows it."""
        if not news or news[0].topic not in self.projection.topics:
            return ()
        types = self._types
        return news if types is None else [one for one in news if one.type in types or one.type == UNKNOWN_TYPE]

    def _project(self, news: Sequence[Entry], effects: list[Effect], letters: list[DeadLetter]) -> None:
        wanted = self._wanted(news)
        if not wanted:
            return
        # facts are many: nothing is looked up for them that only decided events need
        decided, parked = wanted[0].topic is Topic.EVENTS, set(self.parked.streams)
        for entry in wanted:
            if decided and parked and entry.key in parked:
                letters.append(self.parked.follower(entry))
                continue
            rows_or_reason = self._rows(entry)
            if isinstance(rows_or_reason, str):
                letters.append(self.parked.poison(entry, rows_or_reason))
                if decided:
                    parked.add(entry.key)
            else:
                effects.append(Effect(entry, rows_or_reason))

    def _rows(self, entry: Entry) -> Sequence[Row] | str:
        if isinstance(entry, Undecodable):
            return f"cannot be decoded: {entry.reason}"
        try:
            # the payload itself is enough for facts and for views of every event
            typed = self._types is not None and entry.topic is Topic.EVENTS
            return tuple(self.projection.project(entry, catalog.event_from(entry) if typed else None))
        except MemoryError:
            # of this process, not of the record
            raise
        except Exception as error:  # noqa: BLE001 - whatever a projection raises for a record, it raises every time
            return f"{self.projection.name} cannot take it: {type(error).__name__}: {error}"

    def _apply_apart(self, effects: Sequence[Effect]) -> list[DeadLetter]:
        """Find the records that the store refuses by halving, and apply all others."""
        letters: list[DeadLetter] = []
        blocked: set[StreamKey] = set()

        def apply(part: Sequence[Effect]) -> None:
            letters.extend(self.parked.follower(effect.entry) for effect in part if effect.entry.key in blocked)
            part = [effect for effect in part if effect.entry.key not in blocked]
            try:
                self._store.apply(self.view, [row for effect in part for row in effect.rows])
            except WriteRefused as refused:
                if len(part) > 1:
                    apply(part[: len(part) // 2])
                    apply(part[len(part) // 2 :])
                    return
                entry = part[0].entry
                letters.append(self.parked.poison(entry, str(refused)))
                if entry.topic is Topic.EVENTS:
                    blocked.add(entry.key)

        apply(effects)
        return letters

    def _checkpoint(self, last: Entry) -> Checkpoint:
        recorded_at = last.recorded_at if isinstance(last, Envelope) else self._clock.now()
        return Checkpoint(last.topic, last.partition, last.position, recorded_at, self._log_of(last.topic))

    def _log_of(self, topic: Topic) -> str:
        return self._logs.get(topic, "")
