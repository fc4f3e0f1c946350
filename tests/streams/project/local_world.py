"""One role of a real data directory, without the analytics engine: its store, its runner and what an operator does."""

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.scratch import scratch
from infra.sqlite.timeline import SqliteTimeline
from projections.history import audit_trail, stream_history
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.rows import Role, View
from schemas.envelope import TenantId
from streams.ports import SystemClock
from streams.project.local_runner import RoleRunner
from streams.project.operations import LocalOperations
from streams.project.step import Step

DEMO = TenantId("demo")
PROJECTIONS = (audit_trail.PROJECTION, stream_history.PROJECTION)


class World:
    """One role's store with its runner, over a log that tests write to."""

    def __init__(self, folder: Path, log: SqliteEventLog, projections: tuple[Projection, ...] = PROJECTIONS) -> None:
        self.folder = folder
        self.log = log
        self.store = SqliteTimeline(folder / "timeline.sqlite", projections)
        self.letters = SqliteDeadLetters(folder / "letters.sqlite")
        clock = SystemClock()
        self.runner = RoleRunner(
            Role.TIMELINE, projections, log=log, store=self.store, dead_letters=self.letters, clock=clock
        )
        self.operations = LocalOperations(
            [self.runner], log=log, dead_letters=self.letters, clock=clock, scratch=partial(scratch, folder)
        )

    def history(self) -> list[tuple[str, int]]:
        live = self.store.live("stream_history")
        assert live is not None
        return [(row.stream, row.version) for row in self.store.scan(live, DEMO) if isinstance(row, EventRow)]

    def close(self) -> None:
        self.runner.stop()
        self.store.close()
        self.letters.close()


def ignore(_step: Step) -> None:
    pass


def damage(world: World, statement: str) -> None:
    connection = sqlite3.connect(world.folder / "timeline.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def lose_rows(world: World, view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store lose every second row of a build without a word."""
    apply = world.store.apply

    def losing(to: View, rows: Any, *checkpoints: Any) -> None:
        apply(to, rows[::2] if to == view else rows, *checkpoints)

    monkeypatch.setattr(world.store, "apply", losing)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
