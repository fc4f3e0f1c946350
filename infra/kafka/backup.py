"""A copy of the log on Kafka in files, taken while it is written, and a log made from it elsewhere."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, cast

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.backup_folder import checked, finished, make_empty, now, size_of
from infra.data_dir import DataDirError
from infra.kafka.beside import DESTROYED, opened_key, subject_of
from infra.kafka.connection import (
    PARTITION_END,
    REQUEST_TIMEOUT_S,
    Connection,
    appended_ms,
    headers_of,
    high_watermarks,
    kafka_errors,
    last_stable_offsets,
)
from infra.kafka.schema_registry import SchemaIds
from infra.kafka.topics import TopicsUnfit, check_partitions, create_missing, log_ids, set_config
from infra.master_key import MasterKey
from infra.settings import BadSettings
from schemas.kafka_record import RECORDED_AT, kafka_record, position_of, with_schema_id
from streams.ports import LogUnavailable
from streams.topics import COMPRESSION, STAMPED, UNSTAMPED, Beside, Topics, TopicSpec

PROFILE = "distributed"
_SAYS = ("taken_at", "events", "facts", "records")

_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "factline.KafkaRecord",
        "fields": [
            {"name": "offset", "type": "long"},
            {"name": "timestamp_ms", "type": "long"},
            {"name": "key", "type": ["null", "bytes"]},
            {"name": "value", "type": ["null", "bytes"]},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "factline.KafkaHeader",
                        "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": ["null", "bytes"]}],
                    },
                },
            },
        ],
    }
)
_AT_ONCE = 5_000
_LARGEST_BYTES = 1_048_000
"""What a broker takes as it comes; our own clients send a little less."""

_SILENCE_S = 60.0
"""Longer than any transaction of ours stays open."""

_WAIT_S = 1.0
_AGAIN_S = 0.05

Headers = Sequence[tuple[str, bytes | None]]
Record = dict[str, Any]
"""Of `_SCHEMA`."""


class Backup(NamedTuple):
    """What a backup holds.

    Shape: `events` and `facts` are the last positions of each partition that are in it; `records` counts those of each
    topic, without its prefix.
    """

    taken_at: str
    events: Sequence[int]
    facts: Sequence[int]
    records: Mapping[str, int]
    size_bytes: int


def back_up(connection: Connection, topics: Topics, to: Path) -> Backup:
    """Copy a log, which workers and gateways may go on writing, into a new folder.

    Shape: all that was answered before the call is in it. The master key is not.
    Raises: DataDirError, the folder is not empty; TopicsUnfit; LogUnavailable, begin again with another folder.
    """
    names = [spec.name for spec in topics.kept()]
    with kafka_errors():
        admin = connection.connect()
        check_partitions(admin, topics)
        ids = log_ids(admin, names)
        make_empty(to)
        taken_at = now()
        ends: dict[str, list[int]] = {}
        records: dict[str, int] = {}
        consumer = connection.consumer(
            f"{topics.prefix}.readers", enable_partition_eof=True, auto_offset_reset="earliest", fetch_wait_max_ms=10
        )
        with closing(consumer):
            # in this order, each when those before it are whole: the events from which the answer of a mark was decided
            # are there, keys with the events that need them, and facts with the alerts that were decided from them
            until = [(spec, _whole_ends(admin, spec)) for spec in topics.kept()]
            # what is compacted first, before what stands there is replaced by what came later
            for spec, places in sorted(until, key=lambda one: not _is_compacted(one[0])):
                kind, copied = _kind(topics, spec), _copy_topic(consumer, topics, spec, places, to)
                records[kind] = sum(partition.count for partition in copied)
                ends[kind] = [partition.end for partition in copied]
        if log_ids(admin, names) != ids:
            raise LogUnavailable("the log was replaced while it was copied; delete this folder and back up again")
    said = {
        "taken_at": taken_at,
        "log": ids[topics.events],
        "partitions": topics.partitions,
        "events": ends["events"],
        "facts": ends["telemetry"],
        "records": records,
    }
    return _described(finished(to, PROFILE, said))


def check_backup(source: Path, topics: Topics, master: MasterKey) -> Mapping[str, Any]:
    """Return the manifest of a backup that can become a log of these topics.

    Raises: DataDirError, it is not whole; BadSettings; KeysUnusable, its personal fields have another master key.
    """
    manifest = checked(source, PROFILE, says=("partitions", *_SAYS))
    if (partitions := manifest["partitions"]) != topics.partitions:
        raise BadSettings(
            f"{source} is of a log with {partitions} partitions: set FACTLINE_PARTITIONS={partitions}, or its tenants"
            " would change place"
        )
    files = (_file(source, _kind(topics, spec), n) for spec in topics.kept() for n in range(partitions))
    if missing := next((file for file in files if file.name not in manifest["files"]), None):
        raise DataDirError(f"{source} is no whole backup: its manifest does not know {missing.name}")
    keys = (r for n in range(partitions) for r in _records(_file(source, Beside.KEYS.value, n)))
    if found := next((r for r in keys if r["key"] and r["value"] and r["value"] != DESTROYED), None):
        opened_key(master, subject_of(found["key"]), found["value"])
    return manifest


def restore(
    connection: Connection,
    topics: Topics,
    source: Path,
    manifest: Mapping[str, Any],
    *,
    replication: int,
    schema_ids: SchemaIds,
) -> Backup:
    """Make the topics of a log and fill them from a backup that was checked.

    Shape: no worker starts before all of it is there, because the topic of commands is made last. Events keep their
    positions; facts are numbered from 1 in each partition, in their order. A record names the schema's id in the
    registry of today.
    Raises: TopicsUnfit, there is a log or a part of one; LogUnavailable, delete the topics and begin again.
    """
    with kafka_errors():
        admin = connection.connect()
        _check_free(admin, topics)
        kept = topics.kept()
        _make(admin, topics, [TopicSpec(topics.restoring, 1, {})], replication=replication)
        # the broker's clock says when facts are recorded, but not when these were
        unstamped = [spec._replace(config={**spec.config, **UNSTAMPED}) for spec in kept]
        _make(admin, topics, unstamped, replication=replication)
        producer = connection.producer(linger_ms=50, compression_type=COMPRESSION, message_max_bytes=_LARGEST_BYTES)
        for spec in kept:
            files = [_file(source, _kind(topics, spec), partition) for partition in range(spec.partitions)]
            _fill(producer, admin, spec, files, schema_ids)
        set_config(admin, topics.telemetry, STAMPED)
        # a worker that found them wrote between what was restored
        _check_only_ours(topics, _there(admin, topics.passing()))
        _delete(admin, topics.restoring)
        create_missing(admin, topics.passing(), replication=replication)
    return _described(manifest)


# --- taking


def _whole_ends(admin: AdminClient, spec: TopicSpec) -> Mapping[int, int]:
    """Return ends of which none is within a transaction, and none before where the partition ends now.

    Shape: what was begun before is waited for.
    """
    partitions = range(spec.partitions)
    now_at = high_watermarks(admin, spec.name, partitions)
    deadline = time.monotonic() + _SILENCE_S
    while True:
        # every transaction that has a record before it is over, and all of its records are before it
        ends = last_stable_offsets(admin, spec.name, partitions)
        if not (open_ := [partition for partition in partitions if ends[partition] < now_at[partition]]):
            return ends
        if time.monotonic() > deadline:
            raise LogUnavailable(f"a transaction in {spec.name}/{open_[0]} does not end; back up again")
        time.sleep(_AGAIN_S)


def _copy_topic(
    consumer: Consumer, topics: Topics, spec: TopicSpec, ends: Mapping[int, int], to: Path
) -> "list[_Copied]":
    """Copy every partition of a topic up to an offset."""
    kind = _kind(topics, spec)
    found = []
    for partition in range(spec.partitions):
        place = TopicPartition(spec.name, partition, 0)
        copied = _Copied(_read(consumer, place, ends[partition]), has_positions=spec.name == topics.events)
        records: Iterable[Record] = copied
        if _is_compacted(spec):
            records = _last_of_each(copied)
            copied.count = len(records)
        with _file(to, kind, partition).open("wb") as file:
            fastavro.writer(file, _SCHEMA, records, codec="deflate", codec_compression_level=1)
        found.append(copied)
    return found


class _Copied:
    """The records of a partition on their way into a file; `count` and `end`, the last position, are known after it."""

    def __init__(self, messages: Iterable[Message], *, has_positions: bool) -> None:
        self.count = self.end = 0
        self._messages = messages
        self._has_positions = has_positions

    def __iter__(self) -> Iterator[Record]:
        for message in self._messages:
            self.count += 1
            headers, offset = headers_of(message), _offset(message)
            if self._has_positions:
                # without a position it is not of our writers
                self.end = position_of(kafka_record(None, None, headers)) or self.end
            else:
                self.end = offset + 1
                headers = _recorded(message, headers)
            yield {
                "offset": offset,
                "timestamp_ms": message.timestamp()[1],
                "key": message.key(),
                "value": message.value(),
                "headers": [{"name": name, "value": value} for name, value in headers],
            }


def _recorded(message: Message, headers: Headers) -> Headers:
    """Return the headers of a fact with the time at which the broker took it, which no other topic keeps."""
    recorded_at = kafka_record(None, None, headers, appended_ms=appended_ms(message)).ce_recordedat
    return [(name, recorded_at if name == RECORDED_AT else value) for name, value in headers]


def _last_of_each(records: Iterable[Record]) -> Collection[Record]:
    """Return what compaction would leave: a key that was destroyed is not in the copy as it was before."""
    last: dict[bytes, Record] = {}
    for record in records:
        last.pop(record["key"], None)
        last[record["key"]] = record
    return last.values()


def _read(consumer: Consumer, place: TopicPartition, end: int) -> Iterator[Message]:
    """Yield what was committed before an offset."""
    if not end:
        return
    consumer.assign([place])
    deadline = time.monotonic() + _SILENCE_S
    while time.monotonic() < deadline:
        for message in consumer.consume(_AT_ONCE, _WAIT_S):
            at = _offset(message)
            if (error := message.error()) is None:
                deadline = time.monotonic() + _SILENCE_S
                if at < end:
                    yield message
                at += 1
            elif error.code() != PARTITION_END:
                raise KafkaException(error)
            if at >= end:
                return
    raise LogUnavailable(f"kafka gave {place.topic}/{place.partition} not up to offset {end} in time; back up again")


# --- bringing back


def _check_free(admin: AdminClient, topics: Topics) -> None:
    if there := _there(admin, [TopicSpec(topics.restoring, 1, {}), *topics.specs()]):
        raise TopicsUnfit(
            f"there is a log already, or a part of one: {', '.join(there)}; nothing was restored. Restore into a"
            " cluster without these topics, under another FACTLINE_TOPIC_PREFIX, or delete all of them first"
        )


def _there(admin: AdminClient, specs: Sequence[TopicSpec]) -> Sequence[str]:
    return sorted(admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics.keys() & {spec.name for spec in specs})


def _make(admin: AdminClient, topics: Topics, specs: Sequence[TopicSpec], *, replication: int) -> None:
    """Make topics that nobody else has made meanwhile. Raises: TopicsUnfit."""
    made = create_missing(admin, specs, replication=replication)
    _check_only_ours(topics, [spec.name for spec in specs if spec.name not in made])


def _check_only_ours(topics: Topics, others: Sequence[str]) -> None:
    if others:
        raise TopicsUnfit(
            f"somebody else made topics of this log while it was restored: {', '.join(others)}; let no other `factline"
            f" restore` or `factline migrate` run, delete every topic {topics.prefix}.… and restore again"
        )


def _fill(producer: Producer, admin: AdminClient, spec: TopicSpec, files: Sequence[Path], ids: SchemaIds) -> None:
    failed: list[KafkaError] = []

    def acknowledge(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    written = [0] * spec.partitions
    for partition, file in enumerate(files):
        for record in _records(file):
            headers = [(header["name"], header["value"]) for header in record["headers"]]
            value = with_schema_id(kafka_record(record["key"], record["value"], headers), ids) or record["value"]
            _produce(producer, spec.name, partition, record | {"value": value, "headers": headers}, acknowledge)
            written[partition] += 1
            if failed:
                break
    producer.flush()
    ends = high_watermarks(admin, spec.name, range(spec.partitions))
    if failed or written != [ends[partition] for partition in range(spec.partitions)]:
        raise LogUnavailable(
            f"kafka did not take all of {spec.name} ({failed[0].str() if failed else ends}); delete every topic of"
            " this log and restore again"
        )


def _produce(producer: Producer, topic: str, partition: int, record: Record, acknowledge: Callable[..., None]) -> None:
    while True:
        try:
            producer.produce(
                topic,
                record["value"],
                record["key"],
                partition,
                acknowledge,
                timestamp=record["timestamp_ms"],
                headers=record["headers"],
            )
        except BufferError:
            # the queue is full: this is the backpressure
            producer.poll(_WAIT_S)
        else:
            producer.poll(0)
            return


def _delete(admin: AdminClient, topic: str) -> None:
    admin.delete_topics([topic])[topic].result(REQUEST_TIMEOUT_S)
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    # the controller answers before the brokers know
    while topic in admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics and time.monotonic() < deadline:
        time.sleep(_AGAIN_S)


# --- files


def _is_compacted(spec: TopicSpec) -> bool:
    return spec.config["cleanup.policy"] == "compact"


def _kind(topics: Topics, spec: TopicSpec) -> str:
    return spec.name.removeprefix(f"{topics.prefix}.")


def _file(folder: Path, kind: str, partition: int) -> Path:
    return folder / f"{kind}-{partition}.avro"


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for record in fastavro.reader(file):
            yield cast("Record", record)


def _offset(message: Message) -> int:
    return message.offset() or 0


def _described(manifest: Mapping[str, Any]) -> Backup:
    said = {name: manifest[name] for name in _SAYS}
    return Backup(**said, size_bytes=size_of(manifest))
