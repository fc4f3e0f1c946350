"""The analytics store and its dead letters keep every promise over the network.

What answers is infra/engines/clickhouse_front.py: SQL, storage and formats are the real engine's (chDB), the HTTP
interface is a stand-in for a server's.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import count
from typing import TYPE_CHECKING

import httpx
import pytest

from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.clickhouse.dead_letters import ClickHouseDeadLetters
from projections.finance.invoice_facts import InvoiceLineRow
from tests.contracts.analytics_reader import AnalyticsReaderContract, analytics_projections
from tests.contracts.dead_letters import DeadLettersContract
from tests.infra.clickhouse import test_analytics as test_analytics_clickhouse
from tests.infra.network import Line

if TYPE_CHECKING:
    from infra.engines.clickhouse import ClickHouseFront

NUMBERS = count()


@pytest.fixture(scope="module")
def line(clickhouse_front: "ClickHouseFront") -> Iterator[Line]:
    with Line(clickhouse_front.port) as line:
        yield line


@pytest.fixture
def place(line: Line) -> str:
    address, database = f"127.0.0.1:{line.port}", f"analytics_{next(NUMBERS)}"
    httpx.post(f"http://{address}", content=f"CREATE DATABASE {database}", timeout=60).raise_for_status()
    return f"clickhouse://{address}/{database}"


class TestAnswers(AnalyticsReaderContract):
    @pytest.fixture
    def empty(self, place: str) -> Iterator[ClickHouseAnalytics]:
        with closing(ClickHouseAnalytics(place, analytics_projections())) as store:
            yield store


class TestViews(test_analytics_clickhouse.TestViews):
    @pytest.fixture
    def row(self) -> type:
        # of all types there are; the other rows are written in the suite above, and in test_analytics_clickhouse.py
        return InvoiceLineRow

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    @pytest.fixture
    def outage(self, line: Line) -> Callable[[], AbstractContextManager[None]]:
        return line.cut


class TestWideRows(test_analytics_clickhouse.TestWideRows):
    @pytest.fixture
    def place(self, place: str) -> str:
        return place


class TestDeadLetters(DeadLettersContract):
    @staticmethod
    def open(place: str) -> ClickHouseDeadLetters:
        return ClickHouseDeadLetters(place)

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    @pytest.fixture
    def outage(self, line: Line) -> Callable[[], AbstractContextManager[None]]:
        return line.cut
