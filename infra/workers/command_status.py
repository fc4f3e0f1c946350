"""A worker that decides commands says this of itself."""

import time
from collections.abc import Callable, Iterator
from math import nan

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from infra.workers.status import Status
from streams.write.worker import CommandWorker

SILENT_S = 30.0
"""A worker that has not come round for so long hangs: a turn takes half a second where there is nothing to do."""


class CommandStatus(Status):
    """A worker that decides commands. Shape: `waiting` counts those that no worker has decided yet."""

    def __init__(self, worker: CommandWorker, waiting: Callable[[], int | None]) -> None:
        self._worker = worker
        self._waiting = waiting

    @property
    def problem(self) -> str | None:
        if self._worker.error is not None:
            return f"waiting: {self._worker.error}"
        if self._worker.turned_at is None:
            return "starting: its partitions are being assigned"
        silent_s = time.monotonic() - self._worker.turned_at
        return f"waiting: it has not looked for commands for {silent_s:.0f} s" if silent_s > SILENT_S else None

    @property
    def behind(self) -> int | None:
        return self._waiting()

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        behind = self.behind
        yield GaugeMetricFamily(
            "factline_worker_lag_commands",
            "Commands of all partitions not yet decided; NaN where nobody knows",
            nan if behind is None else behind,
        )
        yield GaugeMetricFamily("factline_worker_ready", "1 while the worker does its work", not self.problem)
        yield CounterMetricFamily("factline_worker_records", "Commands decided", self._worker.decided)
        yield CounterMetricFamily(
            "factline_worker_refused_unread", "Messages that were no commands", self._worker.refused_unread
        )
