"""A database of MongoDB says which builds the document views have, which of them is live, and how far each has read."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from infra.mongo.connection import Connection, Stored, errors
from projections.instants import from_microseconds, to_microseconds
from projections.rows import Checkpoint, View
from projections.stores import Holder, Overview
from schemas.envelope import Topic

_ALREADY_THERE = 11000


class MongoBuilds:
    """What every view has, whatever its documents are."""

    def __init__(self, url: str, database: str) -> None:
        self._connection = Connection(url, database)

    def close(self) -> None:
        self._connection.close()

    def live(self, name: str) -> View | None:
        with errors():
            found = self._connection["live"].find_one({"_id": name})
        return View(name, found["build"]) if found else None

    def builds(self, name: str) -> Sequence[View]:
        return [view for view in self._builds() if view.name == name]

    def overview(self) -> Overview:
        with errors():
            live = {one["_id"]: View(one["_id"], one["build"]) for one in self._connection["live"].find()}
            builds = {view.table: view for view in self._builds()}
            reached: dict[View, list[Checkpoint]] = {view: [] for view in builds.values()}
            for one in self._connection["checkpoints"].find():
                # a build that is being made or dropped is none
                if view := builds.get(one["view"]):
                    reached[view].append(_checkpoint(one))
        return Overview(live, reached)

    def _builds(self) -> Sequence[View]:
        with errors():
            names = self._connection.database.list_collection_names()
        return sorted(view for name in names if (view := View.of_table(name)))

    def hold(self, name: str, holder: Holder, *, now: datetime) -> Holder:
        held = {"who": holder.who, "until": to_microseconds(holder.until)}
        mine = {"_id": name, "$or": [{"who": holder.who}, {"until": {"$lt": to_microseconds(now)}}]}
        with errors():
            # where another holds it, none matches, and its place is taken
            with suppress(DuplicateKeyError):
                self._connection["holders"].update_one(mine, {"$set": held}, upsert=True)
            found = self._connection["holders"].find_one({"_id": name})
        return Holder(found["who"], from_microseconds(found["until"])) if found else holder

    def switch(self, view: View) -> None:
        if view not in self.builds(view.name):
            raise ValueError(f"{view.table} is not there: create it first")
        with errors():
            self._connection["live"].update_one({"_id": view.name}, {"$set": {"build": view.build}}, upsert=True)

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        with errors():
            found = list(self._connection["checkpoints"].find({"view": view.table}))
        return tuple(map(_checkpoint, found))

    def _move(self, view: View, checkpoints: Sequence[Checkpoint]) -> None:
        moves = []
        for at in checkpoints:
            place = {"view": view.table, "topic": at.topic.value, "partition": at.partition}
            reached = {"position": at.position, "recorded_at": to_microseconds(at.recorded_at), "log": at.log}
            unsaid = {"position": at.position, "log": {"$in": ["", None]}}
            behind = {"_id": "|".join(map(str, place.values())), "$or": [{"position": {"$lt": at.position}}, unsaid]}
            moves.append(UpdateOne(behind, {"$set": reached, "$setOnInsert": place}, upsert=True))
        try:
            self._connection["checkpoints"].bulk_write(moves, ordered=False)
        except BulkWriteError as error:
            # one that is as far or further does not match, and then its place is taken
            raise_unless_there(error)


def raise_unless_there(error: BulkWriteError) -> None:
    if any(one["code"] != _ALREADY_THERE for one in error.details["writeErrors"]):
        raise error


def _checkpoint(found: Stored) -> Checkpoint:
    return Checkpoint(
        Topic(found["topic"]),
        found["partition"],
        found["position"],
        from_microseconds(found["recorded_at"]),
        # an earlier version did not say it
        found.get("log", ""),
    )
