"""In the distributed profile a Faust app shows batches of facts to the watches of their tenants."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from faust.types import TP

from domain.fleet.liveness import SILENCE, Listening
from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, Topic
from streams.correlate.kept import LogEndsEarly
from streams.correlate.run import Correlation
from streams.correlate.sending import Send
from streams.faust.batch_agent import Broker, SinkApp, waited_for
from streams.faust.batch_transport import Committed, Limits, Record
from streams.faust.facts import facts_of
from streams.newer import NeedsUpdate
from streams.ports import NewScorer, SystemClock, WatchStates
from streams.topics import Topics
from streams.viewed_log import ViewedLog

_LOG = logging.getLogger(__name__)

LIMITS = Limits(batch_records=5_000)
READ_EVENTS = 5_000


class CorrelationSink:
    """The partitions of facts of the present assignment.

    Shape: events are read from the log, of all partitions, for a tenant's facts are in any: before each batch of facts,
    so that a watch sees the facts that were recorded after it, and where none come, now and then.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        log: ViewedLog,
        states: WatchStates,
        send: Send,
        new_scorer: NewScorer,
        silence: timedelta = SILENCE,
    ) -> None:
        self.stopped: Mapping[str, str] = {}
        self._log = log
        self._logs: Mapping[Topic, str] = {}
        self._states = states
        self._send = send
        self._new_scorer = new_scorer
        self._silence = silence
        self._of_log = topics.partitions
        self._partitions: dict[int, Correlation] = {}
        self._read_at: dict[TP, datetime] = {}
        self._clock = SystemClock()

    def starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        """Start where correlation itself is: what it knows is kept with the position that it was read up to.

        Shape: the offset of a record of facts is its position - 1. Over a log that is not the one it knows, it stops.
        """
        self._read_at, self.stopped = {}, {}
        self._partitions = {tp.partition: self._open(tp.partition) for tp in committed}
        with waited_for():
            self._logs = self._log.identities()
            try:
                for correlation in self._partitions.values():
                    correlation.check(self._log)
            except LogEndsEarly as error:
                _LOG.error("correlation stopped: %s", error)
                self.stopped, self._partitions = {"correlation": str(error)}, {}
                return {}
        return {tp: self._partitions[tp.partition].facts for tp in committed}

    def _open(self, partition: int) -> Correlation:
        listening = Listening(self._clock.now(), self._silence)
        return Correlation(
            partition, self._states, self._send, self._new_scorer, listening=listening, partitions=self._of_log
        )

    def apply(self, batches: Mapping[TP, Sequence[Record]]) -> Mapping[TP, str]:
        if self.stopped:
            return dict.fromkeys(batches, "")
        with waited_for():
            try:
                self._read_events()
                for tp, records in batches.items():
                    self._read_facts(tp, records)
            except NeedsUpdate:
                self._settle()
                raise
            self._settle()
        return {tp: str(self._partitions[tp.partition].facts) for tp in batches}

    def is_elsewhere(self) -> bool:
        """Notice a topic that was made anew: it is another log than the one that correlation knows."""
        with waited_for():
            return bool(self._logs) and self._log.identities() != self._logs

    def look(self) -> bool:
        """Learn of watches although no facts come, and let time pass where all is read: devices are missed."""
        with waited_for():
            now = self._clock.now()
            ends = {partition: self._log.end(Topic.TELEMETRY, partition) for partition in self._partitions}
            self._read_events()
            for partition, correlation in self._partitions.items():
                if correlation.facts >= ends[partition]:
                    correlation.tick(now)
            self._settle()
        return False

    def _read_events(self) -> None:
        following = self._partitions.values()
        for partition in range(self._of_log if following else 0):
            while events := self._log.read(
                Topic.EVENTS, partition, after=min(each.events_at(partition) for each in following), limit=READ_EVENTS
            ):
                for correlation in following:
                    correlation.read_events(events)
        looking_back = [correlation for correlation in following if not correlation.look_back(self._log)]
        if looking_back:
            raise StoreUnavailable("a new watch looks back; what comes now waits for it")

    def read_at(self, tp: TP) -> datetime | None:
        """Return when the last fact that was looked at was recorded."""
        return self._read_at.get(tp)

    def _settle(self) -> None:
        for correlation in self._partitions.values():
            correlation.settle()

    def _read_facts(self, tp: TP, records: Sequence[Record]) -> None:
        correlation = self._partitions[tp.partition]
        if not correlation.needs_facts:
            correlation.skip_facts(records[-1].offset + 1)
            return
        facts = list(facts_of([record for record in records if record.offset >= correlation.facts], tp.partition))
        correlation.read_facts(facts)
        if facts and isinstance(facts[-1], Envelope):
            self._read_at[tp] = facts[-1].recorded_at


def create_correlation_app(sink: CorrelationSink, *, broker: Broker, topics: Topics, data_dir: Path) -> SinkApp:
    """Return the app: its consumer group, its agent. Any number of processes may run it."""
    return SinkApp(
        topics.correlators, topics=[topics.telemetry], sink=sink, broker=broker, limits=LIMITS, data_dir=data_dir
    )
