"""These numbers for Prometheus count requests by route, and say how far the projections are."""

import time
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.operations import Operations, PartitionLag

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ProjectionCollector(Collector):
    """Asks for the projections' status at each scrape."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterator[GaugeMetricFamily]:
        lag_events = GaugeMetricFamily(
            "factline_projection_lag_events", "Records of the log not yet read", labels=["projection"]
        )
        lag_s = GaugeMetricFamily(
            "factline_projection_lag_seconds", "Age of the last record read, 0 at the end", labels=["projection"]
        )
        labels = ["projection", "partition"]
        partition_events = GaugeMetricFamily(
            "factline_partition_lag_events", "Records of a partition not yet read", labels=labels
        )
        partition_s = GaugeMetricFamily(
            "factline_partition_lag_seconds", "Age of the last record read of a partition, 0 at the end", labels=labels
        )
        parked = GaugeMetricFamily(
            "factline_parked_streams", "Streams that wait behind a dead letter", labels=["projection"]
        )
        for status in self._operations.projections():
            lag_events.add_metric([status.name], status.lag_events)
            lag_s.add_metric([status.name], status.lag_s)
            parked.add_metric([status.name], status.parked_streams)
            for partition, lags in _by_partition(status.lags).items():
                partition_events.add_metric([status.name, str(partition)], sum(lag.lag_events for lag in lags))
                partition_s.add_metric([status.name, str(partition)], max(lag.lag_s for lag in lags))
        yield from (lag_events, lag_s, partition_events, partition_s, parked)


def _by_partition(lags: Sequence[PartitionLag]) -> Mapping[int, Sequence[PartitionLag]]:
    return {number: [lag for lag in lags if lag.partition == number] for number in {lag.partition for lag in lags}}


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
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
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
