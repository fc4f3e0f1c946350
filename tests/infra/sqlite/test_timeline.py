"""The embedded timeline keeps every promise of ViewWriter and TimelineReader."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from infra.sqlite import views as sqlite_views
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import of_role
from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.rows import Role, View
from tests.contracts.fact_columns import UnusualFactsContract
from tests.contracts.new_views import NewViewsContract
from tests.contracts.timeline_reader import TimelineReaderContract
from tests.contracts.view_writer import ViewWriterContract
from tests.contracts.wide_rows import WideRowsContract


@contextmanager
def locked(place: str) -> Iterator[None]:
    """Hold the file's write lock, as a backup or another process may."""
    other = sqlite3.connect(place, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


class TestWriter(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteTimeline:
        return SqliteTimeline(place, projections)

    @pytest.fixture(params=[MetricRow, LogRow, EventRow, InvoiceLineRow], ids=lambda row: row.__name__)
    def row(self, request: pytest.FixtureRequest) -> type:
        row: type = request.param
        return row

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(sqlite_views, "BUSY_TIMEOUT_MS", 20)
        return str(tmp_path / "views.db")

    @pytest.fixture
    def outage(self, place: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: locked(place)


class TestColumns(UnusualFactsContract):
    role = Role.TIMELINE

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteTimeline]:
        with closing(SqliteTimeline(tmp_path / "views.db", of_role(Role.TIMELINE))) as store:
            yield store


class TestColumnsOfScratch(TestColumns):
    """`verify` keeps the rows of analytics here too."""

    role = Role.ANALYTICS
    examples = 20

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteTimeline]:
        with closing(SqliteTimeline(tmp_path / "views.db", of_role(Role.ANALYTICS))) as store:
            yield store


class TestWideRows(WideRowsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteTimeline:
        return SqliteTimeline(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return LogRow

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "views.db")


class TestReader(TimelineReaderContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteTimeline:
        return SqliteTimeline(place, projections)

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "views.db")


class TestNewViews(NewViewsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteTimeline:
        return SqliteTimeline(place, projections)

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "views.db")


def test_released_views_keep_their_tables_and_indexes(tmp_path: Path) -> None:
    views = of_role(Role.TIMELINE)
    with closing(SqliteTimeline(tmp_path / "views.db", views)) as store:
        for view in views:
            store.create(View(view.name, 1))
        made = {sql for (sql,) in store._database._writer.execute("SELECT sql FROM sqlite_master")}
    released = Path(__file__).with_name("tables.sql").read_text().splitlines()
    assert set(released) <= made, "do not edit the file: folders have these tables"
