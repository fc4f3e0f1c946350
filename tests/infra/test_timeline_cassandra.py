"""The distributed timeline keeps every promise of ViewWriter and TimelineReader on a real Cassandra."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("cassandra", reason="the driver comes with the extra 'distributed'", exc_type=ImportError)

from cassandra.cluster import Cluster

from infra import connection_cassandra
from infra.connection_cassandra import CassandraAddress
from infra.dead_letters_cassandra import CassandraDeadLetters
from infra.timeline_cassandra import CassandraTimeline
from projections.ports import EventRow, LogRow, MetricRow, StoreUnavailable
from projections.projection import Projection
from tests.contracts.dead_letters import DeadLettersContract
from tests.contracts.samples import ACME, checkpoint, sample, stored
from tests.contracts.timeline_reader import TimelineReaderContract
from tests.contracts.view_writer import V1, Store, ViewWriterContract, projections_of, reopening
from tests.infra.network import Line

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra

NUMBERS = count()


def address(place: str) -> CassandraAddress:
    host, port, keyspace = place.split(":")
    return CassandraAddress([(host, int(port))], keyspace)


def opened(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
    return CassandraTimeline(address(place), projections)


@pytest.fixture(scope="module")
def line(scratch_cassandra: "Cassandra") -> Iterator[Line]:
    with Line(scratch_cassandra.port) as line:
        yield line


@pytest.fixture
def place(line: Line, monkeypatch: pytest.MonkeyPatch) -> str:
    # a driver that connects reads the whole schema, here that of all tests before
    monkeypatch.setattr(connection_cassandra, "Cluster", partial(Cluster, schema_metadata_enabled=False))
    place = f"127.0.0.1:{line.port}:test_{next(NUMBERS)}"
    with closing(opened(place, ())) as store:
        store.migrate()
    return place


@contextmanager
def until_it_answers(ask: Callable[[], object], outage: AbstractContextManager[None]) -> Iterator[None]:
    """Let an outage last until the driver has found the engine again."""
    with outage:
        yield
    while True:
        with suppress(StoreUnavailable):
            ask()
            return


class TestWriter(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
        return opened(place, projections)

    @pytest.fixture(params=[MetricRow, LogRow, EventRow], ids=lambda row: row.__name__)
    def row(self, request: pytest.FixtureRequest) -> type:
        row: type = request.param
        return row

    @pytest.fixture
    def reopen(self, place: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], Store]]:
        # tests that ask for no row run once, not once for each kind of row
        row = request.getfixturevalue("row") if "row" in request.fixturenames else EventRow
        yield from reopening(lambda: self.open(place, projections_of(row)))

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    @pytest.mark.parametrize("marks", [("first", "second"), ("second", "first")])
    def test_another_row_of_the_same_position_changes_nothing(  # type: ignore[override]
        self, store: Store, row: type, marks: tuple[str, str]
    ) -> None:
        # weaker than the suite: of two different values with one key and position Cassandra keeps the greater one,
        # whichever came first. A pure projection never gives two; that all replicas agree holds all the same.
        store.create(V1)
        first, second = (sample(row, 1, position=4, mark=mark) for mark in marks)
        store.apply(V1, [first], checkpoint(4))
        store.apply(V1, [second], None)
        assert list(store.scan(V1, ACME)) == stored([max(first, second)])

    @pytest.fixture
    def outage(self, store: Store, line: Line) -> Callable[[], AbstractContextManager[None]]:
        return lambda: until_it_answers(lambda: store.live("things"), line.cut())


class TestReader(TimelineReaderContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
        return opened(place, projections)

    @pytest.fixture
    def place(self, place: str) -> str:
        return place


class TestDeadLetters(DeadLettersContract):
    @staticmethod
    def open(place: str) -> CassandraDeadLetters:
        return CassandraDeadLetters(address(place))

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    @pytest.fixture
    def outage(self, store: CassandraDeadLetters, line: Line) -> Callable[[], AbstractContextManager[None]]:
        return lambda: until_it_answers(lambda: store.parked("devices_v1"), line.cut())
