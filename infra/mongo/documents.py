"""This keeps the document views in MongoDB, one document for each thing, and answers from them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import bson
import orjson
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING, TEXT, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, CollectionInvalid, DuplicateKeyError, OperationFailure

from infra.mongo.builds import MongoBuilds, raise_unless_there
from infra.mongo.connection import Stored, check_written, errors
from projections.documents import Folding, check_asked, check_built, searched, sort_text
from projections.layout import Documents, Of
from projections.projection import Projection
from projections.readers import NO_FILTERS, NO_RANGES, Bounds, CountRow
from projections.rows import Checkpoint, Document, Patch, Row, StoredRow, View, as_text
from projections.stores import WriteRefused
from schemas.envelope import TenantId

# Source: error_codes.yml of MongoDB. BadValue, FailedToParse, TypeMismatch, BSONObjectTooLarge, a key that is too large
# for an index, a document that is too large after an update.
_NEVER_KEPT = frozenset({2, 9, 14, 10334, 17280, 17419, 17420})

_IDS_AT_ONCE = 10_000

_SEARCH = "search"
_WORDS = "words"

# TypeError: not JSON-like. Over 64 bits, a NUL in a name, a document too large: not BSON.
_REFUSALS = (TypeError, ValueError, OverflowError, AttributeError, InvalidDocument)


class _Built(NamedTuple):
    """What lists can ask a build: an older one that is still live has the fields of its own time."""

    layout: Documents
    filters: Sequence[str]
    sorts: Sequence[str]
    search: bool

    @property
    def parts(self) -> Sequence[str]:
        """Return the names that `check_built` knows them by."""
        found = [*(f"filter_{field}" for field in self.filters), *(f"sort_{field}" for field in self.sorts)]
        return [*found, *([_SEARCH] if self.search else [])]

    def derived(self, id_: str, fields: Mapping[str, Any]) -> Stored:
        """Return what lists filter by, sort by and look in, of a document's fields under their own names."""
        filters = {field: as_text(fields.get(field)) for field in self.filters}
        sorts = {field: sort_text(self.layout, field, fields.get(field)) for field in self.sorts}
        words = {_WORDS: list(searched(self.layout, id_, fields))} if self.search else {}
        return {"filters": filters, "sorts": sorts, **words}


class MongoDocuments(MongoBuilds):
    """ViewWriter and DocumentsReader of the distributed profile; any thread may call any method."""

    def __init__(self, url: str, projections: Sequence[Projection], *, database: str = "factline") -> None:
        super().__init__(url, database)
        self._projections = {projection.name: projection for projection in projections}
        self._built: dict[View, _Built] = {}

    # --- views ------------------------------------------------------------------------------------------------------

    def create(self, view: View) -> None:
        with errors():
            built = self._built_as(view)
            has = {"filters": list(built.filters), "sorts": list(built.sorts), "search": built.search}
            with suppress(DuplicateKeyError):
                self._connection["builds"].update_one({"_id": view.table}, {"$setOnInsert": has}, upsert=True)
            with suppress(CollectionInvalid):
                self._connection.database.create_collection(view.table)
            collection = self._connection[view.table]
            collection.create_index([("tenant_id", ASCENDING), ("id", ASCENDING)])
            for field in built.filters:
                collection.create_index([("tenant_id", ASCENDING), (f"filters.{field}", ASCENDING)])
            for field in built.sorts:
                collection.create_index([("tenant_id", ASCENDING), (f"sorts.{field}", ASCENDING), ("id", ASCENDING)])
            if built.search:
                # "none": no word is left out and none is cut down to its stem
                collection.create_index([("tenant_id", ASCENDING), (_WORDS, TEXT)], default_language="none")

    def _built_as(self, view: View) -> _Built:
        """Return what a build has, which is written down before it is made and stays as it is."""
        if view not in self._built:
            layout = self._projections[view.name].documents
            built = _Built(layout, layout.filters, layout.sorts, bool(layout.search))
            if found := self._connection["builds"].find_one({"_id": view.table}):
                built = _Built(layout, found["filters"], found["sorts"], found["search"])
            elif indexes := self._connection[view.table].index_information():
                # made before this was written down: its indexes say what it has
                fields = [field for index in indexes.values() for field, _ in index["key"]]
                built = _Built(layout, _below("filters.", fields), _below("sorts.", fields), search=False)
            self._built[view] = built
        return self._built[view]

    def drop(self, view: View) -> None:
        if self.live(view.name) == view:
            raise ValueError(f"{view.table} is live: switch to another build first")
        with errors():
            # rows without a checkpoint are read again from the start; a checkpoint without rows would lose them
            self._connection["checkpoints"].delete_many({"view": view.table})
            self._connection[view.table].drop()
            self._connection["builds"].delete_one({"_id": view.table})
        self._built.pop(view, None)

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        patches = [row for row in rows if isinstance(row, Patch)]
        with errors():
            # whoever else writes a document of these in between, its other lane mostly, makes this look at it again
            while not self._write(view, patches):
                pass
            if checkpoints:
                self._move(view, checkpoints)

    def _write(self, view: View, patches: Sequence[Patch]) -> bool:
        """Write what is news; False where another writer came first to some of it. Raises: WriteRefused."""
        built, folded = self._built_as(view), self._found_before(view, patches)
        try:
            for patch in patches:
                folded.setdefault(_key(patch), _Folding(patch)).take(patch)
            writes = [one.write(built) for one in folded.values() if one.changed]
        except _REFUSALS as error:
            raise WriteRefused(f"{view.table}: {error}") from error
        if not writes:
            return True
        try:
            done = self._connection[view.table].bulk_write(writes, ordered=False)
        except InvalidDocument as error:
            # one that is too large raises this, whatever the driver calls it
            raise WriteRefused(f"{view.table}: {error}") from error
        except BulkWriteError as error:
            if any(one["code"] in _NEVER_KEPT for one in error.details["writeErrors"]):
                raise WriteRefused(f"{view.table}: {error}") from error
            raise_unless_there(error)
            return False
        except OperationFailure as error:
            if error.code in _NEVER_KEPT:
                raise WriteRefused(f"{view.table}: {error}") from error
            raise
        check_written(view.table, len(writes), done.matched_count + done.inserted_count)
        # one that matches and is not modified is no longer as it was found
        return done.modified_count + done.inserted_count == len(writes)

    def _found_before(self, view: View, patches: Sequence[Patch]) -> "dict[str, _Folding]":
        found: dict[str, _Folding] = {}
        keys = sorted({_key(patch) for patch in patches})
        for at in range(0, len(keys), _IDS_AT_ONCE):
            documents = self._connection[view.table].find({"_id": {"$in": keys[at : at + _IDS_AT_ONCE]}})
            found |= {one["_id"]: _Folding(one) for one in documents}
        return found

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        with errors(), self._connection[view.table].find({"tenant_id": tenant_id}, sort=[("id", ASCENDING)]) as found:
            yield from map(_document, found)

    def tenants(self, view: View) -> Sequence[TenantId]:
        with errors():
            return [TenantId(tenant_id) for tenant_id in sorted(self._connection[view.table].distinct("tenant_id"))]

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:
        with errors(), self._connection[view.table].find({"tenant_id": tenant_id}) as found:
            built = self._built_as(view)
            for one in found:
                # names of fields that lists use are stored as they are
                wanted = built.derived(one["id"], one.get("fields", {}))
                if any(one.get(part) != derived for part, derived in wanted.items()):
                    yield tenant_id, one["id"]

    # --- answers ----------------------------------------------------------------------------------------------------

    def get(self, view: str, tenant_id: TenantId, id: str) -> Document | None:  # noqa: A002
        live = self.live(view)
        found = self._found(live, {"_id": f"{tenant_id}|{id}"}, None, 1) if live else ()
        return found[0] if found else None

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
        live = self.live(view)
        if live is None:
            return ()
        by = f"sorts.{sort}"
        with errors():
            asked = self._asked(live, tenant_id, filters, ranges, words, by=f"sort_{sort}")
        if after:
            beyond = "$lt" if descending else "$gt"
            # the first condition says nothing new, but it is one that an index can begin with
            asked.append({by: {f"{beyond}e": after[0]}})
            asked.append({"$or": [{by: {beyond: after[0]}}, {"id": {beyond: after[1]}}]})
        direction = DESCENDING if descending else ASCENDING
        return self._found(live, {"$and": asked}, [(by, direction), ("id", direction)], limit)

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
        text = f"filters.{field}"
        live = self.live(view)
        if live is None:
            return ()
        with errors():
            asked = self._asked(live, tenant_id, filters, ranges, words, by=f"filter_{field}")
            found = self._connection[live.table].aggregate(
                [
                    {"$match": {"$and": [*asked, {text: {"$ne": None}}]}},
                    {"$group": {"_id": f"${text}", "rows": {"$sum": 1}}},
                    {"$sort": {"rows": DESCENDING, "_id": ASCENDING}},
                ]
            )
            return tuple(CountRow(one["_id"], one["rows"]) for one in found)

    def _asked(
        self,
        live: View,
        tenant_id: TenantId,
        filters: Of,
        ranges: Mapping[str, Bounds],
        words: Sequence[str],
        *,
        by: str,
    ) -> list[Stored]:
        """Return what must hold of documents, all of it.

        Shape: `by` is the part to sort or group by. Raises: OlderBuild, the build lacks what is asked for.
        """
        parts = [by, *(f"filter_{field}" for field in filters), *(f"sort_{field}" for field in ranges)]
        check_built(live.table, [*parts, *([_SEARCH] if words else [])], self._built_as(live).parts)
        asked: list[Stored] = [{"tenant_id": tenant_id}]
        for field, wanted in filters.items():
            asked.append({f"filters.{field}": wanted if isinstance(wanted, str) else {"$in": list(wanted)}})
        for field, bounds in ranges.items():
            # a field without a value is kept as "", before all others
            least = {"$gte": bounds.first} if bounds.first else {"$gt": ""}
            asked.append({f"sorts.{field}": {**least, **({"$lt": bounds.end} if bounds.end else {})}})
        if words:
            # in quotation marks all of them must be there, but a part of a word would do: the second one is exact
            asked.append({"$text": {"$search": " ".join(f'"{word}"' for word in words)}})
            asked.append({_WORDS: {"$all": list(words)}})
        return asked

    def _found(self, live: View, asked: Stored, order: list[tuple[str, int]] | None, limit: int) -> Sequence[Document]:
        with errors():
            return tuple(map(_document, self._connection[live.table].find(asked, sort=order, limit=limit)))


class _Folding(Folding):
    """A folding whose fields are under the names that they are stored by; it knows how the document was found."""

    __slots__ = ("_before", "_who")

    def __init__(self, of: Stored | Patch) -> None:
        if isinstance(of, Patch):
            super().__init__(0, 0, {})
            self._who = {"_id": _key(of), "tenant_id": of.tenant_id, "id": of.id}
            self._before: Mapping[str, int] | None = None
        else:
            super().__init__(of["orders"]["events"], of["orders"]["telemetry"], of["fields"])
            self._who = {name: of[name] for name in ("_id", "tenant_id", "id")}
            self._before = of["orders"]

    def take(self, patch: Patch) -> None:
        # an instant is text by now, an amount too; BSON would take an instant and cut off its microseconds
        orjson.dumps(patch.fields, option=orjson.OPT_PASSTHROUGH_DATETIME)
        if self.moves(patch):
            self.fields.update({_stored_name(name): value for name, value in patch.fields.items()})

    def write(self, built: _Built) -> Any:
        """Return the write that only takes place where the document is still as it was found."""
        document = RawBSONDocument(
            bson.encode(
                {
                    **self._who,
                    "orders": self.orders,
                    "fields": self.fields,
                    **built.derived(self._who["id"], self.fields),
                }
            )
        )
        if self._before is None:
            return InsertOne(document)
        # found by the id alone, compared in the update: a condition beside the id takes MongoDB twice as long
        unmoved = {"$eq": ["$orders", {"$literal": self._before}]}
        replaced = {"$cond": [unmoved, {"$literal": document}, "$$ROOT"]}
        return UpdateOne({"_id": self._who["_id"]}, [{"$replaceWith": replaced}])


def _below(prefix: str, paths: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(path.removeprefix(prefix) for path in paths if path.startswith(prefix)))


def _key(patch: Patch) -> str:
    return f"{patch.tenant_id}|{patch.id}"


@lru_cache(maxsize=4096)
def _stored_name(name: str) -> str:
    """Return a field's name as a part of MongoDB's paths, in which a dot and a dollar sign mean something."""
    if not name:
        return "%"
    return name.replace("%", "%25").replace(".", "%2E").replace("$", "%24")


def _name(stored: str) -> str:
    return "" if stored == "%" else unquote(stored)


def _document(found: Stored) -> Document:
    fields = {_name(name): value for name, value in found.get("fields", {}).items()}
    return Document(TenantId(found["tenant_id"]), found["id"], found["orders"]["events"], fields)
