"""This keeps the document views in SQLite, each document as JSON, and answers from them."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from infra.sqlite.bulk import insert_many
from infra.sqlite.views import SqliteViews, check_written, live_build
from projections.documents import Folding, check_filter, check_sort, sort_text
from projections.layout import Documents
from projections.readers import CountRow
from projections.rows import Document, Patch, Row, StoredRow, View, as_text
from schemas.envelope import TenantId

# an instant is text by now: orjson would write it in another way than the projections do
_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME

_FEW = 1_000

_SELECT = "SELECT tenant_id, id, event_order, fields FROM"


class SqliteDocuments(SqliteViews):
    """ViewWriter and DocumentsReader of the embedded profile."""

    def _schema(self, view: View) -> Sequence[str]:
        layout = self._projections[view.name].documents
        filters = [f"filter_{field}" for field in layout.filters]
        sorts = [f"sort_{field}" for field in layout.sorts]
        indexes = [f"tenant_id, {column}" for column in filters] + [f"tenant_id, {column}, id" for column in sorts]
        columns = (
            "tenant_id TEXT NOT NULL",
            "id TEXT NOT NULL",
            "event_order INTEGER NOT NULL",
            "telemetry_order INTEGER NOT NULL",
            "fields TEXT NOT NULL",
            *(f"{column} TEXT" for column in filters),
            *(f"{column} TEXT NOT NULL DEFAULT ''" for column in sorts),
            "PRIMARY KEY (tenant_id, id)",
        )
        return (
            f'CREATE TABLE "{view.table}" ({", ".join(columns)}) STRICT',
            *(f'CREATE INDEX "{view.table}_{n}" ON "{view.table}" ({keys})' for n, keys in enumerate(indexes, 1)),
        )

    def _write(self, connection: sqlite3.Connection, view: View, rows: Sequence[Row]) -> None:
        layout = self._projections[view.name].documents
        documents = _folded(connection, view, [row for row in rows if isinstance(row, Patch)])
        texts = _text_columns(connection, view)
        names = ("event_order", "telemetry_order", "fields", *texts)
        sent = [
            (*key, *document.orders.values(), _json(document.fields), *_texts(layout, texts, document.fields))
            for key, document in documents.items()
            if document.changed
        ]
        before = connection.total_changes
        insert_many(
            connection,
            f'INSERT INTO "{view.table}" (tenant_id, id, {", ".join(names)})',
            sent,
            f"ON CONFLICT (tenant_id, id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}",
        )
        check_written(view.table, len(sent), connection.total_changes - before)

    def _select(self, view: View) -> str:
        return f'{_SELECT} "{view.table}"'

    def _stored(self, view: View, values: Sequence[Any]) -> StoredRow:  # noqa: ARG002
        return _document(values)

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:
        layout = self._projections[view.name].documents
        with self._database.read() as connection:
            columns = _text_columns(connection, view)
            found = connection.execute(
                f'SELECT id, fields{"".join(f", {name}" for name in columns)} FROM "{view.table}" WHERE tenant_id = ?',
                (tenant_id,),
            )
            for id_, fields, *texts in found:
                if texts != list(_texts(layout, columns, orjson.loads(fields))):
                    yield tenant_id, id_

    # --- answers

    def get(self, view: str, tenant_id: TenantId, id: str) -> Document | None:  # noqa: A002
        found = self._query(view, f"{_SELECT} {{table}} WHERE tenant_id = ? AND id = ?", (tenant_id, id))
        return _document(found[0]) if found else None

    def find(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        filters: Mapping[str, str],
        sort: str,
        descending: bool,
        after: tuple[str, str] | None,
        limit: int,
    ) -> Sequence[Document]:
        for field in filters:
            check_filter(self._projections[view], field)
        check_sort(self._projections[view], sort)
        with self._database.read() as connection:
            live = live_build(connection, view)
            if not live:
                return ()
            asked = filters.items()
            few = next((field for field, value in asked if _few(connection, live, tenant_id, field, value)), None)
            # a plus before a column keeps SQLite, which has no statistics, from choosing that column's index
            where = ["tenant_id = ?", *(f"{'' if field == few else '+'}filter_{field} = ?" for field in filters)]
            values: list[Any] = [tenant_id, *filters.values()]
            sorted_by = f"{'+' if few else ''}sort_{sort}"
            beyond, order = ("<", "DESC") if descending else (">", "ASC")
            if after:
                where.append(f"({sorted_by}, id) {beyond} (?, ?)")
                values.extend(after)
            sql = f"""
                {_SELECT} "{live.table}" WHERE {" AND ".join(where)}
                ORDER BY {sorted_by} {order}, id {order} LIMIT ?
            """
            return tuple(map(_document, connection.execute(sql, (*values, limit))))

    def facets(self, view: str, tenant_id: TenantId, field: str) -> Sequence[CountRow]:
        check_filter(self._projections[view], field)
        column = f"filter_{field}"
        sql = f"""
            SELECT {column}, count(*) FROM {{table}} WHERE tenant_id = ? AND {column} IS NOT NULL
            GROUP BY {column} ORDER BY count(*) DESC, {column}
        """
        return tuple(CountRow(*found) for found in self._query(view, sql, (tenant_id,)))

    def _query(self, name: str, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        """Ask the live build, which stands for `{table}`; where nothing is live yet the answer is empty."""
        with self._database.read() as connection:
            view = live_build(connection, name)
            return connection.execute(sql.format(table=f'"{view.table}"'), values).fetchall() if view else ()


def _folded(connection: sqlite3.Connection, view: View, patches: Sequence[Patch]) -> Mapping[tuple[str, str], Folding]:
    """Read each document once and put all its patches on it: one writer, so nothing changes in between."""
    ids: dict[str, set[str]] = {}
    for patch in patches:
        ids.setdefault(patch.tenant_id, set()).add(patch.id)
    sql = f"""
        SELECT id, event_order, telemetry_order, fields FROM "{view.table}"
        WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))
    """
    documents: dict[tuple[str, str], Folding] = {}
    for tenant_id, wanted in ids.items():
        for id_, events, telemetry, fields in connection.execute(sql, (tenant_id, _json(sorted(wanted)))):
            documents[tenant_id, id_] = Folding(events, telemetry, orjson.loads(fields))
    for patch in patches:
        key = (patch.tenant_id, patch.id)
        if key not in documents:
            documents[key] = Folding(0, 0, {})
        documents[key].take(patch)
    return documents


def _few(connection: sqlite3.Connection, view: View, tenant_id: TenantId, field: str, value: str) -> bool:
    """Return whether sorting all documents with this value costs less than looking for them in sorted order."""
    found = connection.execute(
        f'SELECT count(*) FROM (SELECT 1 FROM "{view.table}" WHERE tenant_id = ? AND filter_{field} = ? LIMIT ?)',
        (tenant_id, value, _FEW),
    )
    return bool(found.fetchone()[0] < _FEW)


def _text_columns(connection: sqlite3.Connection, view: View) -> Sequence[str]:
    # asked of the table: an older build that is still live has the fields of its own time
    found = connection.execute("SELECT name FROM pragma_table_info(?)", (view.table,))
    return tuple(name for (name,) in found if name.startswith(("filter_", "sort_")))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=_JSON).decode()


def _texts(layout: Documents, columns: Iterable[str], fields: Mapping[str, Any]) -> Iterator[str | None]:
    for column in columns:
        kind, _, field = column.partition("_")
        value = fields.get(field)
        yield sort_text(layout, field, value) if kind == "sort" else as_text(value)


def _document(values: Sequence[Any]) -> Document:
    tenant_id, id_, version, fields = values
    return Document(tenant_id, id_, version, orjson.loads(fields))
