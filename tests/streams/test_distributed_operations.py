"""What an operator sees from outside the workers, told by two roles' stores that any process may open."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from infra.dead_letters_sqlite import SqliteDeadLetters
from infra.documents_sqlite import SqliteDocuments
from infra.event_log_sqlite import SqliteEventLog
from infra.timeline_sqlite import SqliteTimeline
from projections import devices, stream_history
from projections.ports import Role, StoreUnavailable
from projections.projection import Projection
from schemas.envelope import Position, TenantId, Topic
from streams.distributed_operations import DistributedOperations
from streams.local_runner import RoleRunner
from streams.ports import Stores, SystemClock
from streams.view_jobs import UnknownProjection
from streams.writer import Writer
from tests.contracts.dead_letters import letter
from tests.streams.kit import register

PROJECTIONS = (stream_history.PROJECTION, devices.PROJECTION)
ACME = TenantId("acme")


class World:
    """Two roles with a worker each, and operations that know the workers only by what they write."""

    def __init__(self, folder: Path, log: SqliteEventLog) -> None:
        self.timeline = SqliteTimeline(folder / "timeline.sqlite", PROJECTIONS)
        self.documents = SqliteDocuments(folder / "documents.sqlite", PROJECTIONS)
        self.letters = {role: SqliteDeadLetters(folder / f"{role.value}-letters.sqlite") for role in self._stores}
        self.workers = {
            projection.role: RoleRunner(
                projection.role,
                [projection],
                log=log,
                store=self._stores[projection.role],
                dead_letters=self.letters[projection.role],
                clock=SystemClock(),
            )
            for projection in PROJECTIONS
        }
        self.operations = DistributedOperations(
            {role: Stores(store, self.letters[role]) for role, store in self._stores.items()},
            log=log,
            clock=SystemClock(),
            scratch=no_scratch,
            projections=PROJECTIONS,
        )

    @property
    def _stores(self) -> dict[Role, Any]:
        return {Role.TIMELINE: self.timeline, Role.DOCUMENTS: self.documents}

    def catch_up(self) -> None:
        for worker in self.workers.values():
            worker.catch_up()

    def close(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.timeline.close()
        self.documents.close()
        for letters in self.letters.values():
            letters.close()


def no_scratch(_projection: Projection) -> AbstractContextManager[Any]:
    raise NotImplementedError


@pytest.fixture
def world(tmp_path: Path, log: SqliteEventLog) -> Iterator[World]:
    world = World(tmp_path, log)
    yield world
    world.close()


def test_lag_is_what_the_log_has_and_the_store_has_not(world: World, writer: Writer) -> None:
    world.catch_up()
    assert [(status.state, status.lag_events, status.lag_s) for status in world.operations.projections()] == [
        ("live", 0, 0.0),
        ("live", 0, 0.0),
    ]
    writer.write([register("web-1"), register("web-2")])
    world.workers[Role.TIMELINE].catch_up()
    history, documents = world.operations.projections()
    assert (history.lag_events, documents.lag_events) == (0, 2)
    assert documents.lag_s > 0
    assert [(lag.topic, lag.partition, lag.lag_events) for lag in documents.lags] == [
        (Topic.EVENTS, 0, 2),
        (Topic.TELEMETRY, 0, 0),
    ]


def test_reading_ones_own_write_waits_for_the_store(world: World, writer: Writer) -> None:
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert not world.operations.wait_for(["devices"], reply.position, 0.02)
    threading.Timer(0.1, world.catch_up).start()
    assert world.operations.wait_for(["devices", "stream_history"], reply.position, 10.0)
    assert world.operations.wait_for(["stream_history"], Position(Topic.TELEMETRY, 0, 1_000), 0.0)


def test_store_that_is_down_is_one_that_is_waited_for_and_the_others_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_name: str) -> None:
        raise StoreUnavailable("no route to the store")

    monkeypatch.setattr(world.documents, "live", down)
    history, documents = world.operations.projections()
    assert (history.state, history.error) == ("live", None)
    assert (documents.state, documents.error, documents.live) == ("waiting", "no route to the store", None)
    assert world.operations.health() == {"timeline": "ok", "documents": "no route to the store", "log": "ok"}


def test_dead_letters_of_all_stores_come_in_one_order_page_by_page(world: World) -> None:
    documents = [letter(n, view="devices_v1") for n in (1, 2)]
    history = [letter(n, view="stream_history_v1") for n in (1, 2)]
    audit = [letter(n, view="audit_trail_v1") for n in (3, 4)]
    world.letters[Role.DOCUMENTS].park(documents)
    world.letters[Role.TIMELINE].park([*history, *audit])
    wanted = [*audit, *documents, *history]
    assert world.operations.dead_letters(ACME, view=None, after=None, limit=10) == wanted
    last = wanted[2]
    after = (last.view, Position(last.topic, last.partition, last.position))
    assert world.operations.dead_letters(ACME, view=None, after=after, limit=2) == wanted[3:5]
    assert world.operations.dead_letters(ACME, view="devices_v1", after=None, limit=10) == documents


def test_unknown_projection_is_named(world: World) -> None:
    with pytest.raises(UnknownProjection, match="there is no projection 'nonsense'"):
        world.operations.reached("nonsense")
