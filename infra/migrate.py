"""This makes the log of the distributed profile ready: it registers the schemas and makes the topics."""

from pathlib import Path
from typing import NamedTuple

from infra.kafka.connection import Connection, kafka_errors
from infra.kafka.schema_registry import SchemaRegistry
from infra.kafka.topics import check_topics, create_topics
from infra.settings import Settings

SCHEMA_IDS = "schema-ids.json"


class MigratedLog(NamedTuple):
    schemas: int
    topics_made: tuple[str, ...]


def schema_registry(settings: Settings) -> SchemaRegistry:
    return SchemaRegistry(settings.registry_url, Path(settings.data_dir) / SCHEMA_IDS)


def migrate_log(settings: Settings) -> MigratedLog:
    """Register the schemas, then make the missing topics; may be run again at any time.

    Raises: SchemaRefused, TopicsUnfit: something has to be changed first; RegistryUnavailable, LogUnavailable.
    """
    # schemas first: what may not be written is refused before there is a topic to write it to
    ids = schema_registry(settings).register()
    admin = Connection(settings.kafka_bootstrap, settings.kafka_security).connect()
    with kafka_errors():
        made = create_topics(admin, settings.topics, replication=settings.replication)
        check_topics(admin, settings.topics)
    return MigratedLog(len(ids), tuple(made))
