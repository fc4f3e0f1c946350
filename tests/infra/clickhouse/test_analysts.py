"""Who asks in SQL finds each analytics view under its own name, as docs/analysts.md says."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.clickhouse.connection import Connection
from projections.catalog import of_role
from projections.rows import Role, View
from tests.contracts.analytics_reader import FACTS, line

_PAGE = (Path(__file__).parents[3] / "docs" / "analysts.md").read_text()
_IN_COMMON = ("tenant_id", "position")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseAnalytics]:
    dsn = f"chdb://{tmp_path_factory.mktemp('analytics')}"
    with closing(ClickHouseAnalytics(dsn, of_role(Role.ANALYTICS))) as store:
        for projection in of_role(Role.ANALYTICS):
            store.create(View(projection.name, 1))
            store.switch(View(projection.name, 1))
        yield store


@pytest.fixture
def analytics(store: ClickHouseAnalytics) -> Connection:
    return store._connection


@pytest.mark.parametrize("sql", re.findall(r"```sql\n(.*?)```", _PAGE, re.DOTALL))
def test_every_question_of_the_page_is_answered(analytics: Connection, sql: str) -> None:
    assert list(analytics.query(sql, {})) == []


def test_the_page_names_every_view_with_its_columns(analytics: Connection) -> None:
    said = {
        name: re.findall(r"^\| `(\w+)` \| (.+?) \|", part, re.MULTILINE)
        for name, part in re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    }
    found: dict[str, list[tuple[str, str]]] = {projection.name: [] for projection in of_role(Role.ANALYTICS)}
    sql = "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    for table, name, type_ in analytics.query(sql, {}):
        if table in found and name not in _IN_COMMON:
            found[table].append((name, type_))
    assert said == found


def test_a_view_shows_the_live_build_and_each_row_once(store: ClickHouseAnalytics, analytics: Connection) -> None:
    sql = "SELECT number, toString(unit_price) FROM invoice_facts ORDER BY number"
    other = View(FACTS.name, FACTS.build + 1)
    for view, price in ((FACTS, "1.5"), (other, "2.5")):
        store.create(view)
        for _ in range(2):
            store.apply(view, [line("1", unit_price=price)])
        store.switch(view)
        assert analytics.query(sql, {}) == [("1", price)]
    store.switch(FACTS)
    # killed between the switch and this: whoever opens the store next, or drops a build, sets it right
    for again, view in ((store.create, FACTS), (store.drop, other)):
        with analytics.client() as client:
            client.command(f"CREATE OR REPLACE VIEW invoice_facts AS SELECT number, unit_price FROM {other.table}")
        again(view)
        assert analytics.query(sql, {}) == [("1", "1.5")]
