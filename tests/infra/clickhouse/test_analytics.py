"""ClickHouseAnalytics on the engine itself, in this process."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.clickhouse.tables import NoRoom
from projections.catalog import of_role
from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.question import Choice, Question
from projections.rows import Role, View
from projections.stores import Holder, StoreUnavailable, TooMuchAsked, WriteRefused
from schemas.envelope import TenantId
from tests.contracts.analytics_reader import (
    FACTS,
    METRICS,
    MICROSECOND,
    NOON,
    AnalyticsReaderContract,
    analytics_projections,
    line,
    reading,
)
from tests.contracts.fact_columns import UnusualFactsContract
from tests.contracts.samples import ACME, BOLT, checkpoint, sample, samples, stored
from tests.contracts.view_writer import V1, Store, ViewWriterContract
from tests.contracts.wide_rows import WideRowsContract

BATCH_ROWS = 20_000
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class TestAnswers(AnalyticsReaderContract):
    @pytest.fixture
    def empty(self, tmp_path: Path) -> Iterator[ClickHouseAnalytics]:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
            yield store


def test_checkpoints_of_an_earlier_version_are_read_and_do_not_say_their_log(tmp_path: Path) -> None:
    with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
        store.create(METRICS)
        store.apply(METRICS, [], checkpoint(7)._replace(log="one/1"))
        with store._connection.client() as client:
            client.command("ALTER TABLE checkpoints DROP COLUMN log")
    with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
        assert list(store.checkpoints(METRICS)) == [checkpoint(7)]


class TestViews(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> ClickHouseAnalytics:
        return ClickHouseAnalytics(place, projections)

    # the engine opens a folder in 0.1 s, so the quick tests do with one kind of row
    @pytest.fixture(
        params=[EventRow, *(pytest.param(row, marks=pytest.mark.full) for row in (MetricRow, InvoiceLineRow))]
    )
    def row(self, request: pytest.FixtureRequest) -> type:
        row: type = request.param
        return row

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"chdb://{tmp_path / 'analytics'}"

    @pytest.fixture
    def outage(self, store: Store) -> Callable[[], AbstractContextManager[None]]:
        @contextmanager
        def read_only() -> Iterator[None]:
            assert isinstance(store, ClickHouseAnalytics)
            for client in store._connection._idle:
                client.set_client_setting("readonly", 1)
            yield
            # a client cannot leave this mode: the store connects anew
            store._connection._idle.clear()

        return read_only

    def test_another_row_of_the_same_position_changes_nothing(self, store: Store, row: type) -> None:
        # weaker than the suite: of two different rows with one key and position ClickHouse keeps the one written last.
        # A pure projection never gives two; that a reader sees one row, and a whole one, holds all the same.
        store.create(V1)
        first, second = (sample(row, 1, position=4, mark=mark) for mark in ("first", "second"))
        store.apply(V1, [first], checkpoint(4))
        store.apply(V1, [second])
        assert list(store.scan(V1, ACME)) == stored([second])


class TestColumns(UnusualFactsContract):
    role = Role.ANALYTICS
    examples = 15

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ClickHouseAnalytics]:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path / 'analytics'}", of_role(Role.ANALYTICS))) as store:
            yield store


class TestWideRows(WideRowsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> ClickHouseAnalytics:
        return ClickHouseAnalytics(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return InvoiceLineRow

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"chdb://{tmp_path / 'analytics'}"


class TestQuestions:
    """Every question of the catalog, on every view of the role."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ClickHouseAnalytics]:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", of_role(Role.ANALYTICS))) as store:
            for projection in of_role(Role.ANALYTICS):
                store.create(View(projection.name, 1))
                store.switch(View(projection.name, 1))
            yield store

    @pytest.mark.parametrize("view", of_role(Role.ANALYTICS), ids=lambda view: view.name)
    def test_the_answer_is_made_of_the_tenants_own_rows(self, store: ClickHouseAnalytics, view: Projection) -> None:
        def answers() -> list[Any]:
            return [
                store.ask(question, ACME, **one)
                for question in view.analytics.questions
                for one in parameters(question, sample(view.layout.row, 1))
            ]

        def write(tenant: TenantId, rows: int) -> None:
            for other in of_role(Role.ANALYTICS):
                store.apply(View(other.name, 1), samples(other.layout.row, rows, tenant=tenant), checkpoint(rows))

        nothing = answers()
        write(BOLT, 3)
        assert answers() == nothing
        write(ACME, 3)
        own = answers()
        assert all(answer != none for answer, none in zip(own, nothing, strict=True))
        write(BOLT, 4)
        assert answers() == own


def parameters(question: Question[Any], row: Any) -> Iterator[Mapping[str, Any]]:
    """Yield parameters for each choice, so that the row counts."""
    choices = {name: kind.sql for name, kind in question.parameters.items() if isinstance(kind, Choice)}
    later = datetime(2026, 6, 1, tzinfo=UTC)
    shared: dict[str, Any] = {"start": None, "end": None, "limit": 10, "timezone": "Europe/Berlin", "as_of": later}
    shared |= {"above": None, "contains": None}
    for chosen in itertools.product(*choices.values()):
        known = {**shared, **row._asdict(), **dict(zip(choices, chosen, strict=True))}
        # nothing is paid of the row's invoice
        if known.get("state") != "paid":
            yield {name: known[name] for name in question.parameters}


def test_a_table_of_an_earlier_version_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    old = line("1", quantity="2", unit_price="2.5")
    new = line("2", quantity="2", unit_price="0", exact_price="0.000016666700")
    with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
        store.create(FACTS)
        store.apply(FACTS, [old])
        with store._connection.client() as client:
            client.command(f"ALTER TABLE {FACTS.table} DROP COLUMN exact_price")
        for _ in range(2):
            store.create(FACTS)
        store.apply(FACTS, [new])
        assert list(store.scan(FACTS, ACME)) == [old, new]


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_facts_with_one_identity_the_last_of_the_log_stays(tmp_path: Path, *, turned: bool) -> None:
    rows = [reading(1.0, position=7), reading(2.0, position=8)]
    with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", of_role(Role.ANALYTICS))) as store:
        store.create(METRICS)
        for row in reversed(rows) if turned else rows:
            store.apply(METRICS, [row])
        assert list(store.scan(METRICS, ACME)) == rows[1:]


class TestRefusals:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ClickHouseAnalytics]:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
            for view in (FACTS, METRICS):
                store.create(view)
            yield store

    @pytest.mark.parametrize(
        "bad",
        [
            line(quantity="1.00001"),
            line(unit_price="100000000000000"),
            line(unit_price="0." + "0" * 40 + "1"),
            line(unit_price="NaN"),
            line(unit_price="-Infinity"),
            line(number=-1),
            line(at=NOON.replace(tzinfo=None)),
            line(country=None),  # type: ignore[arg-type]
            line()._replace(quantity=None),  # type: ignore[arg-type]
            line()._replace(line=1.5),  # type: ignore[arg-type]
        ],
        ids=repr,
    )
    def test_an_invoice_line_that_would_be_stored_as_another_is_refused(
        self, store: ClickHouseAnalytics, bad: InvoiceLineRow
    ) -> None:
        with pytest.raises(WriteRefused, match="invoice_facts_v1"):
            store.apply(FACTS, [line("2"), bad], checkpoint(1))
        assert list(store.scan(FACTS, ACME)) == []
        assert list(store.checkpoints(FACTS)) == []

    def test_a_row_that_the_engine_itself_refuses_is_refused_and_not_waited_for(
        self, store: ClickHouseAnalytics
    ) -> None:
        with store._connection.client() as client:
            client.command("ALTER TABLE invoice_facts_v1 ADD CONSTRAINT known CHECK country != 'XX'")
        with pytest.raises(WriteRefused, match="invoice_facts_v1"):
            store.apply(FACTS, [line(country="XX")], checkpoint(1))
        store.apply(FACTS, [line()], checkpoint(1))

    def test_a_question_that_takes_too_much_is_no_outage(self, store: ClickHouseAnalytics) -> None:
        slow = "SELECT count() FROM numbers(1e12) SETTINGS max_execution_time = 1, max_rows_to_read = 1000"
        with pytest.raises(TooMuchAsked):
            store._connection.query(slow, {})

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_reading_that_would_spoil_every_average_is_refused(
        self, store: ClickHouseAnalytics, value: float
    ) -> None:
        with pytest.raises(WriteRefused, match="finite"):
            store.apply(METRICS, [reading(value)])

    @pytest.mark.parametrize("at", [FIRST, datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), LAST])
    def test_every_instant_of_python_comes_back_exactly(self, store: ClickHouseAnalytics, at: datetime) -> None:
        row = reading(0.1, at)
        store.apply(METRICS, [row])
        assert list(store.scan(METRICS, ACME)) == [row]


class TestEngine:
    def test_a_table_is_not_made_on_a_full_disk_where_the_folder_would_never_open_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
            store.create(METRICS)
            with monkeypatch.context() as full:
                full.setattr("infra.clickhouse.tables.ROOM_TO_CHANGE", 1 << 62)
                store.create(METRICS)
                with pytest.raises(NoRoom, match=f"is full, and {FACTS.table} must be changed"):
                    store.create(FACTS)
                with pytest.raises(NoRoom, match="is full, and holder_metrics_5m_1 must be changed"):
                    store.hold("metrics_5m", Holder("me", NOON), now=NOON)
                with pytest.raises(NoRoom, match=f"is full, and {METRICS.name} must be changed"):
                    store.switch(METRICS)
            store.create(FACTS)

    def test_a_table_of_an_earlier_version_gets_cheap_parts_once(self, tmp_path: Path) -> None:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
            store.create(METRICS)
            with store._connection.client() as client:
                for name in ("min_bytes_for_full_part_storage", "concurrent_part_removal_threshold"):
                    client.command(f"ALTER TABLE {METRICS.table} RESET SETTING {name}")
        definition = next(file for file in (tmp_path / "store").rglob(f"{METRICS.table}.sql"))
        for _ in range(2):
            with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
                store.create(METRICS)
                written, text = definition.stat().st_mtime_ns, definition.read_text()
        assert "min_bytes_for_full_part_storage = 1048576" in text
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
            store.create(METRICS)
        assert definition.stat().st_mtime_ns == written

    def test_a_folder_that_another_process_holds_is_an_outage(self, tmp_path: Path) -> None:
        code = (
            "import sys; from infra.clickhouse.analytics import ClickHouseAnalytics;"
            "store = ClickHouseAnalytics(sys.argv[1], ()); store.builds('things');"
            "print('open', flush=True); sys.stdin.read()"
        )
        dsn = f"chdb://{tmp_path}"
        child = subprocess.Popen([sys.executable, "-c", code, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with child, closing(ClickHouseAnalytics(dsn, ())) as store:
            assert child.stdout is not None
            assert child.stdout.readline() == b"open\n"
            with pytest.raises(StoreUnavailable):
                store.builds("things")
            child.communicate()
            assert list(store.builds("things")) == []

    def test_a_killed_process_leaves_whole_batches_and_every_acknowledged_one(self, tmp_path: Path) -> None:
        dsn = f"chdb://{tmp_path}"
        code = "import sys; from tests.infra.clickhouse.test_analytics import measure_for_ever as run; run(sys.argv[1])"
        acknowledged = 0
        command = [sys.executable, "-c", code, dsn]
        # the driver writes each batch to a temporary file, and a kill leaves it
        here = {**os.environ, "TMPDIR": str(tmp_path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=here) as child:
            assert child.stdout is not None
            for output in child.stdout:
                acknowledged = int(output)
                if acknowledged == 3:
                    time.sleep(0.05)
                    child.kill()
        with closing(ClickHouseAnalytics(dsn, analytics_projections())) as store:
            (reached,) = store.checkpoints(METRICS)
            rows = sum(1 for _ in store.scan(METRICS, ACME))
        assert acknowledged >= 3
        assert rows % BATCH_ROWS == 0
        assert acknowledged * BATCH_ROWS <= reached.position <= rows

    def test_a_closed_store_is_not_opened_again(self, tmp_path: Path) -> None:
        store = ClickHouseAnalytics(f"chdb://{tmp_path}", ())
        store.builds("things")
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.builds("things")

    def test_a_server_that_is_not_there_is_an_outage(self) -> None:
        store = ClickHouseAnalytics("clickhouse://127.0.0.1:1/default", ())
        with closing(store), pytest.raises(StoreUnavailable):
            store.builds("things")


def measure_for_ever(dsn: str) -> None:
    store = ClickHouseAnalytics(dsn, analytics_projections())
    store.create(METRICS)
    for batch in itertools.count():
        begin = batch * BATCH_ROWS
        rows = [reading(1.0, NOON + n * MICROSECOND, position=n + 1) for n in range(begin, begin + BATCH_ROWS)]
        store.apply(METRICS, rows, checkpoint(begin + BATCH_ROWS))
        print(batch + 1, flush=True)
