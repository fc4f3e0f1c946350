"""The distributed timeline keeps every promise of ViewWriter and TimelineReader on a real Cassandra."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from cassandra.cluster import Cluster

from infra.cassandra import connection as connection_cassandra
from infra.cassandra import timeline as timeline_cassandra
from infra.cassandra.connection import CassandraAddress
from infra.cassandra.dead_letters import CassandraDeadLetters
from infra.cassandra.timeline import CassandraTimeline
from projections.catalog import of_role
from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.readers import MetricPoint
from projections.rows import Role, View
from projections.stores import StoreUnavailable, WriteRefused
from schemas.envelope import StreamId
from tests.contracts.dead_letters import DeadLettersContract
from tests.contracts.fact_columns import FactColumnsContract
from tests.contracts.new_views import NOON, NewViewsContract
from tests.contracts.samples import ACME, checkpoint, sample, samples, stored
from tests.contracts.timeline_reader import TimelineReaderContract, decided, line, reading
from tests.contracts.view_writer import V1, Store, ViewWriterContract, projections_of, reopening
from tests.contracts.wide_rows import WideRowsContract
from tests.infra.network import Line

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra

NUMBERS = count()
# what a bucket of the audit trail and of a stream's history holds
EVENTS_IN_BUCKET, VERSIONS_IN_BUCKET = 20_000, 10_000


def address(place: str) -> CassandraAddress:
    host, port, keyspace = place.split(":")
    return CassandraAddress([(host, int(port))], keyspace)


def opened(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
    return CassandraTimeline(address(place), projections)


@pytest.fixture(scope="module")
def network(scratch_cassandra: "Cassandra") -> Iterator[Line]:
    with Line(scratch_cassandra.port) as line:
        yield line


@pytest.fixture
def place(network: Line, monkeypatch: pytest.MonkeyPatch) -> str:
    # a driver that connects reads the whole schema, here that of all tests before
    monkeypatch.setattr(connection_cassandra, "Cluster", partial(Cluster, schema_metadata_enabled=False))
    place = f"127.0.0.1:{network.port}:test_{next(NUMBERS)}"
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


def test_checkpoints_of_an_earlier_version_are_read_once_the_table_was_brought_up_to_date(place: str) -> None:
    with closing(opened(place, projections_of(EventRow))) as store:
        store.create(V1)
        store.apply(V1, [], checkpoint(7)._replace(log="one/1"))
        store._connection.define(f"ALTER TABLE {store._table(V1).checkpoints} DROP log")
    with closing(opened(place, projections_of(EventRow))) as store:
        store.create(V1)
        assert list(store.checkpoints(V1)) == [checkpoint(7)]


class TestWriter(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
        return opened(place, projections)

    # readings are cut like events by stream; they are written in the reader's suite, and in test_projector_stores.py
    @pytest.fixture(params=[LogRow, EventRow], ids=lambda row: row.__name__)
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
        store.apply(V1, [second])
        assert list(store.scan(V1, ACME)) == stored([max(first, second)])

    @pytest.fixture
    def outage(self, store: Store, network: Line) -> Callable[[], AbstractContextManager[None]]:
        return lambda: until_it_answers(lambda: store.live("things"), network.cut())


def test_a_key_that_is_too_long_is_refused_and_not_waited_for(place: str) -> None:
    with closing(opened(place, projections_of(EventRow))) as store:
        store.create(V1)
        row = sample(EventRow, 1)
        with pytest.raises(WriteRefused, match="key is longer than"):
            store.apply(V1, [row, sample(EventRow, 2)._replace(stream=StreamId("x" * 70_000))])  # type: ignore[attr-defined]
        store.apply(V1, [row], checkpoint(1))
        assert list(store.scan(V1, ACME)) == [row]


def test_a_place_is_written_once_but_to_each_table_of_a_name(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        closing(opened(place, projections_of(MetricRow))) as store,
        closing(opened(place, projections_of(MetricRow))) as operator,
    ):
        sent: list[int] = []
        write_all = store._write_all

        def counted(batched: Any, writes: int) -> None:
            sent.append(writes)
            write_all(batched, writes)

        monkeypatch.setattr(store, "_write_all", counted)
        store.create(V1)
        assert not store.checkpoints(V1)
        rows, again = samples(MetricRow, 3), [sample(MetricRow, n, position=n + 10) for n in (1, 2, 3)]
        store.apply(V1, rows, checkpoint(3))
        assert len(store.checkpoints(V1)) == 1
        store.apply(V1, [*again, sample(MetricRow, 4)], checkpoint(13))
        operator.drop(V1)
        operator.create(V1)
        assert not store.checkpoints(V1)
        store.apply(V1, rows, checkpoint(3))
        assert list(store.scan(V1, ACME)) == stored(rows)
        monkeypatch.setattr(timeline_cassandra, "KNOWN_PLACES", 3)
        store.apply(V1, [sample(MetricRow, 4)], checkpoint(4))
        store.apply(V1, again, checkpoint(13))
        assert sent == [6, 5, 6, 2, 6]


def test_who_only_reads_how_far_a_view_is_asks_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(place, projections_of(MetricRow))) as store:
        store.create(V1)
        asked: list[str] = []
        ask = store._connection.ask

        def counted(statement: str, *values: Any) -> Any:
            asked.append(statement)
            return ask(statement, *values)

        monkeypatch.setattr(store._connection, "ask", counted)
        assert not store.checkpoints(V1)
        assert len(asked) == 1


def test_what_the_server_refuses_for_what_it_says_is_refused_and_not_waited_for(place: str) -> None:
    with closing(opened(place, projections_of(LogRow))) as store:
        store.create(V1)
        row: Any = sample(LogRow, 1)
        with pytest.raises(WriteRefused, match="cassandra refused it"):
            store.apply(V1, [row, row._replace(fact_id="x" * 70_000)])
        store.apply(V1, [row], checkpoint(1))
        assert list(store.scan(V1, ACME)) == [row]


class TestColumns(FactColumnsContract):
    role = Role.TIMELINE
    examples = 3

    @pytest.fixture
    def store(self, place: str) -> Iterator[CassandraTimeline]:
        with closing(opened(place, of_role(Role.TIMELINE))) as store:
            yield store


class TestWideRows(WideRowsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
        return opened(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return LogRow

    @pytest.fixture
    def place(self, place: str) -> str:
        return place


def test_a_row_that_somebody_else_left_without_values_is_seen(place: str) -> None:
    with closing(opened(place, projections_of(EventRow))) as store:
        row = sample(EventRow, 1)
        assert isinstance(row, EventRow)
        store.create(V1)
        store.apply(V1, [row], checkpoint(1))
        table = f"{address(place).keyspace}.{V1.table}"
        store._connection.ask(
            f"INSERT INTO {table} (tenant_id, stream, bucket, version) VALUES (?, ?, ?, ?)",
            *(row.tenant_id, row.stream, row.version // VERSIONS_IN_BUCKET, row.version + 1),
        )
        kept, left = store.scan(V1, ACME)
        assert kept == row
        assert isinstance(left, EventRow)
        assert left._asdict() == dict.fromkeys(row._fields) | {
            "tenant_id": ACME,
            "stream": row.stream,
            "version": row.version + 1,
        }


class TestReader(TimelineReaderContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> CassandraTimeline:
        return opened(place, projections)

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    # what lies in several partitions

    def test_readings_of_several_days_are_one_answer(self, store: CassandraTimeline) -> None:
        rows = [reading(NOON + n * timedelta(hours=7), float(n), position=n + 1) for n in range(20)]
        self.write(store, "device_metrics", list(reversed(rows)))
        end = NOON + timedelta(days=30)
        assert self.points(store, end=end) == [MetricPoint(row.happened_at, row.value, 1) for row in rows]
        found = self.points(store, end=end, step_s=172_800, aggregate="count")
        assert sum(point.readings for point in found) == 20
        assert list(store.scan(View("device_metrics", 1), ACME)) == rows

    def test_log_lines_of_several_days_are_paged_newest_first(self, store: CassandraTimeline) -> None:
        rows = [line(n, at=NOON + n // 3 * timedelta(hours=11)) for n in range(60)]
        self.write(store, "device_logs", rows)
        found: list[LogRow] = []
        while page := self.lines(store, before=(found[-1].happened_at, found[-1].fact_id) if found else None, limit=7):
            found.extend(page)
        assert found == list(reversed(rows))
        assert list(store.scan(View("device_logs", 1), ACME)) == rows

    def test_a_long_history_is_read_across_its_buckets(self, store: CassandraTimeline) -> None:
        versions = [1, VERSIONS_IN_BUCKET - 1, VERSIONS_IN_BUCKET, VERSIONS_IN_BUCKET + 1, 3 * VERSIONS_IN_BUCKET]
        rows = [decided(at, version=version) for at, version in enumerate(versions, 1)]
        self.write(store, "stream_history", rows)
        assert self.history(store, "device-1") == rows
        assert self.history(store, "device-1", after=versions[1], limit=2) == rows[2:4]
        assert list(store.scan(View("stream_history", 1), ACME)) == rows

    def test_long_invoices_that_come_together_are_kept_each_in_its_stream(self, store: CassandraTimeline) -> None:
        data = orjson.dumps({"lines": ["x" * 100] * 120}).decode()
        rows = [decided(n, stream=f"invoice-{n:02}", version=1)._replace(data=data) for n in range(1, 31)]
        self.write(store, "stream_history", rows)
        assert list(store.scan(View("stream_history", 1), ACME)) == rows

    def test_a_long_audit_trail_is_answered_by_position_and_scanned_by_key(self, store: CassandraTimeline) -> None:
        rows = [decided(n * EVENTS_IN_BUCKET // 3, stream=f"device-{n % 4}", version=n) for n in range(1, 25)]
        for _ in range(2):
            self.write(store, "audit_trail", rows)
        found: list[EventRow] = []
        while page := self.events(store, before=found[-1].position if found else None, limit=5):
            found.extend(page)
        assert found == list(reversed(rows))
        assert list(store.scan(View("audit_trail", 1), ACME)) == stored(rows)

    def test_a_clock_that_is_set_back_over_midnight_tears_no_page(self, store: CassandraTimeline) -> None:
        midnight = NOON + timedelta(hours=12)
        seconds = [-2, -1, 1, 2, -1, 1, -2, 3]
        rows = [
            decided(n, version=n)._replace(recorded_at=midnight + at * timedelta(seconds=1))
            for n, at in enumerate(seconds, 1)
        ]
        self.write(store, "audit_trail", rows)
        found: list[EventRow] = []
        while page := self.events(store, before=found[-1].position if found else None, limit=3):
            found.extend(page)
        assert found == list(reversed(rows))
        after_midnight = [row for row in reversed(rows) if row.recorded_at >= midnight]
        assert self.events(store, start=midnight) == after_midnight


class TestNewViews(NewViewsContract):
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
    def outage(self, store: CassandraDeadLetters, network: Line) -> Callable[[], AbstractContextManager[None]]:
        return lambda: until_it_answers(lambda: store.parked_streams("devices_v1"), network.cut())
