"""This lists all engines, and says where those that run can be reached."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra.engines.cassandra import Cassandra
from infra.engines.clickhouse import ClickHouseFront
from infra.engines.engine import Engine
from infra.engines.kafka import Kafka
from infra.engines.mongo import Mongo
from infra.engines.redis import Redis
from infra.engines.registry import Registry

ENGINES: tuple[type[Engine], ...] = (Kafka, Cassandra, Mongo, Redis, Registry, ClickHouseFront)
ADDRESSES = "engines.json"

_SETTINGS: Mapping[str, tuple[str, str]] = {
    "kafka": ("FACTLINE_KAFKA_BOOTSTRAP", "{bootstrap}"),
    "cassandra": ("FACTLINE_CASSANDRA_CONTACT_POINTS", "{contact_point}:{port}"),
    "mongo": ("FACTLINE_MONGO_URL", "{url}"),
    "redis": ("FACTLINE_REDIS_URL", "{url}"),
    "registry": ("FACTLINE_REGISTRY_URL", "{url}"),
    "clickhouse": ("FACTLINE_CLICKHOUSE_URL", "{url}/default"),
}


def engines(directory: Path) -> Mapping[str, Engine]:
    return {kind.name: kind(directory / kind.name) for kind in ENGINES}


def environment(running: Iterable[Engine]) -> Mapping[str, str]:
    """Return the variables that tell factline where these engines are."""
    return {
        variable: text.format(**engine.address) for engine in running for variable, text in [_SETTINGS[engine.name]]
    }


def write_addresses(directory: Path) -> None:
    """Write the addresses of the engines that run, by name, to `engines.json`."""
    addresses = {name: dict(engine.address) for name, engine in engines(directory).items() if engine.pid}
    fresh = directory / f"{ADDRESSES}.new"
    fresh.write_text(json.dumps(addresses, indent=2) + "\n")
    fresh.rename(directory / ADDRESSES)
