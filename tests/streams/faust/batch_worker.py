"""A worker for tests: the batch agent, and a sink in a SQLite file that several of them share."""

import asyncio
import json
import logging
import random
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from faust.types import TP

from projections.stores import StoreUnavailable
from streams.faust.batch_agent import Broker, SinkApp, run
from streams.faust.batch_transport import Committed, Limits, Record

TABLES = """
CREATE TABLE IF NOT EXISTS reached (partition INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS effects (partition INTEGER NOT NULL, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS faults (what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (worker TEXT NOT NULL, partition INTEGER NOT NULL, records INTEGER NOT NULL);
"""


class SqliteSink:
    """Keeps the numbers of each partition, which count from 1 without a hole, and says where they did not come so."""

    def __init__(self, path: Path, worker: str, *, fails: float, slow_s: float) -> None:
        self.path = path
        self._worker = worker
        self._fails = fails
        self._slow_s = slow_s
        with self._db() as db:
            db.executescript("PRAGMA journal_mode=WAL;" + TABLES)

    @contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=OFF")
            yield db

    def starts(self, committed: Mapping[TP, Committed | None]) -> Mapping[TP, int]:
        with self._db() as db:
            reached = dict(db.execute("SELECT partition, number FROM reached"))
        return {
            tp: reached.get(tp.partition, 0)
            for tp, at in committed.items()
            if at is None or not at.mark or reached.get(tp.partition, 0) < int(at.mark)
        }

    def apply(self, batches: Mapping[TP, Sequence[Record]]) -> Mapping[TP, str]:
        return {tp: self._apply(tp, records) for tp, records in batches.items()}

    def _apply(self, tp: TP, records: Sequence[Record]) -> str:
        numbers = [int(record.value or b"0") for record in records]
        time.sleep(self._slow_s)
        self._fail()
        with self._db() as db:
            db.execute("BEGIN IMMEDIATE")
            found = db.execute("SELECT number FROM reached WHERE partition = ?", (tp.partition,)).fetchone()
            reached = found[0] if found else 0
            if numbers[0] > reached + 1 or numbers != list(range(numbers[0], numbers[-1] + 1)):
                db.execute("INSERT INTO faults VALUES (?)", (f"{tp}: {numbers[0]} to {numbers[-1]} after {reached}",))
            news = [number for number in numbers if number > reached]
            db.executemany("INSERT INTO effects VALUES (?, ?)", [(tp.partition, number) for number in news])
            db.execute("REPLACE INTO reached VALUES (?, ?)", (tp.partition, max(reached, numbers[-1])))
            db.execute("INSERT INTO deliveries VALUES (?, ?, ?)", (self._worker, tp.partition, len(numbers)))
            db.execute("COMMIT")
        # written, but who asked does not know
        self._fail()
        return str(numbers[-1])

    def is_elsewhere(self) -> bool:
        return False

    def look(self) -> bool:
        return False

    def _fail(self) -> None:
        if self.path.with_suffix(".down").exists() or random.random() < self._fails / 2:
            raise StoreUnavailable("the sink fails, as it was told to")


def main() -> None:
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING)
    sink = SqliteSink(Path(told["sink"]), told["name"], fails=told["fails"], slow_s=told["slow_s"])
    app = SinkApp(
        told["group"],
        topics=[told["topic"]],
        sink=sink,
        broker=Broker(told["bootstrap"], session_timeout_s=6.0),
        limits=Limits(**told["limits"]),
        data_dir=Path(told["sink"]).parent,
    )
    asyncio.run(run(app))


if __name__ == "__main__":
    main()
