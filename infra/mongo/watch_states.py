"""This keeps in MongoDB what the watches know."""

from collections.abc import Sequence
from typing import Any

from pymongo import DeleteOne, UpdateOne

from infra.mongo.connection import Connection, errors
from streams.ports import WatchState


class MongoWatchStates:
    """WatchStates of the distributed profile; any thread may call any method."""

    def __init__(self, url: str, *, database: str = "factline") -> None:
        self._connection = Connection(url, database)
        self._states = self._connection["watch_states"]

    def close(self) -> None:
        self._connection.close()

    def migrate(self) -> None:
        """Make the index; may be run again at any time. Raises: StoreUnavailable, safe to retry."""
        with errors():
            self._states.create_index("partition")

    def load(self, partition: int) -> Sequence[WatchState]:
        with errors(), self._states.find({"partition": partition}) as found:
            return [WatchState(one["key"], one["position"], bytes(one["value"])) for one in found]

    def keep(self, partition: int, states: Sequence[WatchState]) -> None:
        writes = [_write(partition, state) for state in states]
        if writes:
            with errors():
                # in their order: the next is tried only when the one before it is acknowledged
                self._states.bulk_write(writes, ordered=True)


def _write(partition: int, state: WatchState) -> UpdateOne | DeleteOne:
    id_ = f"{partition}|{state.key}"
    if state.value is None:
        return DeleteOne({"_id": id_, "position": {"$lte": state.position}})
    new: dict[str, Any] = {"_id": id_, "partition": partition, **state._asdict()}
    # compared in the update: a condition beside the id would make it insert a second document
    kept = {"$cond": [{"$gt": ["$position", state.position]}, "$$ROOT", {"$literal": new}]}
    return UpdateOne({"_id": id_}, [{"$replaceWith": kept}], upsert=True)
