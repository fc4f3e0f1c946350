"""The tables of the released views are those that clusters have already."""

from pathlib import Path

from infra.cassandra.table import Table
from projections.catalog import of_role
from projections.rows import Role, View

RELEASED = Path(__file__).with_name("tables.cql")


def test_released_views_keep_their_tables_and_how_they_are_written() -> None:
    tables = [Table("factline", View(view.name, 1), view.timeline) for view in of_role(Role.TIMELINE)]
    made = {statement for table in tables for statement in (*table.schema(), table.insert_place, table.insert)}
    assert set(RELEASED.read_text().splitlines()) <= made, "do not edit the file: clusters have these tables"
