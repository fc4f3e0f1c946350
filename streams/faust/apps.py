"""In the distributed profile a Faust app keeps the views of one store up to date, batch by batch."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from pathlib import Path

from faust.types import TP

from projections.projection import Projection
from projections.rows import Role, View
from projections.stores import ViewWriter
from schemas.envelope import Entry, Topic
from schemas.kafka_record import decode_kafka, kafka_record, position_of
from streams.faust.batch_agent import Broker, SinkApp
from streams.faust.batch_transport import Committed, Limits, Record
from streams.newer import NeedsUpdate
from streams.ports import Clock, DeadLetters
from streams.project.first_build import is_level
from streams.project.parked import TooMuchPoison
from streams.project.run import ProjectionRun
from streams.topics import Topics

_LOG = logging.getLogger(__name__)

_BATCH_BYTES = 2 * 1024 * 1024
"""A record of facts may hold thousands of rows: this much of them are 150,000 at most."""

LIMITS: Mapping[Role, Limits] = {
    Role.TIMELINE: Limits(batch_records=2_000, batch_bytes=_BATCH_BYTES),
    Role.DOCUMENTS: Limits(batch_records=2_000, batch_bytes=_BATCH_BYTES),
    # few large inserts instead of many small ones
    Role.ANALYTICS: Limits(batch_records=4_000, batch_bytes=_BATCH_BYTES, in_hand=8_000, linger_s=0.5),
}


class LogHasHole(Exception):  # noqa: N818
    """A partition's events went on past a position that was never read; a process that starts again reads it."""


class ProjectionSink:
    """All views of one role, each with its own checkpoint in the store.

    Shape: `read` are the topics it needs; `runs` are of the present assignment; `stopped` says which views gave up, and
    why.
    """

    def __init__(
        self,
        projections: Sequence[Projection],
        *,
        topics: Topics,
        store: ViewWriter,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self.runs: Sequence[ProjectionRun] = ()
        self.stopped: dict[str, str] = {}
        self.read = frozenset(topic for projection in projections for topic in projection.topics)
        self._projections = projections
        self._topics = {topics.of(topic): topic for topic in Topic}
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._threads = ThreadPoolExecutor(len(projections), "view")

    def starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        """Read every checkpoint again, another process may have moved it, and start where the last of the views is.

        Shape: the mark of a commit is the position it reached. A view that is behind it (a new one, or a store that
        was restored) starts at the offset that its next record cannot be before: a record's offset is at least its
        position - 1.
        """
        before = {run.view for run in self.runs}
        self.runs = [self._open(projection) for projection in self._projections]
        for run in self.runs:
            if run.view not in before:
                self.stopped.pop(run.projection.name, None)
        starts: dict[TP, int] = {}
        for tp, at in committed.items():
            reached = self._reached(self._topics[tp.topic], tp.partition)
            if at is None or not at.mark or reached < int(at.mark):
                starts[tp] = reached
        return starts

    def apply(self, batches: Mapping[TP, Sequence[Record]]) -> Mapping[TP, str]:
        marks: dict[TP, str] = {}
        news: list[Sequence[Entry]] = []
        for tp, records in batches.items():
            topic = self._topics[tp.topic]
            reached = self._reached(topic, tp.partition)
            entries = [entry for record in records if (entry := _entry(topic, record, reached)) is not None]
            marks[tp] = str(entries[-1].position if entries else reached)
            if entries:
                news.append(entries)
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
            # facts may go, when they are old; decided events never do
            if first.topic is Topic.EVENTS and first.position > run.position(first.topic, first.partition) + 1:
                raise LogHasHole(f"{run.view.table} met {first.topic}/{first.partition}/{first.position} too early")
        try:
            run.run(*news)
        except (TooMuchPoison, NeedsUpdate) as error:
            self.stopped[run.projection.name] = str(error)
            _LOG.error("%s stopped, started again it tries again: %s", run.projection.name, error)

    def _open(self, projection: Projection) -> ProjectionRun:
        view = self._store.live(projection.name)
        if view is None:
            view = View(projection.name, 1)
            self._store.create(view)
            if is_level(self._store, view, self._projections):
                self._store.switch(view)
        return ProjectionRun(projection, view, self._store, self._dead_letters, self._clock)

    def _runs(self, topic: Topic) -> Sequence[ProjectionRun]:
        return [run for run in self.runs if topic in run.projection.topics]

    def _reached(self, topic: Topic, partition: int) -> int:
        runs = self._runs(topic)
        going = [run for run in runs if run.projection.name not in self.stopped]
        return min(run.position(topic, partition) for run in going or runs)


def _entry(topic: Topic, record: Record, reached: int) -> Entry | None:
    """Decode a record that some view has not read yet; never raises."""
    raw = kafka_record(record.key, record.value, record.headers)
    # facts are written without transactions: an offset for each record, from 0
    position = record.offset + 1 if topic is Topic.TELEMETRY else position_of(raw)
    # without a position it is not of our writers
    if position is None or position <= reached:
        return None
    return decode_kafka(raw, topic=topic, partition=record.partition, position=position)


def create_app(role: Role, sink: ProjectionSink, *, broker: Broker, topics: Topics, data_dir: Path) -> SinkApp:
    """Return the app of one role: its consumer group, its agent, its views. Any number of processes may run it."""
    read = [topics.of(topic) for topic in Topic if topic in sink.read]
    return SinkApp(
        f"{topics.prefix}.{role.value}", topics=read, sink=sink, broker=broker, limits=LIMITS[role], data_dir=data_dir
    )
