"""This makes the log of the distributed profile ready: a new one, or one from a backup."""

from pathlib import Path
from typing import NamedTuple

from infra.kafka.backup import Backup, check_backup, restore
from infra.kafka.connection import Connection, kafka_errors
from infra.kafka.schema_registry import SchemaRegistry
from infra.kafka.topics import check_topics, create_topics
from infra.master_key import make_master_key, read_master_key
from infra.settings import BadSettings, CannotStart, Settings
from projections.keys import KeysUnusable
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


def restore_log(settings: Settings, source: Path) -> Backup:
    """Make a log from a backup, where there is none; the stores' tables are for `migrate`.

    Raises: DataDirError, the backup is not whole; CannotStart; LogUnavailable; RegistryUnavailable; SchemaRefused.
    """
    if settings.master_key_file is None:
        raise BadSettings("FACTLINE_MASTER_KEY_FILE is not set: it names the file with the master key of this log")
    try:
        manifest = check_backup(source, settings.topics, read_master_key(settings.master_key_file))
    except KeysUnusable as error:
        raise CannotStart(f"{error}; nothing was restored") from error
    return restore(
        Connection(settings.kafka_bootstrap, settings.kafka_security),
        settings.topics,
        source,
        manifest,
        replication=settings.replication,
        schema_ids=schema_registry(settings).register(),
    )
