"""ClickHouseAnalytics on the engine itself, in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from infra.analytics_clickhouse import ClickHouseAnalytics
from projections.ports import EventRow, InvoiceLineRow, MetricRow
from projections.projection import Projection
from tests.contracts.analytics_reader import AnalyticsReaderContract, analytics_projections
from tests.contracts.samples import ACME, checkpoint, sample, stored
from tests.contracts.view_writer import V1, Store, ViewWriterContract


class TestAnswers(AnalyticsReaderContract):
    @pytest.fixture
    def empty(self, tmp_path: Path) -> Iterator[ClickHouseAnalytics]:
        with closing(ClickHouseAnalytics(f"chdb://{tmp_path}", analytics_projections())) as store:
            yield store


class TestViews(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> ClickHouseAnalytics:
        return ClickHouseAnalytics(place, projections)

    @pytest.fixture(params=[EventRow, MetricRow, InvoiceLineRow])
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
            for client in store._idle:
                client.set_client_setting("readonly", 1)
            yield
            # a client cannot leave this mode: the store connects anew
            store._idle.clear()

        return read_only

    def test_another_row_of_the_same_position_changes_nothing(self, store: Store, row: type) -> None:
        # weaker than the suite: of two different rows with one key and position ClickHouse keeps the one written last.
        # A pure projection never gives two; that a reader sees one row, and a whole one, holds all the same.
        store.create(V1)
        first, second = (sample(row, 1, position=4, mark=mark) for mark in ("first", "second"))
        store.apply(V1, [first], checkpoint(4))
        store.apply(V1, [second], None)
        assert list(store.scan(V1, ACME)) == stored([second])
