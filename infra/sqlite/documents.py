"""This keeps the document views in SQLite, each document as JSON, and answers from them."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from infra.sqlite.bulk import insert_many
from infra.sqlite.views import SqliteViews, check_written, live_build, marks, words_table
from projections.documents import Folding, check_asked, check_built, searched, sort_text
from projections.layout import Documents, Of
from projections.readers import NO_FILTERS, NO_RANGES, Bounds, CountRow
from projections.rows import Document, Patch, Row, StoredRow, View, as_text
from projections.stores import StoreUnavailable, WriteRefused
from schemas.envelope import TenantId

# an instant is text by now: orjson would write it in another way than the projections do
_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME

_FEW = 1_000

_SELECT = "SELECT tenant_id, id, event_order, fields FROM"

_SEARCH = "search"

_Key = tuple[TenantId, str]


class _Condition(NamedTuple):
    """What rows must be. A `{plus}` before its column keeps SQLite, which has no statistics, from using that index."""

    column: str
    sql: str
    values: Sequence[str]


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
            # a number of its own, which VACUUM leaves as it is, for the rows of the words
            *(("number INTEGER PRIMARY KEY", "UNIQUE (tenant_id, id)") if layout.search else ()),
            *(() if layout.search else ("PRIMARY KEY (tenant_id, id)",)),
        )
        # every word is one already: letters and digits of any language, with blanks between
        words = f"CREATE VIRTUAL TABLE \"{words_table(view)}\" USING fts5(words, tokenize = 'ascii')"
        return (
            f'CREATE TABLE "{view.table}" ({", ".join(columns)}) STRICT',
            *(f'CREATE INDEX "{view.table}_{n}" ON "{view.table}" ({keys})' for n, keys in enumerate(indexes, 1)),
            *([words] if layout.search else []),
        )

    def _write(self, connection: sqlite3.Connection, view: View, rows: Sequence[Row]) -> None:
        layout = self._projections[view.name].documents
        patches = [row for row in rows if isinstance(row, Patch)]
        before = _found_before(connection, view, patches)
        new = {(patch.tenant_id, patch.id) for patch in patches} - before.keys()
        documents = _folded(before, patches)
        built = _built(connection, view)
        texts = _text_columns(built)
        names = ("event_order", "telemetry_order", "fields", *texts)
        sent = _by_columns(texts, patches, documents, new)
        changes = connection.total_changes
        for columns, found in sent.items():
            changed = ", ".join(f"{name} = excluded.{name}" for name in (*names[:3], *columns))
            insert_many(
                connection,
                f'INSERT INTO "{view.table}" (tenant_id, id, {", ".join(names)})',
                [
                    (*key, *one.orders.values(), _json(one.fields), *_texts(layout, texts, one.fields))
                    for key, one in found
                ],
                f"ON CONFLICT (tenant_id, id) DO UPDATE SET {changed}",
            )
        check_written(view.table, sum(map(len, sent.values())), connection.total_changes - changes)
        if _SEARCH in built:
            named = {
                (patch.tenant_id, patch.id) for patch in patches if not patch.fields.keys().isdisjoint(layout.search)
            }
            _write_words(connection, view, {key: _words(layout, key, documents[key].fields) for key in named | new})

    def _select(self, view: View) -> str:
        return f'{_SELECT} "{view.table}"'

    def _stored(self, view: View, values: Sequence[Any]) -> StoredRow:  # noqa: ARG002
        return _document(values)

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:
        layout = self._projections[view.name].documents
        with self._database.read() as connection:
            built = _built(connection, view)
            columns = _text_columns(built)
            words = f'(SELECT words FROM "{words_table(view)}" WHERE rowid = number)' if _SEARCH in built else "NULL"
            found = connection.execute(
                f'SELECT {", ".join(("id", "fields", words, *columns))} FROM "{view.table}" WHERE tenant_id = ?',
                (tenant_id,),
            )
            for id_, text, kept, *texts in found:
                fields = _fields(tenant_id, id_, text)
                wanted = _words(layout, (tenant_id, id_), fields) if _SEARCH in built else None
                if kept != wanted or texts != list(_texts(layout, columns, fields)):
                    yield tenant_id, id_

    # --- answers

    def get(self, view: str, tenant_id: TenantId, id: str) -> Document | None:  # noqa: A002
        with self._database.read() as connection:
            live = live_build(connection, view)
            sql = f'{_SELECT} "{live.table}" WHERE tenant_id = ? AND id = ?' if live else ""
            found = connection.execute(sql, (tenant_id, id)).fetchone() if live else None
            return _document(found) if found else None

    def find(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        filters: Of,
        ranges: Mapping[str, Bounds] = NO_RANGES,
        words: Sequence[str] = (),
        sort: str,
        descending: bool,
        after: tuple[str, str] | None,
        limit: int,
    ) -> Sequence[Document]:
        check_asked(self._projections[view], filters=filters, ranges=ranges, words=words, sort=sort)
        with self._database.read() as connection:
            live = live_build(connection, view)
            if not live:
                return ()
            asked = _conditions(connection, live, filters, ranges, words, by=f"sort_{sort}")
            few = next((one for one in asked if _few(connection, live, tenant_id, one)), None)
            sorted_by = f"{'+' if few else ''}sort_{sort}"
            where = ["tenant_id = ?"]
            values: list[Any] = [tenant_id]
            for one in asked:
                narrows = one is few or (few is None and one.column == sorted_by)
                where.append(one.sql.format(plus="" if narrows else "+"))
                values.extend(one.values)
            beyond, order = ("<", "DESC") if descending else (">", "ASC")
            if after:
                where.append(f"({sorted_by}, id) {beyond} (?, ?)")
                values.extend(after)
            sql = f"""
                {_SELECT} "{live.table}" WHERE {" AND ".join(where)}
                ORDER BY {sorted_by} {order}, id {order} LIMIT ?
            """
            return tuple(map(_document, connection.execute(sql, (*values, limit))))

    def facets(
        self,
        view: str,
        tenant_id: TenantId,
        field: str,
        *,
        filters: Of = NO_FILTERS,
        ranges: Mapping[str, Bounds] = NO_RANGES,
        words: Sequence[str] = (),
    ) -> Sequence[CountRow]:
        check_asked(self._projections[view], filters=(field, *filters), ranges=ranges, words=words)
        column = f"filter_{field}"
        with self._database.read() as connection:
            live = live_build(connection, view)
            if not live:
                return ()
            asked = _conditions(connection, live, filters, ranges, words, by=column)
            few = next((one for one in asked if _few(connection, live, tenant_id, one)), None)
            where = [one.sql.format(plus="" if one is few else "+") for one in asked]
            own = f"{'+' if few else ''}{column}"
            sql = f"""
                SELECT {column}, count(*) FROM "{live.table}"
                WHERE {" AND ".join(("tenant_id = ?", f"{own} IS NOT NULL", *where))}
                GROUP BY {column} ORDER BY count(*) DESC, {column}
            """
            values = [tenant_id, *(value for one in asked for value in one.values)]
            return tuple(CountRow(*found) for found in connection.execute(sql, values))


def _found_before(connection: sqlite3.Connection, view: View, patches: Sequence[Patch]) -> dict[_Key, Folding]:
    ids: dict[TenantId, set[str]] = {}
    for patch in patches:
        ids.setdefault(patch.tenant_id, set()).add(patch.id)
    sql = f"""
        SELECT id, event_order, telemetry_order, fields FROM "{view.table}"
        WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))
    """
    documents: dict[_Key, Folding] = {}
    for tenant_id, wanted in ids.items():
        for id_, events, telemetry, fields in connection.execute(sql, (tenant_id, _json(sorted(wanted)))):
            try:
                documents[tenant_id, id_] = Folding(events, telemetry, _fields(tenant_id, id_, fields))
            except StoreUnavailable as error:
                # of this one alone: what comes for it is parked, the other documents go on
                raise WriteRefused(str(error)) from error
    return documents


def _folded(documents: dict[_Key, Folding], patches: Sequence[Patch]) -> Mapping[_Key, Folding]:
    """Put all patches on documents that were read once: one writer, so nothing changes in between."""
    for patch in patches:
        key = (patch.tenant_id, patch.id)
        if key not in documents:
            documents[key] = Folding(0, 0, {})
        documents[key].take(patch)
    return documents


def _by_columns(
    texts: Sequence[str], patches: Sequence[Patch], documents: Mapping[_Key, Folding], new: Collection[_Key]
) -> Mapping[Sequence[str], Sequence[tuple[_Key, Folding]]]:
    """Return the documents that changed, by the columns that did: of each that it is told, SQLite writes the index."""
    fields: dict[_Key, set[str]] = defaultdict(set)
    for patch in patches:
        fields[patch.tenant_id, patch.id].update(patch.fields)
    found: dict[Sequence[str], list[tuple[_Key, Folding]]] = defaultdict(list)
    for key, document in documents.items():
        if document.changed:
            columns = texts if key in new else [name for name in texts if name.partition("_")[2] in fields[key]]
            found[tuple(columns)].append((key, document))
    return found


def _words(layout: Documents, key: _Key, fields: Mapping[str, Any]) -> str:
    return " ".join(searched(layout, key[1], fields))


def _write_words(connection: sqlite3.Connection, view: View, words: Mapping[_Key, str]) -> None:
    connection.executemany(
        f"""
        INSERT OR REPLACE INTO "{words_table(view)}" (rowid, words)
        SELECT number, ? FROM "{view.table}" WHERE tenant_id = ? AND id = ?
        """,
        [(text, *key) for key, text in words.items()],
    )


def _conditions(
    connection: sqlite3.Connection,
    view: View,
    filters: Of,
    ranges: Mapping[str, Bounds],
    words: Sequence[str],
    *,
    by: str,
) -> Sequence[_Condition]:
    """Shape: `by` is the column to sort or group by. Raises: OlderBuild, the build lacks what is asked for."""
    asked = []
    for field, wanted in filters.items():
        values = (wanted,) if isinstance(wanted, str) else wanted
        asked.append(_Condition(f"filter_{field}", f"{{plus}}filter_{field} IN ({marks(len(values))})", values))
    for field, bounds in ranges.items():
        column = f"sort_{field}"
        # a field without a value is kept as "", before all others
        first = f"{{plus}}{column} >= ?" if bounds.first else f"{{plus}}{column} > ?"
        end = f" AND {{plus}}{column} < ?" if bounds.end else ""
        asked.append(_Condition(column, first + end, [bounds.first, *([bounds.end] if bounds.end else [])]))
    if words:
        match = f'SELECT rowid FROM "{words_table(view)}" WHERE words MATCH ?'
        asked.append(_Condition(_SEARCH, f"{{plus}}number IN ({match})", [" ".join(f'"{word}"' for word in words)]))
    check_built(view.table, [by, *(one.column for one in asked)], _built(connection, view))
    return asked


def _few(connection: sqlite3.Connection, view: View, tenant_id: TenantId, asked: _Condition) -> bool:
    """Return whether sorting all documents of which this holds costs less than looking for them in sorted order."""
    found = connection.execute(
        f"""
        SELECT count(*) FROM (
            SELECT 1 FROM "{view.table}" WHERE tenant_id = ? AND {asked.sql.format(plus="")} LIMIT ?
        )
        """,
        (tenant_id, *asked.values, _FEW),
    )
    return bool(found.fetchone()[0] < _FEW)


def _built(connection: sqlite3.Connection, view: View) -> Collection[str]:
    """Return what a build can be asked by. An older one that is still live has the fields of its own time."""
    names = [name for _, name, *_ in connection.execute(f'PRAGMA table_info("{view.table}")')]
    # only a table with words numbers its rows
    return [*_text_columns(names), *([_SEARCH] if "number" in names else [])]


def _text_columns(names: Iterable[str]) -> Sequence[str]:
    return tuple(name for name in names if name.startswith(("filter_", "sort_")))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=_JSON).decode()


def _texts(layout: Documents, columns: Iterable[str], fields: Mapping[str, Any]) -> Iterator[str | None]:
    for column in columns:
        kind, _, field = column.partition("_")
        value = fields.get(field)
        yield sort_text(layout, field, value) if kind == "sort" else as_text(value)


def _document(values: Sequence[Any]) -> Document:
    tenant_id, id_, version, fields = values
    return Document(tenant_id, id_, version, _fields(tenant_id, id_, fields))


def _fields(tenant_id: TenantId, id_: str, text: str) -> dict[str, Any]:
    """Return what a document says. Raises: StoreUnavailable, it cannot be read: rebuild its view."""
    try:
        fields: dict[str, Any] = orjson.loads(text)
    except ValueError as error:
        reason = f"the document {id_} of {tenant_id} is damaged: an operator has to rebuild its view"
        raise StoreUnavailable(reason) from error
    return fields
