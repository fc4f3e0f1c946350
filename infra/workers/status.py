"""A worker says over HTTP how it is, at `/ready` and `/metrics` on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

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


class WorkerStatus(Collector):
    """Reads the worker from another thread; what it reads is replaced, never changed in place."""

    def __init__(self, app: SinkApp, sink: ProjectionSink | CorrelationSink, clock: Clock) -> None:
        self._app = app
        self._sink = sink
        self._clock = clock

    @property
    def problem(self) -> str | None:
        """Return why the worker is not ready, or None."""
        if self._app.sink_state == "waiting":
            return f"waiting: {self._app.sink_error}"
        if self._app.sink_state == "starting" or not self._app.batches.is_reading:
            return "starting: its partitions are being assigned"
        return "; ".join(f"{name} stopped: {why}" for name, why in self._sink.stopped.items()) or None

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
        yield GaugeMetricFamily("factline_worker_ready", "1 while the views are kept up to date", not self.problem)
        yield CounterMetricFamily("factline_worker_records", "Records applied", self._app.applied)


@contextmanager
def served(status: WorkerStatus, port: int) -> Iterator[int]:
    """Answer on 127.0.0.1 and yield the port; a thread of its own answers while the worker is busy, or hangs."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(status)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path == "/ready":
                problem = status.problem
                body = {"ready": problem is None, "problem": problem, "lag": sum(lag.events for lag in status.lags())}
                self._answer(503 if problem else 200, "application/json", json.dumps(body).encode())
            else:
                self.send_error(404)

        def _answer(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a scrape every few seconds is no news."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="status", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
