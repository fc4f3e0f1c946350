"""How many rows partitions get in a day, of one tenant with a million devices and of 100,000 tenants with three each.

`python -m tests.benchmarks.layouts` needs no engine: it makes rows as the views do, and cuts them as the tables of
Cassandra do. A part of the devices stands for all of them; where a partition holds the rows of many devices, theirs are
multiplied. In ClickHouse all rows of a view are one partition, in the order of its key.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table as Shown

from infra.cassandra.table import Table, slice_of
from projections.catalog import PROJECTIONS
from projections.columns import Columns
from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from projections.rows import Role, View
from schemas.envelope import StreamId, TenantId
from schemas.partitioning import partition_of

DAY = datetime(2026, 1, 31, tzinfo=UTC)
LOG_PARTITIONS = 12
METRICS, READINGS, LINES, EVENTS = 5, 288, 20, 2
"""Of a device, in a day: metrics, readings of each, log lines, decided events."""

MOST_ROWS = 100_000


class Fleet(NamedTuple):
    """Shape: rows are made of one device in `share` of each tenant, or of each device of one tenant in `share`."""

    name: str
    tenants: int
    devices: int
    share: int


FLEETS = (
    Fleet("one tenant with 1,000,000 devices", 1, 1_000_000, 1_000),
    Fleet("100,000 tenants with three devices each", 100_000, 3, 1_000),
)


class Found(NamedTuple):
    """What a view's tables get. Shape: the rows of partitions, and the places of a slice of a tenant."""

    partitions: int
    rows: Sequence[float]
    places: float


def main() -> None:
    console = Console(width=150)
    for fleet in FLEETS:
        shown = Shown("view", "partitions a day", "rows: half have", "99 of 100", "most", "places of a slice", "")
        for projection in PROJECTIONS:
            if projection.role is Role.TIMELINE and (rows := _ROWS.get(projection.layout.row)):
                found = _cut(fleet, Table("factline", View(projection.name, 1), projection.timeline), rows)
                cuts = quantiles(found.rows, n=100) if len(found.rows) > 1 else [found.rows[0]] * 99
                most = max(found.rows)
                numbers = (found.partitions, cuts[49], cuts[98], most, found.places)
                word = "" if most <= MOST_ROWS else "TOO MANY"
                shown.add_row(projection.name, *(f"{number:,.0f}" for number in numbers), word)
        console.print(fleet.name, shown)


def _cut(fleet: Fleet, table: Table, rows_of: Any) -> Found:
    many = fleet.devices > fleet.share
    step = fleet.share if many else 1
    rows: Counter[Sequence[Any]] = Counter()
    whose: dict[Sequence[Any], set[str]] = {}
    for tenant in range(0, fleet.tenants, 1 if many else fleet.share):
        for device in range(0, fleet.devices, step):
            name = f"web-{device}"
            of_device = list(rows_of(fleet, tenant, device))
            for place, _ in table.encode(Columns.of(type(of_device[0]), of_device)):
                partition = tuple(place[: 1 + len(table.partition)])
                rows[partition] += 1
                whose.setdefault(partition, set()).add(name)
    # what only one device of the part has a share in stands for as many partitions, else for as many rows
    alone = all(len(devices) == 1 for devices in whose.values())
    counts = [count * (1 if alone else step) for count in rows.values()]
    times = (step if alone else 1) * (1 if many else fleet.share)
    slices = Counter((place[0], slice_of(table.series_of(place[1:]))) for place in rows)
    return Found(len(rows) * times, counts, max(slices.values()) * (step if alone else 1))


def _readings(_fleet: Fleet, tenant: int, device: int) -> Iterator[MetricRow]:
    for metric in range(METRICS):
        for n in range(READINGS):
            at = DAY + timedelta(minutes=1440 / READINGS * n)
            yield MetricRow(_tenant(tenant), f"web-{device}", f"metric-{metric}", at, 0.5, "%", n)


def _lines(_fleet: Fleet, tenant: int, device: int) -> Iterator[LogRow]:
    for n in range(LINES):
        at = DAY + timedelta(minutes=1440 / LINES * n)
        words = (f"{tenant}-{device}-{n}", f"web-{device}", "error", "sshd", f"web-{device}", "a line", "{}", n)
        yield LogRow(_tenant(tenant), at, *words)


def _events(fleet: Fleet, tenant: int, device: int) -> Iterator[EventRow]:
    """Yield the events of a device; those of all tenants of a partition of the log come in turn."""
    name = _tenant(tenant)
    partition = partition_of(name, LOG_PARTITIONS)
    others = max(1, fleet.tenants // LOG_PARTITIONS)
    for n in range(EVENTS):
        position = ((n * fleet.devices + device) * others) + tenant % others
        who = ("user", "ann", "", "", "{}")
        stream = StreamId(f"device-web-{device}")
        yield EventRow(name, stream, n + 1, partition, position, f"{stream}-{n}", "device.tagged", 1, DAY, DAY, *who)


def _tenant(number: int) -> TenantId:
    return TenantId(f"tenant-{number:06}")


_ROWS: Mapping[type, Any] = {MetricRow: _readings, LogRow: _lines, EventRow: _events}

if __name__ == "__main__":
    main()
