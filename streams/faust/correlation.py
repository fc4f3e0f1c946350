"""In the distributed profile a Faust app shows batches of facts to the watches of their tenants."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from faust.types import TP

from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, Topic
from schemas.kafka_record import decode_kafka, kafka_record
from streams.correlate.run import Correlation, NewScorer, Send
from streams.faust.batch_agent import Broker, SinkApp
from streams.faust.batch_transport import Committed, Limits, Record
from streams.newer import NeedsUpdate
from streams.ports import LogReader, LogUnavailable, Overloaded, WatchStates
from streams.topics import Topics

LIMITS = Limits(batch_records=5_000)
READ_EVENTS = 5_000


class CorrelationSink:
    """The partitions of the present assignment.

    Shape: a batch of events only says that there are some: they are read from the log, and before each batch of facts
    once more, so that a watch sees the facts that were recorded after it.
    """

    def __init__(
        self, *, topics: Topics, log: LogReader, states: WatchStates, send: Send, new_scorer: NewScorer
    ) -> None:
        self.stopped: Mapping[str, str] = {}
        self._telemetry = topics.telemetry
        self._log = log
        self._states = states
        self._send = send
        self._new_scorer = new_scorer
        self._partitions: dict[int, Correlation] = {}
        self._read_at: dict[TP, datetime] = {}

    def starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        """Start where correlation itself is: what it knows is kept with the position that it was read up to.

        Shape: a fact's offset is its position - 1, an event's at least that.
        """
        self._read_at = {}
        self._partitions = {
            partition: Correlation(partition, self._states, self._send, self._new_scorer)
            for partition in {tp.partition for tp in committed}
        }
        with _unavailable():
            for correlation in self._partitions.values():
                correlation.check(self._log)
        return {tp: self._reached(tp) for tp in committed}

    def apply(self, batches: Mapping[TP, Sequence[Record]]) -> Mapping[TP, str]:
        return {tp: self._apply(tp, records) for tp, records in batches.items()}

    def _apply(self, tp: TP, records: Sequence[Record]) -> str:
        correlation = self._partitions[tp.partition]
        with _unavailable():
            try:
                self._read(correlation, tp, records)
            except NeedsUpdate:
                correlation.settle()
                raise
            correlation.settle()
        return str(self._reached(tp))

    def _read(self, correlation: Correlation, tp: TP, records: Sequence[Record]) -> None:
        while events := self._log.read(Topic.EVENTS, tp.partition, after=correlation.events, limit=READ_EVENTS):
            correlation.read_events(events)
        if tp.topic == self._telemetry:
            self._read_facts(correlation, tp, records)

    def look(self) -> bool:
        return False

    def read_at(self, tp: TP) -> datetime | None:
        """Return when the last fact that was looked at was recorded."""
        return self._read_at.get(tp)

    def _read_facts(self, correlation: Correlation, tp: TP, records: Sequence[Record]) -> None:
        if not correlation.has_watches:
            correlation.skip_facts(records[-1].offset + 1)
            return
        facts = [
            decode_kafka(
                kafka_record(record.key, record.value, record.headers),
                topic=Topic.TELEMETRY,
                partition=tp.partition,
                position=record.offset + 1,
            )
            for record in records
            if record.offset >= correlation.facts
        ]
        correlation.read_facts(facts)
        if facts and isinstance(facts[-1], Envelope):
            self._read_at[tp] = facts[-1].recorded_at

    def _reached(self, tp: TP) -> int:
        correlation = self._partitions[tp.partition]
        return correlation.facts if tp.topic == self._telemetry else correlation.events


@contextmanager
def _unavailable() -> Iterator[None]:
    """Let the agent wait for the log, for the writer and for an update of this process as it waits for a store."""
    try:
        yield
    except (LogUnavailable, Overloaded, NeedsUpdate) as error:
        raise StoreUnavailable(str(error)) from error


def create_correlation_app(sink: CorrelationSink, *, broker: Broker, topics: Topics, data_dir: Path) -> SinkApp:
    """Return the app: its consumer group, its agent. Any number of processes may run it."""
    read = [topics.telemetry, topics.events]
    return SinkApp(topics.correlators, topics=read, sink=sink, broker=broker, limits=LIMITS, data_dir=data_dir)
