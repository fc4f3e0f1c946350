"""This measures the embedded profile, each figure in a process of its own, on the working directory's disk."""

import asyncio
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
import orjson
import psutil
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from domain.finance.invoice import LineItem, ReceiveInvoice
from domain.fleet.device import RegisterDevice, TagDevice
from domain.fleet.facts import DeviceMetricsReported
from domain.message import Command
from infra.collector import settle_collector
from infra.embedded import DEMO_TENANT, Embedded
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Actor, ActorType
from streams.ports import FactSubmission, Submission, SystemClock
from streams.project.local_runner import RoleRunner
from streams.write.gate import CommandGate
from streams.write.writer import Writer
from tests.benchmarks.result import Result, median_of
from tests.streams.kit import register_tenant

ACTOR = Actor(ActorType.SYSTEM, "benchmark")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CALLERS = 64
COMMANDS = 12_800
BATCH_FACTS = 5_000
_BUILD = "build"  # on the disk of the project, and not in its way
DEVICES = 100


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure everything; results come as they are there."""
    say("commands, 64 callers")
    saves = alone(one_save_per_command)
    accepted = alone(commands_of_64_callers)
    yield Result("commands accepted durably, 64 callers", accepted, "/s", saves, 10_000)
    yield Result("… against one eventsourcing save per command", accepted, "/s", saves, 10, of_ratio=True)
    say("telemetry over HTTP")
    bulk = alone(saves_of_5000)
    yield Result("telemetry facts over HTTP, batches of 5,000, durable", telemetry_over_http(), "/s", bulk, 50_000)
    with TemporaryDirectory(dir=_BUILD) as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        for where, events in ((small, 100_000), (large, 1_000_000)):
            say(f"writing {events:,} events")
            alone(fill_mixed, where, events)
        say("catch-up of all views")
        small_s, large_s = alone(catch_up_s, small), alone(catch_up_s, large)
        yield Result("catch-up of all views, 1,000,000 events", 1_000_000 / large_s, "events/s", None, 20_000)
        yield Result(
            "catch-up time, 1,000,000 against 100,000 events", large_s, "s", small_s, 11, of_ratio=True, most=True
        )
        for view in ("device_metrics", "metrics_5m"):
            say(f"rebuild of {view}")
            small_s, large_s = alone(rebuild_s, small, view), alone(rebuild_s, large, view)
            yield _linear(f"rebuild time of {view}", large_s, small_s)
        say("memory and a device's day")
        small_mb, _ = memory_and_day(small)
        large_mb, day_ms = memory_and_day(large)
        yield Result("memory of the server after 1,000,000 events", large_mb, "MB", small_mb, 700, most=True)
        yield Result("… against after 100,000", large_mb, "MB", small_mb, 1.15, of_ratio=True, most=True)
        yield Result("read API: one device's day of metrics, p99", day_ms, "ms", None, 50, most=True)
    with TemporaryDirectory(dir=_BUILD) as folder:
        say("1,000,000 invoice lines")
        alone(fill_invoices, Path(folder))
        yield Result(
            "read API: revenue by month over 1,000,000 lines, p99", revenue_ms(Path(folder)), "ms", None, 200, most=True
        )


def _linear(what: str, large_s: float, small_s: float) -> Result:
    """Ten times the events may take eleven times as long: linear, with a tenth for the luck of the disk."""
    return Result(f"{what}, 1,000,000 against 100,000 events", large_s, "s", small_s, 11, of_ratio=True, most=True)


def alone(work: Callable[..., float], *args: Any) -> float:
    """Run in a fresh process: engines keep one folder a process, and memory is not given back."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


# --- commands


class Device(Aggregate):
    @event("Registered")
    def __init__(self, hostname: str) -> None:
        self.hostname = hostname


def one_save_per_command() -> float:
    def measure() -> float:
        with TemporaryDirectory(dir=_BUILD) as folder:
            app: Application[UUID] = Application(
                env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{folder}/events.sqlite"}
            )
            begin = time.perf_counter()
            for n in range(500):
                app.save(Device(f"host-{n}"))
            rate = 500 / (time.perf_counter() - begin)
            app.close()
            return rate

    return median_of(3, measure)


def saves_of_5000() -> float:
    def measure() -> float:
        with TemporaryDirectory(dir=_BUILD) as folder:
            app: Application[UUID] = Application(
                env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{folder}/events.sqlite"}
            )
            begin = time.perf_counter()
            for _ in range(2):
                app.save(*(Device(f"host-{n}") for n in range(BATCH_FACTS)))
            rate = 2 * BATCH_FACTS / (time.perf_counter() - begin)
            app.close()
            return rate

    return median_of(3, measure)


def commands_of_64_callers() -> float:
    async def callers(writer: Writer, run: int) -> None:
        with ThreadPoolExecutor(1) as executor:
            gate = CommandGate(writer, executor)

            async def caller(number: int) -> None:
                for n in range(COMMANDS // CALLERS):
                    device = f"web-{run}-{number}-{n}"
                    reply = await gate.execute(_command(RegisterDevice(device_id=device, hostname=device), device))
                    assert reply.outcome == "accepted"

            await asyncio.gather(*(caller(number) for number in range(CALLERS)))

    runs = iter(range(100))
    with TemporaryDirectory(dir=_BUILD) as folder:
        log = SqliteEventLog(Path(folder))
        writer = Writer(log, SystemClock())
        writer.write([register_tenant(DEMO_TENANT)])
        settle_collector()  # as the server does

        def measure() -> float:
            begin = time.perf_counter()
            asyncio.run(callers(writer, next(runs)))
            return COMMANDS / (time.perf_counter() - begin)

        rate = median_of(5, measure)
        log.close()
        return rate


def _command(command: Command, id_: str) -> Submission:
    return Submission(id_, DEMO_TENANT, type(command).__name__, command, ACTOR)


# --- the server


class Server:
    """The real server, in a process of its own, from the code in `tree`."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder = folder
        # earlier commits had the command line in one file
        main = "infra.cli.main" if (tree / "infra/cli/main.py").exists() else "infra.cli"
        self.process = subprocess.Popen(
            [sys.executable, "-m", main, "serve", "--data-dir", str(folder), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
        )
        assert self.process.stdout is not None
        said = ""
        while "http://" not in said:
            said = self.process.stdout.readline()
            if not said:
                raise RuntimeError(f"the server ended with status {self.process.wait()} before it answered")
        self.url = re.findall(r"http://[\d.:]+", said)[0]
        key = re.findall(r"key=(\S+)", said)
        key_file = folder / "benchmark.key"
        if key:
            key_file.write_text(key[0])
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": key_file.read_text()}, timeout=120)
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def wait_caught_up(self) -> None:
        while any(row["lag_events"] for row in self.client.get("/v1/ops/lag").json()["rows"]):
            time.sleep(0.2)

    def rss_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait()


@contextmanager
def served(folder: Path, tree: Path | None = None) -> Iterator[Server]:
    server = Server(folder.absolute(), tree or Path.cwd())
    try:
        yield server
    finally:
        server.close()


def telemetry_over_http() -> float:
    bodies = [
        orjson.dumps([_fact_json(n) for n in range(first, first + BATCH_FACTS)])
        for first in range(0, 200_000, BATCH_FACTS)
    ]
    with TemporaryDirectory(dir=_BUILD) as folder, served(Path(folder)) as server:
        begin = time.perf_counter()
        with ThreadPoolExecutor(2) as senders:
            answers = list(senders.map(lambda body: server.client.post("/v1/telemetry", content=body).json(), bodies))
        took = time.perf_counter() - begin
        assert sum(answer["accepted"] for answer in answers) == 200_000
        return 200_000 / took


def _fact_json(n: int) -> dict[str, object]:
    return {
        "type": "device.metrics.reported",
        "device_id": f"web-{n % DEVICES}",
        "happened_at": (BEGIN + timedelta(seconds=n // DEVICES * 2)).isoformat(),
        "data": {"metrics": {"cpu_percent": n % 1000 / 10}, "unit": "percent"},
    }


# --- views


def fill_mixed(folder: Path, events: int) -> float:
    """Nine facts of telemetry to one decided event: devices, tags, invoices of three lines."""
    with Embedded.open(folder) as embedded:
        (folder / "benchmark.key").write_text(embedded.first_start() or "")
        facts = events * 9 // 10
        for first in range(0, facts, BATCH_FACTS):
            embedded.log.append_facts(DEMO_TENANT, [_fact(n) for n in range(first, first + BATCH_FACTS)], ACTOR)
        for first in range(0, events // 10, 500):
            embedded.writer.write([_mixed(n) for n in range(first, first + 500)])
        _show_to_watches(embedded)
    return 0.0


def _show_to_watches(embedded: Embedded) -> None:
    """Let correlation read what is there, as a server did that wrote it: there are no watches, it sends nothing."""
    correlator = embedded.views.correlator
    correlation = correlator.open(lambda _submissions: [])
    while correlator.turn(correlation):
        pass


def _fact(n: int) -> FactSubmission:
    at = BEGIN + timedelta(seconds=n // DEVICES * 10)
    return FactSubmission(f"web-{n % DEVICES}", at, DeviceMetricsReported(metrics={"cpu_percent": n % 1000 / 10}))


def _mixed(n: int) -> Submission:
    device = f"web-{n // 3}"
    commands: Sequence[Command] = (
        RegisterDevice(device_id=device, hostname=device),
        TagDevice(device_id=device, key="room", value=f"r{n % 7}"),
        _invoice(n, 3),
    )
    return _command(commands[n % 3], f"c{n}")


def _invoice(n: int, lines: int) -> ReceiveInvoice:
    return ReceiveInvoice(
        number=str(n),
        party=str(n % 500),
        direction="out",
        issue_date=BEGIN + timedelta(minutes=10 * n),
        currency="GBP",
        country=("United Kingdom", "France", "Germany")[n % 3],
        lines=tuple(
            LineItem(
                product=f"p{(n + k) % 4000}", description="", quantity=Decimal(k % 12 + 1), unit_price=Decimal("2.55")
            )
            for k in range(lines)
        ),
    )


def fill_invoices(folder: Path) -> float:
    with Embedded.open(folder) as embedded:
        (folder / "benchmark.key").write_text(embedded.first_start() or "")
        for first in range(0, 20_000, 100):
            embedded.writer.write([_command(_invoice(n, 50), f"c{n}") for n in range(first, first + 100)])
        embedded.views.catch_up()
        _show_to_watches(embedded)
    return 0.0


def catch_up_s(folder: Path) -> float:
    with Embedded.open(folder) as embedded:
        runners = embedded.views.runners
        settle_collector()
        begin = time.perf_counter()
        threads = [threading.Thread(target=RoleRunner.catch_up, args=(runner,)) for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin


def rebuild_s(folder: Path, view: str) -> float:
    with Embedded.open(folder) as embedded:
        operations = embedded.views.operations
        settle_collector()
        begin = time.perf_counter()
        operations.rebuild(view, lambda _step: None)
        return time.perf_counter() - begin


def memory_and_day(folder: Path) -> tuple[float, float]:
    with served(folder) as server:
        server.wait_caught_up()
        query = {
            "metric": "cpu_percent",
            "start": BEGIN.isoformat(),
            "end": (BEGIN + timedelta(days=1)).isoformat(),
            "step": "5m",
            "aggregate": "avg",
        }
        day_ms = _p99_ms(server, "/v1/devices/web-7/metrics", query)
        _p99_ms(server, "/v1/analytics/revenue", {"by": "country"})
        return server.rss_mb(), day_ms


def revenue_ms(folder: Path) -> float:
    with served(folder) as server:
        server.wait_caught_up()
        return _p99_ms(server, "/v1/analytics/revenue", {"by": "month"})


def _p99_ms(server: Server, path: str, query: dict[str, str]) -> float:
    times: list[float] = []
    for _ in range(200):
        begin = time.perf_counter()
        answer = server.client.get(path, params=query)
        times.append(time.perf_counter() - begin)
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"]
    return sorted(times)[int(len(times) * 0.99) - 1] * 1000
