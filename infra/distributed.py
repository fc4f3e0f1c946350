"""This puts the distributed profile together: gateways and command workers, with Kafka between them."""

import fcntl
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from uuid_utils import uuid7

from infra.kafka.backup import Backup, back_up
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.command_queue import KafkaCommandQueue
from infra.kafka.connection import REQUEST_TIMEOUT_S, Connection, kafka_errors
from infra.kafka.credentials import KafkaCredentials
from infra.kafka.event_log import KafkaEventLog
from infra.kafka.followed_topic import FollowedTopic
from infra.kafka.key_finder import KafkaKeyFinder
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.log_watch import LogWatch
from infra.kafka.sealed_commands import SealedCommands
from infra.kafka.telemetry_log import KafkaTelemetryLog
from infra.kafka.topics import check_partitions, check_topics
from infra.kafka.transaction import LIMIT_S
from infra.kafka.worker_groups import COMMANDS, KafkaWorkerGroups
from infra.limits.memory import MemoryRateLimiter
from infra.limits.redis import RedisRateLimiter
from infra.master_key import MasterKey, read_master_key
from infra.migrate import schema_registry
from infra.redis.ephemeral import RedisEphemerals
from infra.settings import BadSettings, CannotStart, Settings
from infra.sqlite.snapshots import SqliteSnapshots
from infra.watchdog import LOST, watching
from projections.keys import KeysUnusable
from read_api.edge.ephemeral import LocalEphemerals
from streams.ports import SystemClock
from streams.project.asking import Askers
from streams.topics import Beside
from streams.write.snapshots import code
from streams.write.worker import CommandWorker
from streams.write.writer import Writer


class Gateway:
    """What takes commands and facts from outside, and reads the log.

    Raises: CannotStart; TopicsUnfit; RegistryUnavailable, and no ids on disk; LogUnavailable, safe to retry.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Shape: `folder` is this gateway's own."""
        self.master = _master_key(settings)
        url = settings.redis_url
        self.limiter = RedisRateLimiter(url, settings.topics.prefix) if url else MemoryRateLimiter()
        self.ephemerals = RedisEphemerals(url, settings.topics.prefix) if url else LocalEphemerals()
        connection, schema_ids = _connect(settings)
        self.clock = SystemClock()
        topics = settings.topics
        self.log_watch = LogWatch(
            connection.admin(),
            [topics.events, topics.telemetry, topics.beside(Beside.KEYS), topics.beside(Beside.CREDENTIALS)],
        )
        self.log_id = self.log_watch.ids[topics.events]
        self.log = KafkaLogReader(connection, settings.topics)
        # a reader reads one place at a time: live streams and those who want to know who may ask do not wait in turn
        self.live_log = KafkaLogReader(connection, settings.topics)
        self.telemetry = KafkaTelemetryLog(connection, settings.topics, schema_ids=schema_ids, clock=self.clock)
        self.commands = KafkaCommandGate(connection, settings.topics, sealing=SealedCommands(self.master))
        self.workers = KafkaWorkerGroups(connection, settings.topics)
        log = hashlib.sha256(self.log_id.encode()).hexdigest()[:16]
        self._keys = FollowedTopic(connection, settings.topics, Beside.KEYS, folder / f"personal-{log}.sqlite")
        self.personal = KafkaKeyFinder(self._keys, self.master)
        self._known = FollowedTopic(
            connection, settings.topics, Beside.CREDENTIALS, folder / f"credentials-{log}.sqlite"
        )
        self.credentials = KafkaCredentials(self._known)

    @property
    def follows(self) -> str:
        """Return "ok", or why this gateway does not know for now who may ask or what opens personal fields."""
        topics = (self._known, self._keys)
        waiting = "" if all(topic.is_complete for topic in topics) else "not read to the end yet"
        return next((topic.error for topic in topics if topic.error), waiting) or "ok"

    def close(self) -> None:
        if isinstance(self.limiter, RedisRateLimiter):
            self.limiter.close()
        if isinstance(self.ephemerals, RedisEphemerals):
            self.ephemerals.close()
        self._known.close()
        self._keys.close()
        self.commands.close()
        self.telemetry.close()
        self.live_log.close()
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def open_log(settings: Settings) -> Iterator[KafkaLogReader]:
    """Open the log to read it. Raises: TopicsUnfit; LogUnavailable, safe to retry."""
    connection = Connection(settings.kafka_bootstrap, settings.kafka_security)
    with kafka_errors():
        check_partitions(connection.connect(), settings.topics)
    with closing(KafkaLogReader(connection, settings.topics)) as log:
        yield log


def back_up_log(settings: Settings, to: Path) -> Backup:
    """Copy the log into a folder. Raises: what `back_up` raises."""
    return back_up(Connection(settings.kafka_bootstrap, settings.kafka_security), settings.topics, to)


@contextmanager
def command_worker(settings: Settings) -> Iterator[CommandWorker]:
    """Open the writer of the partitions that the group will give to this process; `run` it.

    Shape: waits until a broker answers: one that was started while there is none goes on at once when there is one.
    It ends the process with status LOST when the log is another one than at its start.
    Raises: CannotStart; NotLetIn; TopicsUnfit; RegistryUnavailable, and no ids on disk; LogUnavailable, safe to retry.
    """
    master = _master_key(settings)
    connection, schema_ids = _connect(settings, math.inf)
    log_watch = LogWatch(connection.admin(), [settings.topics.events])
    with _place(Path(settings.data_dir) / "writers") as folder:
        name = _name(folder)
        log = KafkaEventLog(connection, settings.topics, schema_ids=schema_ids, folder=folder, name=name, master=master)
        snapshots = SqliteSnapshots(folder / "snapshots.sqlite", code())
        with (
            closing(log),
            closing(snapshots),
            watching(lambda: log.writing_since, LIMIT_S),
            # what it knows of streams is of the other log: nothing more may be decided by it
            log_watch.watching(lambda: os._exit(LOST)),
        ):
            yield CommandWorker(KafkaCommandQueue(log), Writer(log, SystemClock(), snapshots=snapshots))


def waiting_commands(settings: Settings) -> Callable[[], int | None]:
    """Return what says how many commands no worker has decided yet, None while the broker does not answer."""
    groups = KafkaWorkerGroups(Connection(settings.kafka_bootstrap, settings.kafka_security), settings.topics)
    askers = Askers([COMMANDS])

    def waiting() -> int | None:
        found = askers.ask({COMMANDS: groups.waiting})[COMMANDS]
        return None if isinstance(found, Exception) else found

    return waiting


def _connect(
    settings: Settings, timeout_s: float = REQUEST_TIMEOUT_S
) -> tuple[Connection, Mapping[tuple[str, int], int]]:
    connection = Connection(settings.kafka_bootstrap, settings.kafka_security)
    with kafka_errors():
        check_topics(connection.connect(timeout_s), settings.topics)
    return connection, schema_registry(settings).ids()


def _master_key(settings: Settings) -> MasterKey:
    """Return the key that all writers and gateways have. Raises: BadSettings; CannotStart."""
    if settings.master_key_file is None:
        raise BadSettings(
            "FACTLINE_MASTER_KEY_FILE is not set: it names the file with the key that personal data is encrypted with,"
            " the same for all writers and gateways; `factline migrate` makes it with the topics of a new log"
        )
    try:
        return read_master_key(settings.master_key_file)
    except KeysUnusable as error:
        raise CannotStart(f"FACTLINE_MASTER_KEY_FILE: {error}") from error


@contextmanager
def _place(parent: Path) -> Iterator[Path]:
    """Yield the first folder that no other worker of this machine holds."""
    number = 0
    while True:
        folder = parent / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                number += 1
                continue
            yield folder
            return


def _name(folder: Path) -> str:
    """Return the writer's name, made once: under it the broker ends what a process that was killed left open."""
    path = folder / "name"
    if not path.exists():
        new = folder / "name.new"
        new.write_text(str(uuid7()), encoding="utf-8")
        new.replace(path)
    return path.read_text(encoding="utf-8")
