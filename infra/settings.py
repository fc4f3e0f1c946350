"""The environment tells the processes of the distributed profile these settings."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from domain.fleet.liveness import SILENCE
from streams.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Topics

_KAFKA_SECURITY: Mapping[str, str] = {
    "FACTLINE_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "FACTLINE_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "FACTLINE_KAFKA_SASL_USERNAME": "sasl.username",
    "FACTLINE_KAFKA_SASL_PASSWORD": "sasl.password",
    "FACTLINE_KAFKA_SSL_CA": "ssl.ca.location",
    "FACTLINE_KAFKA_SSL_CERTIFICATE": "ssl.certificate.location",
    "FACTLINE_KAFKA_SSL_KEY": "ssl.key.location",
    "FACTLINE_KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}


_SHORTEST_SECRET = 32
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,47}")


class CannotStart(Exception):  # noqa: N818
    """Something around this process is not as it has to be; the message says what to do before it is started again."""


class BadSettings(CannotStart):
    """The environment says something that cannot be; the message names the variable. A retry gives the same answer."""


@dataclass(frozen=True)
class StoreSettings:
    """Where the three stores are.

    Shape: `cassandra_replication` is what CREATE KEYSPACE takes; it and the address of each store are read when a
    store is first opened, so that a worker needs its own store's only.
    """

    cassandra_contact_points: tuple[tuple[str, int], ...] = (("127.0.0.1", 9042),)
    cassandra_keyspace: str = DEFAULT_PREFIX
    cassandra_replication: Mapping[str, str | int] = field(default_factory=lambda: _replication("1"))
    cassandra_user: str | None = None
    cassandra_password: str | None = field(default=None, repr=False)
    clickhouse_url: str = field(default="clickhouse://127.0.0.1:8123/default", repr=False)
    mongo_url: str = field(default="mongodb://127.0.0.1:27017/?replicaSet=rs0", repr=False)
    mongo_database: str = DEFAULT_PREFIX

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "StoreSettings":
        """Read the FACTLINE_… variables of the stores. Raises: BadSettings."""
        default = cls()
        keyspace = environment.get("FACTLINE_CASSANDRA_KEYSPACE", default.cassandra_keyspace)
        if not _IDENTIFIER.fullmatch(keyspace):
            raise BadSettings(f"FACTLINE_CASSANDRA_KEYSPACE must be lower-case letters, digits and _, not {keyspace!r}")
        contact_points = environment.get("FACTLINE_CASSANDRA_CONTACT_POINTS", "127.0.0.1:9042")
        return cls(
            cassandra_contact_points=tuple(_host_and_port(text.strip()) for text in contact_points.split(",")),
            cassandra_keyspace=keyspace,
            cassandra_replication=_replication(environment.get("FACTLINE_CASSANDRA_REPLICATION", "1")),
            cassandra_user=environment.get("FACTLINE_CASSANDRA_USER"),
            cassandra_password=environment.get("FACTLINE_CASSANDRA_PASSWORD"),
            clickhouse_url=environment.get("FACTLINE_CLICKHOUSE_URL", default.clickhouse_url),
            mongo_url=environment.get("FACTLINE_MONGO_URL", default.mongo_url),
            mongo_database=environment.get("FACTLINE_MONGO_DATABASE", default.mongo_database),
        )


@dataclass(frozen=True)
class Settings:
    """What all processes of the distributed profile are told.

    Shape: `kafka_security` are librdkafka's own property names, passed on as they are. `cursor_secret` signs cursors
    and is the same for all gateways; None for those of one machine, who keep one in `data_dir`. `master_key_file` is
    read by writers and gateways, and holds the same key for all of them. `redis_url` is where gateways count requests
    together; None where each counts its own. `silence` is after what a device that is ONLINE goes OFFLINE.
    """

    kafka_bootstrap: str
    registry_url: str
    data_dir: Path
    topics: Topics
    replication: int = 1
    kafka_security: Mapping[str, str] = field(default_factory=dict, repr=False)
    stores: StoreSettings = field(default_factory=StoreSettings)
    cursor_secret: bytes | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    master_key_file: Path | None = None
    silence: timedelta = SILENCE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the FACTLINE_… variables. Raises: BadSettings."""
        topics = Topics(
            environment.get("FACTLINE_TOPIC_PREFIX", DEFAULT_PREFIX),
            _number(environment, "FACTLINE_PARTITIONS", DEFAULT_PARTITIONS),
        )
        return cls(
            kafka_bootstrap=environment.get("FACTLINE_KAFKA_BOOTSTRAP", "127.0.0.1:9092"),
            registry_url=environment.get("FACTLINE_REGISTRY_URL", "http://127.0.0.1:8081/apis/ccompat/v7"),
            data_dir=Path(environment.get("DATA_DIR", "data")),
            topics=topics,
            replication=_number(environment, "FACTLINE_REPLICATION", 1),
            kafka_security={
                name: environment[variable] for variable, name in _KAFKA_SECURITY.items() if environment.get(variable)
            },
            stores=StoreSettings.from_environment(environment),
            cursor_secret=_secret(environment.get("FACTLINE_CURSOR_SECRET")),
            redis_url=environment.get("FACTLINE_REDIS_URL") or None,
            master_key_file=_path(environment.get("FACTLINE_MASTER_KEY_FILE")),
            silence=silence_of(environment),
        )


def silence_of(environment: Mapping[str, str] = os.environ) -> timedelta:
    """Return after what silence a device that is ONLINE goes OFFLINE, in both profiles. Raises: BadSettings."""
    usual = round(SILENCE.total_seconds())
    return timedelta(seconds=_number(environment, "FACTLINE_SILENCE_S", usual))


def _number(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise BadSettings(f"{variable} must be a number from 1, not {text!r}")
    return int(text)


def _secret(text: str | None) -> bytes | None:
    if text is None:
        return None
    if len(text) < _SHORTEST_SECRET:
        raise BadSettings(f"FACTLINE_CURSOR_SECRET must have at least {_SHORTEST_SECRET} characters, not {len(text)}")
    return text.encode()


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit()):
        raise BadSettings(f"FACTLINE_CASSANDRA_CONTACT_POINTS must look like host:9042,host:9042, not {text!r}")
    return host, int(port)


def _replication(text: str) -> Mapping[str, str | int]:
    """Read `1`, or `dc1:3,dc2:3` for replicas in each data centre."""
    if text.isascii() and text.isdigit():
        return {"class": "SimpleStrategy", "replication_factor": int(text)}
    centres = dict(part.strip().rpartition(":")[::2] for part in text.split(","))
    if not all(name and factor.isascii() and factor.isdigit() for name, factor in centres.items()):
        raise BadSettings(f"FACTLINE_CASSANDRA_REPLICATION must look like 1 or dc1:3,dc2:3, not {text!r}")
    return {"class": "NetworkTopologyStrategy"} | {name: int(factor) for name, factor in centres.items()}
