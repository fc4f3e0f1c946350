"""This makes the log of the distributed profile ready: it registers the schemas and makes the topics."""

from pathlib import Path
from typing import NamedTuple

from infra.kafka.connection import Connection, kafka_errors
from infra.kafka.schema_registry import SchemaRegistry
from infra.kafka.topics import check_topics, create_topics
from infra.master_key import make_master_key
from infra.settings import Settings
from streams.topics import Beside

SCHEMA_IDS = "schema-ids.json"


class MigratedLog(NamedTuple):
    schemas: int
    topics_made: tuple[str, ...]


def schema_registry(settings: Settings) -> SchemaRegistry:
    return SchemaRegistry(settings.registry_url, Path(settings.data_dir) / SCHEMA_IDS)


def migrate_log(settings: Settings) -> MigratedLog:
    """Register the schemas, then make the missing topics; may be run again at any time.

    Shape: the master key is made with the topic of what it wraps, where FACTLINE_MASTER_KEY_FILE names a file that is
    not there; beside a topic that was there before, a key that is missing is never made anew.
    Raises: SchemaRefused, TopicsUnfit: something has to be changed first; RegistryUnavailable, LogUnavailable.
    """
    # schemas first: what may not be written is refused before there is a topic to write it to
    ids = schema_registry(settings).register()
    admin = Connection(settings.kafka_bootstrap, settings.kafka_security).connect()
    with kafka_errors():
        made = create_topics(admin, settings.topics, replication=settings.replication)
        check_topics(admin, settings.topics)
    key = settings.master_key_file
    if key is not None and settings.topics.beside(Beside.KEYS) in made and not key.exists():
        make_master_key(key)
    return MigratedLog(len(ids), tuple(made))
