"""This keeps in MongoDB the records that the document views could not take, beside those views."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DeleteOne, UpdateOne

from infra.mongo.connection import Connection, Stored, check_written, errors
from projections.instants import from_microseconds, to_microseconds
from projections.operations import DeadLetter
from schemas.envelope import Position, StreamId, StreamKey, TenantId, Topic
from streams.ports import Parked

_PLACE = ("view", "topic", "partition", "position")
_ORDER = [(name, ASCENDING) for name in _PLACE]


class MongoDeadLetters:
    """DeadLetters of the documents worker; any thread may call any method."""

    def __init__(self, url: str, *, database: str = "factline") -> None:
        self._connection = Connection(url, database)
        self._letters = self._connection["dead_letters"]

    def close(self) -> None:
        self._connection.close()

    def migrate(self) -> None:
        """Make the indexes; may be run again at any time. Raises: StoreUnavailable, safe to retry."""
        with errors():
            self._letters.create_index(_ORDER, unique=True)
            self._letters.create_index([("tenant_id", ASCENDING), *_ORDER])

    def park(self, letters: Sequence[DeadLetter]) -> None:
        # all but the attempts stays as it was: a follower's reason must not replace that of the poison itself
        writes = [
            UpdateOne(
                {"_id": _id(letter)}, {"$setOnInsert": _kept(letter), "$inc": {"attempts": letter.attempts}}, True
            )
            for letter in letters
        ]
        if writes:
            with errors():
                done = self._letters.bulk_write(writes)
                check_written("dead_letters", len(writes), done.matched_count + done.upserted_count)

    def parked_streams(self, table: str) -> frozenset[StreamKey]:
        asked: list[dict[str, Any]] = [
            {"$match": {"view": table, "topic": Topic.EVENTS.value}},
            {"$group": {"_id": {"tenant_id": "$tenant_id", "stream": "$stream"}}},
        ]
        with errors():
            found = [one["_id"] for one in self._letters.aggregate(asked)]
        return frozenset((TenantId(one["tenant_id"]), StreamId(one["stream"])) for one in found)

    def parked(self) -> Mapping[str, Parked]:
        stream = {"view": "$view", "topic": "$topic", "tenant_id": "$tenant_id", "stream": "$stream"}
        is_decided = {"$cond": [{"$eq": ["$_id.topic", Topic.EVENTS.value]}, 1, 0]}
        asked: list[dict[str, Any]] = [
            {"$group": {"_id": stream, "letters": {"$sum": 1}}},
            {"$group": {"_id": "$_id.view", "streams": {"$sum": is_decided}, "records": {"$sum": "$letters"}}},
        ]
        with errors():
            return {one["_id"]: Parked(one["streams"], one["records"]) for one in self._letters.aggregate(asked)}

    def letters(self, table: str) -> Iterator[DeadLetter]:
        with errors(), self._letters.find({"view": table}, sort=_ORDER) as found:
            yield from map(_letter, found)

    def page(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        asked: dict[str, Any] = {"tenant_id": tenant_id}
        if table is not None:
            asked["view"] = table
        if after:
            place = (after[0], *after[1])
            asked["$or"] = [
                dict(zip(_PLACE[:at], place, strict=False)) | {_PLACE[at]: {"$gt": place[at]}}
                for at in range(len(_PLACE))
            ]
        with errors():
            return tuple(map(_letter, self._letters.find(asked, sort=_ORDER, limit=limit)))

    def remove(self, letters: Sequence[DeadLetter]) -> None:
        writes = [DeleteOne({"_id": _id(letter)}) for letter in letters]
        if writes:
            with errors():
                self._letters.bulk_write(writes, ordered=False)


def _id(letter: DeadLetter) -> str:
    return "|".join(map(str, letter[: len(_PLACE)]))


def _kept(letter: DeadLetter) -> dict[str, Any]:
    kept = letter._asdict() | {"topic": letter.topic.value, "parked_at": to_microseconds(letter.parked_at)}
    del kept["attempts"]
    return kept


def _letter(found: Stored) -> DeadLetter:
    values = {name: found[name] for name in DeadLetter._fields}
    return DeadLetter(**values | {"topic": Topic(found["topic"]), "parked_at": from_microseconds(found["parked_at"])})
