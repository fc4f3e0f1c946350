"""These numbers for Prometheus count requests by route, and say how far the projections are."""

import time
from collections.abc import Iterator, Mapping, Sequence
from math import nan

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.operations import OK, Operations, ProjectionStatus, WorkerStatus, sums

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ProjectionCollector(Collector):
    """Asks for the status of everything at each scrape. What is not known is NaN, and never 0."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterator[GaugeMetricFamily]:
        statuses = self._operations.projections()
        workers = self._operations.workers()
        yield from _lag("projection", "projection", [(status.name, status) for status in statuses])
        yield from _by_partition(statuses)
        yield from _lag("workers", "worker", [(status.kind, status) for status in workers])
        yield _gauge(
            "factline_parked_streams",
            "Streams that wait behind a dead letter",
            "projection",
            {status.name: status.parked_streams for status in statuses},
        )
        yield _gauge(
            "factline_parked_records",
            "Records that are parked",
            "projection",
            {status.name: status.parked_records for status in statuses},
        )
        yield _gauge(
            "factline_workers",
            "Processes of a kind that the broker knows of",
            "worker",
            {status.kind: status.running for status in workers},
        )
        up = {part: int(said == OK) for part, said in self._operations.health().items()}
        up |= {status.kind: int(bool(status.running) and not status.error) for status in workers}
        yield _gauge("factline_up", "1 where a store, the log or a kind of worker is well, else 0", "part", up)


def _lag(
    of: str, label: str, found: Sequence[tuple[str, ProjectionStatus | WorkerStatus]]
) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        f"factline_{of}_lag_events",
        "Records not yet read; NaN where nobody knows",
        label,
        {name: status.lag_events for name, status in found},
    )
    yield _gauge(
        f"factline_{of}_lag_seconds",
        "Age of the oldest record not yet read, 0 at the end; NaN where nobody knows",
        label,
        {name: status.lag_s for name, status in found},
    )


def _gauge(name: str, what: str, label: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, what, labels=[label])
    for of, value in values.items():
        gauge.add_metric([of], nan if value is None else value)
    return gauge


def _by_partition(statuses: Sequence[ProjectionStatus]) -> Iterator[GaugeMetricFamily]:
    labels = ["projection", "partition"]
    events = GaugeMetricFamily("factline_partition_lag_events", "Records of a partition not yet read", labels=labels)
    seconds = GaugeMetricFamily(
        "factline_partition_lag_seconds",
        "Age of the oldest record of a partition not yet read, 0 at the end; NaN where nobody knows",
        labels=labels,
    )
    for status in statuses:
        for number in sorted({lag.partition for lag in status.lags}):
            lag_events, lag_s = sums([lag for lag in status.lags if lag.partition == number])
            events.add_metric([status.name, str(number)], nan if lag_events is None else lag_events)
            seconds.add_metric([status.name, str(number)], nan if lag_s is None else lag_s)
    yield from (events, seconds)


class HttpMetrics:
    """Counts requests; seconds run until the answer begins, so that a live stream counts once, when it opens."""

    def __init__(self, operations: Operations) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "factline_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "factline_http_request_seconds",
            "Seconds until an answer begins",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(ProjectionCollector(operations))


class CountRequests:
    """ASGI middleware in front of every route."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        counted = False

        def count(status: int) -> None:
            nonlocal counted
            counted = True
            # the route's template: a path with ids in it would make a time series for each
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - began)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not counted:
                count(500)
            raise


def scrape(request: Request) -> Response:
    metrics: HttpMetrics = request.app.state.http_metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
