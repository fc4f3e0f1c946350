"""This connects to one database of MongoDB, waits until writes are safe, and translates errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from projections.stores import StoreUnavailable

OPERATION_TIMEOUT_S = 10.0

Stored = Mapping[str, Any]


class _PlainInt(TypeDecoder):
    """Gives Python's own int for an integer that took 64 bits."""

    bson_type = Int64

    def transform_bson(self, value: Int64) -> int:
        return int(value)


OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(type_registry=TypeRegistry([_PlainInt()]))


class Connection:
    """Connects when it is first needed; any thread may use it. Shape: `url` names the replica set, not the database."""

    def __init__(self, url: str, database: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(
            url,
            connect=False,
            appname="factline",
            timeoutMS=int(OPERATION_TIMEOUT_S * 1000),
        )
        self.database: Database[dict[str, Any]] = self._client.get_database(
            database,
            OPTIONS,
            # what was read or acknowledged once is there whichever member becomes the primary
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
        )

    def close(self) -> None:
        self._client.close()

    def __getitem__(self, name: str) -> Collection[dict[str, Any]]:
        return self.database[name]


def check_written(name: str, sent: int, written: int) -> None:
    """Do nothing where all that was sent was written. Raises: StoreUnavailable."""
    if written < sent:
        raise StoreUnavailable(f"mongodb wrote {written} of {sent} documents that were sent to {name}")


@contextmanager
def errors() -> Iterator[None]:
    """Say what the driver raises in the words of the ports."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(f"mongodb did not answer: {str(error)[:500]}") from error
