"""Workers of the views are killed and stores are stopped under load, and then every view is verified.

The verdict is `factline verify`'s own; beside it rows are counted with the bare drivers, and a watch reads every
checkpoint all the while.
"""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pymongo import MongoClient

from infra.cassandra.connection import CassandraAddress, Connection
from infra.engines import process
from infra.engines.engine import Engine
from projections.catalog import of_role
from projections.rows import Role, View
from schemas.envelope import Topic
from tests.chaos.load import Load
from tests.chaos.read_side import Engines, ReadSide, Worker, unexpected, wait_until_read

LOOK_S = 0.25
SESSION_TIMEOUT_S = 10.0
PAUSED_S = SESSION_TIMEOUT_S + 3
PATIENCE_S = 180.0
_TOKENS = 32
_VERIFY_TRIES = 3
_UNEXPECTED = 70  # the status of a worker that met what it does not know, and is started again
_DONE = {"pause": "paused", "end": "ended", "kill": "killed"}
_VERDICT = re.compile(r"^(\w+)_v1: ([\d,]+) rows, (?:no difference|([\d,]+) differences)(.*)$", re.MULTILINE)

Say = Callable[[str], None]


class Plan(NamedTuple):
    """How much trouble, and under how much load.

    Shape: `kills` are of workers, a fifth of them pauses that are longer than a session, the others by SIGKILL and
    SIGTERM; each store in `stores_stopped` is stopped once for each time it is named, in order and by SIGKILL in turn.
    """

    workers: int = 2
    kills: int = 60
    stores_stopped: Sequence[Role] = (*Role, *Role)
    broker_kills: int = 1
    tenants: int = 50
    commands: int = 100_000
    facts: int = 500_000
    pause_s: tuple[float, float] = (0.5, 4.0)


class Result(NamedTuple):
    """What a run found; `failures` names what must not be, and is empty when all held.

    Shape: `lost` and `doubled` are rows that are missing or too many by the drivers' own count against what was
    accepted; `differences` is what `factline verify` found; `backwards` are the checkpoints that were seen to go back.
    """

    seed: int
    kills: int
    faults: Mapping[str, int]
    ended_by_themselves: Mapping[str, int]
    seconds: float
    catching_up_s: float
    commands: int
    facts: int
    facts_in_log: int
    tries: int
    rows: Mapping[str, int]
    lost: int
    doubled: int
    differences: int
    backwards: int
    looks: int
    looks_without_answer: int
    dead_letters: int
    errors: Mapping[str, int]
    failures: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        return self._asdict()


def run(engines: Engines, plan: Plan, *, seed: int, folder: Path, say: Say) -> Result:
    began = time.monotonic()
    side = ReadSide(engines, folder)
    load = Load(side.cluster, side.folder, tenants=plan.tenants, commands=plan.commands, facts=plan.facts)
    with side.watched(LOOK_S) as watches, side.workers(plan.workers) as workers:
        trouble = _Trouble(engines, workers, random.Random(seed))
        with _loading(load):
            trouble.make(plan, load, say)
        say("load and faults end; waiting until all is read")
        ended = time.monotonic()
        wait_until_read(watches, load.ends, PATIENCE_S)
        catching_up_s = time.monotonic() - ended
        say(f"read after {catching_up_s:.0f} s; verifying")
        verified = _verify(side)
        rows = _count(side)
        with side.operations() as operations:
            letters = list(operations.all_dead_letters())
            lag = sum(status.lag_events or 0 for status in operations.projections())
    expected, found_rows = Counter(load.rows), Counter(rows)
    lost, doubled = expected - found_rows, found_rows - expected
    backwards = [went for watch in watches.values() for went in watch.backwards]
    differences = {view: found.differences for view, found in verified.items() if found.differences}
    statuses = Counter(f"{worker.name} with {status}" for worker in workers for status in worker.ended)
    failures = [
        f"{name}: {found}"
        for name, found in {
            "rows lost": dict(lost),
            "rows too many": dict(doubled),
            "differences": differences,
            "rows that verify counted and the drivers did not": {
                view: (found.rows, rows[view])
                for view, found in verified.items()
                if view in rows and rows[view] != found.rows
            },
            "said by verify": [found.more for found in verified.values() if found.more],
            "events in the log that nobody asked for": load.in_log(Topic.EVENTS) - load.rows["events"],
            "records that no view has read": lag,
            "checkpoints went backwards": backwards[:10],
            "dead letters": letters[:3],
            "ended by itself": [f"{w.name} with {s}" for w in workers for s in w.ended if s != _UNEXPECTED],
        }.items()
        if found
    ]
    return Result(
        seed=seed,
        kills=plan.kills,
        faults=trouble.done,
        ended_by_themselves=statuses,
        seconds=round(time.monotonic() - began, 1),
        catching_up_s=round(catching_up_s, 1),
        commands=load.accepted,
        facts=load.facts_sent,
        facts_in_log=load.in_log(Topic.TELEMETRY),
        tries=load.tries,
        rows=rows,
        lost=sum(lost.values()),
        doubled=sum(doubled.values()),
        differences=sum(differences.values()),
        backwards=len(backwards),
        looks=sum(watch.looks for watch in watches.values()),
        looks_without_answer=sum(watch.missed for watch in watches.values()),
        dead_letters=len(letters),
        errors=Counter(unexpected(workers)),
        failures=failures,
    )


@contextmanager
def _loading(load: Load) -> Iterator[None]:
    load.start()
    try:
        yield
        load.finish()
    except BaseException:
        load.stop()
        raise


class _Mending:
    """Faults that take their time, each in a thread; what has one is left alone until it is over."""

    def __init__(self) -> None:
        self._threads: dict[object, threading.Thread] = {}
        self._failures: list[BaseException] = []

    def begin(self, target: object, work: Callable[[], None]) -> None:
        self.wait(target)

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._failures.append(error)

        self._threads[id(target)] = thread = threading.Thread(target=run)
        thread.start()

    def is_at(self, target: object) -> bool:
        thread = self._threads.get(id(target))
        return thread is not None and thread.is_alive()

    def wait(self, target: object) -> None:
        if thread := self._threads.get(id(target)):
            thread.join()
        if self._failures:
            raise self._failures[0]

    def finish(self) -> None:
        for thread in self._threads.values():
            thread.join()
        if self._failures:
            raise self._failures[0]


class _Trouble:
    """Does all faults, in the order that chance gives; the load goes on with them."""

    def __init__(self, engines: Engines, workers: Sequence[Worker], chance: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self._engines, self._workers, self._chance = engines, workers, chance
        self._mending = _Mending()

    def make(self, plan: Plan, load: Load, say: Say) -> None:
        pauses = plan.kills // 5
        kinds: list[str | Role] = ["kill", "end"] * ((plan.kills - pauses + 1) // 2)
        kinds = ["pause"] * pauses + kinds[: plan.kills - pauses]
        kinds += [*plan.stores_stopped, *["broker"] * plan.broker_kills]
        self._chance.shuffle(kinds)
        try:
            for n, kind in enumerate(kinds, 1):
                load.allow(n / (len(kinds) + 1))
                time.sleep(self._chance.uniform(*plan.pause_s))
                what = self._begin(kind)
                self.done[what] += 1
                say(f"{n} of {len(kinds)} faults: {what}")
        finally:
            self._mending.finish()

    def _begin(self, kind: str | Role) -> str:
        away_s = self._chance.uniform(0, 3)
        if kind == "broker":
            self._mending.begin(self._engines.kafka, lambda: _away(self._engines.kafka, away_s, by_force=True))
            return "broker killed"
        if isinstance(kind, Role):
            engine, by_force = self._engines.of(kind), bool(self.done[f"{kind.value} store stopped"])
            self._mending.begin(engine, lambda: _away(engine, away_s, by_force=by_force))
            return f"{kind.value} store {'killed' if by_force else 'stopped'}"
        while not (free := [worker for worker in self._workers if not self._mending.is_at(worker)]):
            time.sleep(0.1)
        worker = self._chance.choice(free)
        match kind:
            case "pause":
                self._mending.begin(worker, lambda: worker.pause(PAUSED_S))
            case "end":
                self._mending.begin(worker, lambda: worker.end(away_s))
            case _:
                self._mending.begin(worker, lambda: worker.kill(away_s))
        return f"{worker.role.value} worker {_DONE[kind]}"


def _away(engine: Engine, for_s: float, *, by_force: bool) -> None:
    if by_force:
        engine.kill()
    else:
        engine.stop()
    time.sleep(for_s)
    engine.start()


class Verified(NamedTuple):
    """What `factline verify` said of a view. Shape: `more` is empty unless records are parked."""

    rows: int
    differences: int
    more: str


def _verify(side: ReadSide) -> Mapping[str, Verified]:
    """Run `factline verify` on all views, those of each store in a process of its own."""
    with ThreadPoolExecutor(len(Role)) as threads:
        return {view: found for of in threads.map(lambda role: _verify_role(side, role), Role) for view, found in of}


def _verify_role(side: ReadSide, role: Role) -> Sequence[tuple[str, Verified]]:
    names = [one.name for one in of_role(role)]
    for _ in range(_VERIFY_TRIES):
        said = process.run(side.command("verify", "--profile", "distributed", *names))
        # with another status it could not compare, and says so: on a very busy machine a store may not answer in time
        if said.returncode in (0, 1):
            break
    found = [
        (view, Verified(_number(rows), _number(differences or "0"), more))
        for view, rows, differences, more in _VERDICT.findall(said.stdout)
    ]
    assert [view for view, _ in found] == names, said.stdout + said.stderr
    return found


def _number(text: str) -> int:
    return int(text.replace(",", ""))


# --- rows, counted by nothing of ours but the drivers


def _count(side: ReadSide) -> Mapping[str, int]:
    rows: dict[str, int] = {}
    with closing(Connection(CassandraAddress(side.settings.stores.cassandra_contact_points, side.name))) as cassandra:
        for name in ("device_metrics", "device_logs", "audit_trail", "stream_history"):
            rows[name] = _count_cassandra(cassandra, f"{side.name}.{View(name, 1).table}")
    for name in ("metrics_5m", "events", "invoice_facts"):
        sql = f"SELECT count() FROM {side.name}.{View(name, 1).table} FINAL"
        answer = httpx.get(side.engines.clickhouse.url, params={"query": sql}, timeout=120)
        rows[name] = int(answer.raise_for_status().text)
    with MongoClient[dict[str, Any]](side.engines.mongo.url) as client:
        for name in ("devices", "alerts", "invoices", "tenants"):
            rows[name] = client[side.name][View(name, 1).table].count_documents({})
    return rows


def _count_cassandra(cassandra: Connection, table: str) -> int:
    """Count part by part: one statement over a large table takes longer than it may."""
    described = cassandra.ask(f"SELECT column_name, position FROM system_schema.columns WHERE {_named(table)}")
    key = ", ".join(name for name, _ in sorted(described, key=lambda column: column[1]))
    step = 2**64 // _TOKENS
    edges = [*range(-(2**63), 2**63 - 1, step), 2**63 - 1]
    count = f"SELECT count(*) FROM {table} WHERE token({key}) > ? AND token({key}) <= ?"
    return sum(cassandra.ask(count, low, high)[0][0] for low, high in pairwise(edges))


def _named(table: str) -> str:
    keyspace, _, name = table.partition(".")
    return f"keyspace_name = '{keyspace}' AND table_name = '{name}' AND kind = 'partition_key' ALLOW FILTERING"
