"""In the distributed profile a Faust app keeps the views of one store up to date, batch by batch."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from math import inf
from pathlib import Path

from faust.types import TP

from projections.projection import Projection
from projections.rows import Role, View
from projections.stores import ViewWriter
from schemas.envelope import Entry, Topic
from schemas.kafka_record import decode_kafka, kafka_record, position_of
from schemas.raw_kafka_facts import MANY, KafkaFacts
from streams.faust.batch_agent import Broker, SinkApp, waited_for
from streams.faust.batch_transport import Committed, Limits, Record
from streams.faust.facts import facts_of
from streams.newer import NeedsUpdate
from streams.ports import Clock, DeadLetters
from streams.project.first_build import is_level
from streams.project.parked import TooMuchPoison
from streams.project.run import UNSAID, ProjectionRun
from streams.project.same_log import extent_of
from streams.topics import Topics
from streams.viewed_log import ViewedLog

_LOG = logging.getLogger(__name__)

_OF = "@"

_BATCH_BYTES = 2 * 1024 * 1024
"""A record of facts may hold thousands of rows: this much of them are 150,000 at most."""

LIMITS: Mapping[Role, Limits] = {
    Role.TIMELINE: Limits(batch_records=2_000, batch_bytes=_BATCH_BYTES),
    Role.DOCUMENTS: Limits(batch_records=2_000, batch_bytes=_BATCH_BYTES),
    # few large inserts instead of many small ones
    Role.ANALYTICS: Limits(batch_records=4_000, batch_bytes=_BATCH_BYTES, in_hand=8_000, linger_s=0.5),
}


class LogHasHole(Exception):  # noqa: N818
    """A partition went on past a position that was never read; a process that starts again reads it or says why not."""


class ProjectionSink:
    """All views of one role, each with its own checkpoint in the store, which says of which log it is.

    Shape: `read` are the topics it needs; `runs` are of the present assignment; `stopped` says which views gave up, and
    why.
    """

    def __init__(
        self,
        projections: Sequence[Projection],
        *,
        topics: Topics,
        log: ViewedLog,
        store: ViewWriter,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self.runs: Sequence[ProjectionRun] = ()
        self.stopped: dict[str, str] = {}
        self.read = frozenset(topic for projection in projections for topic in projection.topics)
        self._projections = projections
        self._topics = {topics.of(topic): topic for topic in Topic}
        self._log = log
        self._logs = UNSAID
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._threads = ThreadPoolExecutor(len(projections), "view")

    def starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        """Read every checkpoint again, another process may have moved it, and start where the last of the views is.

        Shape: the mark of a commit is the position it reached, and the log. A view that is behind it (a new one, or a
        store that was restored) starts at the offset that its next record cannot be before: a record's offset is at
        least its position - 1. A view that was not made from this log stops.
        """
        with waited_for():
            self._logs = self._log.identities()
        before = {run.view for run in self.runs}
        self.runs = [self._open(projection) for projection in self._projections]
        for run in self.runs:
            if run.view not in before:
                self.stopped.pop(run.projection.name, None)
        self._check_log()
        starts: dict[TP, int] = {}
        for tp, at in committed.items():
            topic = self._topics[tp.topic]
            reached = self._reached(topic, tp.partition)
            if reached is not None and (at is None or reached < _position(at.mark, self._logs.get(topic, ""))):
                starts[tp] = reached
        return starts

    def _check_log(self) -> None:
        with waited_for():
            # asked after the checkpoints were read: they do not seem to be past its end
            extent = extent_of(self._log)
        for run in self.runs:
            if why_not := extent.why_not(run.view, run.reached.values()):
                self._stop(run, why_not)
            else:
                run.take_over()

    def _stop(self, run: ProjectionRun, why: str) -> None:
        self.stopped[run.projection.name] = why
        _LOG.error("%s stopped, started again it tries again: %s", run.projection.name, why)

    def apply(self, batches: Mapping[TP, Sequence[Record]]) -> Mapping[TP, str]:
        marks: dict[TP, str] = {}
        news: list[Sequence[Entry]] = []
        for tp, records in batches.items():
            topic = self._topics[tp.topic]
            reached = self._reached(topic, tp.partition)
            if reached is None:
                # nobody has read it: whoever reads it next starts at its own checkpoint
                marks[tp] = ""
                continue
            entries = _entries(topic, tp.partition, records, reached)
            marks[tp] = f"{entries[-1].position if entries else reached}{_OF}{self._logs.get(topic, '')}"
            if entries:
                news.append(entries)
        if sum(len(entries) for entries in news if isinstance(entries, KafkaFacts)) < MANY:
            news = list(map(list, news))
        going = [run for run in self.runs if run.projection.name not in self.stopped]
        # a view mostly waits for its store: they wait together, and none of them is in two threads
        done = [
            self._threads.submit(self._run, run, mine)
            for run in going
            if (mine := [entries for entries in news if entries[0].topic in run.projection.topics])
        ]
        wait(done)
        for one in done:
            one.result()
        return marks

    def is_elsewhere(self) -> bool:
        """Notice a topic that was made anew: it is another log, whose records do not follow those that were read."""
        with waited_for():
            return bool(self._logs) and self._log.identities() != self._logs

    def look(self) -> bool:
        """Notice a view that was switched, to be read from the checkpoint of its new build; and streams set free.

        A view that is new goes live here, once it has read about as far as the others of its store.
        """
        for run in self.runs:
            live = self._store.live(run.projection.name)
            if live is None and is_level(self._store, run.view, self._projections):
                self._store.switch(run.view)
            elif live is not None and live != run.view:
                _LOG.info("%s is no longer live; its successor is read on", run.view.table)
                return True
            run.parked.look(run.retry)
        return False

    def read_at(self, tp: TP) -> datetime | None:
        """Return when the record was written up to which all views have read a partition."""
        place = (self._topics[tp.topic], tp.partition)
        reached = [run.reached[place] for run in self._runs(place[0]) if place in run.reached]
        return min((checkpoint.recorded_at for checkpoint in reached), default=None)

    def _run(self, run: ProjectionRun, news: Sequence[Sequence[Entry]]) -> None:
        for first in (entries[0] for entries in news):
            before = run.position(first.topic, first.partition)
            # facts may have gone before a view began, as old as they were; decided events never go
            if first.position > before + 1 and (before or first.topic is Topic.EVENTS):
                raise LogHasHole(f"{run.view.table} met {first.topic}/{first.partition}/{first.position} too early")
        try:
            run.run(*news)
        except (TooMuchPoison, NeedsUpdate) as error:
            self._stop(run, str(error))

    def _open(self, projection: Projection) -> ProjectionRun:
        view = self._store.live(projection.name)
        if view is None:
            view = View(projection.name, 1)
            self._store.create(view)
            if is_level(self._store, view, self._projections):
                self._store.switch(view)
        return ProjectionRun(projection, view, self._store, self._dead_letters, self._clock, logs=self._logs)

    def _runs(self, topic: Topic) -> Sequence[ProjectionRun]:
        return [run for run in self.runs if topic in run.projection.topics]

    def _reached(self, topic: Topic, partition: int) -> int | None:
        """Return what all views have read that go on, None where none does."""
        going = [run for run in self._runs(topic) if run.projection.name not in self.stopped]
        return min((run.position(topic, partition) for run in going), default=None)


def _position(mark: str, log: str) -> float:
    """Return the position that a commit's mark says, beyond every position where it is not of this log."""
    position, _, of = mark.partition(_OF)
    return int(position) if of == log and position else inf


def _entries(topic: Topic, partition: int, records: Sequence[Record], reached: int) -> Sequence[Entry]:
    """Return the records that some view has not read yet; never raises."""
    if topic is Topic.TELEMETRY:
        return facts_of([record for record in records if record.offset >= reached], partition)
    return [entry for record in records if (entry := _event(record, reached)) is not None]


def _event(record: Record, reached: int) -> Entry | None:
    raw = kafka_record(record.key, record.value, record.headers)
    position = position_of(raw)
    # without a position it is not of our writers
    if position is None or position <= reached:
        return None
    return decode_kafka(raw, topic=Topic.EVENTS, partition=record.partition, position=position)


def group_of(role: Role, topics: Topics) -> str:
    """Return the consumer group of the workers of a role."""
    return f"{topics.prefix}.{role.value}"


def create_app(role: Role, sink: ProjectionSink, *, broker: Broker, topics: Topics, data_dir: Path) -> SinkApp:
    """Return the app of one role: its consumer group, its agent, its views. Any number of processes may run it."""
    read = [topics.of(topic) for topic in Topic if topic in sink.read]
    return SinkApp(
        group_of(role, topics), topics=read, sink=sink, broker=broker, limits=LIMITS[role], data_dir=data_dir
    )
