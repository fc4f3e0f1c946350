"""All engines, and the file that says where those that run are to be reached."""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.engines.cassandra import Cassandra
from infra.engines.clickhouse import ClickHouseFront
from infra.engines.engine import Engine
from infra.engines.kafka import Kafka
from infra.engines.mongo import Mongo
from infra.engines.registry import Registry

ENGINES: tuple[type[Engine], ...] = (Kafka, Cassandra, Mongo, Registry, ClickHouseFront)
ADDRESSES = "engines.json"


def engines(directory: Path) -> Mapping[str, Engine]:
    return {kind.name: kind(directory / kind.name) for kind in ENGINES}


def write_addresses(directory: Path) -> None:
    """Write the addresses of the engines that run, by name, to `engines.json`."""
    addresses = {name: dict(engine.address) for name, engine in engines(directory).items() if engine.pid}
    fresh = directory / f"{ADDRESSES}.new"
    fresh.write_text(json.dumps(addresses, indent=2) + "\n")
    fresh.rename(directory / ADDRESSES)
