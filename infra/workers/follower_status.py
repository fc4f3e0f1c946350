"""A worker that follows the log says this of itself."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from infra.workers.status import Status
from streams.faust.apps import ProjectionSink
from streams.faust.batch_agent import SinkApp
from streams.faust.correlation import CorrelationSink
from streams.ports import Clock


class Lag(NamedTuple):
    """Shape: `events` counts offsets the group has not committed, markers of transactions at the end left out."""

    topic: str
    partition: int
    events: int
    seconds: float


class FollowerStatus(Status):
    """A worker that follows the log; what is read of it is replaced, never changed in place."""

    def __init__(self, app: SinkApp, sink: ProjectionSink | CorrelationSink, clock: Clock) -> None:
        self._app = app
        self._sink = sink
        self._clock = clock

    @property
    def problem(self) -> str | None:
        if self._app.sink_state == "waiting":
            return f"waiting: {self._app.sink_error}"
        if self._app.sink_state == "starting" or not self._app.batches.is_reading:
            return "starting: its partitions are being assigned"
        if self._app.look_error is not None:
            return f"waiting: {self._app.look_error}"
        return "; ".join(f"{name} stopped: {why}" for name, why in self._sink.stopped.items()) or None

    @property
    def behind(self) -> int | None:
        return None if self._app.look_error is not None else sum(lag.events for lag in self.lags())

    def lags(self) -> Iterator[Lag]:
        for tp, chain in list(self._app.chains.items()):
            read_at = self._sink.read_at(tp)
            age_s = (self._clock.now() - read_at).total_seconds() if read_at and chain.lag else 0.0
            yield Lag(tp.topic, tp.partition, chain.lag, max(0.0, age_s))

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        events = GaugeMetricFamily(
            "factline_worker_lag_events", "Offsets not yet committed", labels=["topic", "partition"]
        )
        seconds = GaugeMetricFamily(
            "factline_worker_lag_seconds", "Age of the last record read, 0 at the end", labels=["topic", "partition"]
        )
        for lag in self.lags():
            events.add_metric([lag.topic, str(lag.partition)], lag.events)
            seconds.add_metric([lag.topic, str(lag.partition)], lag.seconds)
        yield from (events, seconds)
        yield GaugeMetricFamily("factline_worker_ready", "1 while the worker does its work", not self.problem)
        yield CounterMetricFamily("factline_worker_records", "Records applied", self._app.applied)
