"""A copy of a log on the real broker, and what a log made from it is and is not."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from domain.sales.lead import CaptureLead
from infra.data_dir import DataDirError
from infra.kafka import backup
from infra.kafka.backup import Backup, back_up, check_backup, restore
from infra.kafka.beside import DESTROYED, key_name
from infra.kafka.connection import high_watermarks, last_stable_offsets
from infra.kafka.event_log import KafkaEventLog
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
from infra.kafka.topics import TopicsUnfit, check_topics, create_missing, create_topics, log_id
from infra.master_key import MasterKey
from infra.settings import BadSettings
from infra.sqlite.backup import restore as restore_embedded
from projections.keys import KeysUnusable
from schemas.envelope import Entry, Envelope, StreamId, Topic
from schemas.partitioning import facts_partition_of
from streams.ports import LogUnavailable, SystemClock
from streams.topics import Beside, Topics, TopicSpec
from streams.write.writer import Writer
from tests.cluster import MASTER_KEY, SCHEMA_IDS, Cluster, until
from tests.contracts.telemetry_log import AGENT, WEB_1, readings
from tests.examples import ACME
from tests.infra.kafka.test_beside import followed
from tests.streams.kit import register, register_tenant, submission, tag

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

EMAIL = "marvin@example.test"
CAPTURE = submission(CaptureLead(lead_id="l1", source="referral", email=EMAIL), tenant="acme")
REGISTER = register("web-1", tenant="acme")
REFUSED = tag("nobody", "attic", tenant="acme")
LEAD = StreamId("lead-l1")
MASTER = MasterKey(bytes.fromhex(MASTER_KEY))
OTHER_IDS = {name: id_ + 1_000 for name, id_ in SCHEMA_IDS.items()}


@pytest.fixture
def cluster(kafka: "Kafka") -> Cluster:
    return Cluster(kafka.bootstrap)


@pytest.fixture
def log(cluster: Cluster, tmp_path: Path) -> Iterator[KafkaEventLog]:
    with closing(cluster.open(tmp_path / "worker", "first")) as log:
        Writer(log, SystemClock()).write([register_tenant("acme"), CAPTURE, REGISTER, REFUSED])
        yield log


def restored(cluster: Cluster, source: Path, ids: Mapping[tuple[str, int], int] = SCHEMA_IDS) -> Cluster:
    """Make another log of the backup of a log, on the same broker, and return it."""
    other = Cluster.__new__(Cluster)
    other.bootstrap, other.connection = cluster.bootstrap, cluster.connection
    other.topics = cluster.topics._replace(prefix=f"{cluster.topics.prefix}-restored")
    manifest = check_backup(source, other.topics, MASTER)
    restore(cluster.connection, other.topics, source, manifest, replication=1, schema_ids=ids)
    return other


def entries(cluster: Cluster, topic: Topic) -> list[Entry]:
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        places = range(cluster.topics.partitions)
        return [entry for n in places for entry in reader.read(topic, n, after=0, limit=1_000)]


def schema_ids(cluster: Cluster, topic: str) -> set[int]:
    """Return the ids of schemas that the records of the home partition name."""
    with closing(cluster.connection.consumer("test")) as consumer:
        consumer.assign([TopicPartition(topic, cluster.home, OFFSET_BEGINNING)])
        message = consumer.poll(30)
        assert message is not None
        found = [message, *consumer.consume(100, 1.0)]
    return {int.from_bytes((message.value() or b"")[1:5]) for message in found}


def in_copy(folder: Path, kind: str) -> list[Any]:
    found = []
    for path in sorted(folder.glob(f"{kind}-*.avro")):
        with path.open("rb") as file:
            found += list(fastavro.reader(file))
    return found


def test_restored_log_has_the_same_events_facts_keys_and_answers_and_is_written_on(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    assert log.owned
    facts = KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=SystemClock())
    with closing(facts):
        for count in (1, 3, 2):
            facts.append_facts(ACME, readings(count), AGENT)
    done = back_up(cluster.connection, cluster.topics, tmp_path / "copy")
    other = restored(cluster, tmp_path / "copy", OTHER_IDS)
    for topic in Topic:
        assert entries(other, topic) == entries(cluster, topic)
    events = entries(other, Topic.EVENTS)
    assert [done.events[cluster.home], sum(done.events), done.records["events"]] == [len(events)] * 3
    assert done.facts[facts_partition_of(ACME, WEB_1, cluster.topics.partitions)] == done.records["telemetry"] == 3
    assert schema_ids(other, other.topics.events) == {
        OTHER_IDS[e.type, e.schema_version] for e in events if isinstance(e, Envelope)
    }
    with closing(other.open(tmp_path / "other", "second")) as again:
        captured = again.read_stream(ACME, LEAD, after=0, limit=1)[0]
        assert isinstance(captured, Envelope)
        assert captured.data["email"] == EMAIL
        replies = Writer(again, SystemClock()).write([REGISTER, REFUSED, tag("web-1", "cellar", tenant="acme")])
    assert [(reply.outcome, reply.repeated) for reply in replies] == [
        ("accepted", True),
        ("refused", True),
        ("accepted", False),
    ]
    # a commit is answered a moment before readers see it
    until(lambda: len(entries(other, Topic.EVENTS)) > len(events), 30)
    assert entries(other, Topic.EVENTS)[-1].position == len(events) + 1
    ids = [log_id(cluster.connection.admin(), each.topics.events) for each in (cluster, other)]
    assert ids[0] != ids[1]


def test_what_was_begun_before_the_copy_is_waited_for_and_its_key_is_with_it(cluster: Cluster, tmp_path: Path) -> None:
    events, keys = cluster.topics.events, cluster.topics.beside(Beside.KEYS)
    producer = cluster.connection.producer(transactional_id=f"{cluster.topics.prefix}-slow", linger_ms=0)
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(events, b"event", b"acme|lead-l1", cluster.home, headers=[("ce_position", b"1")])
    producer.flush()
    found: list[Backup] = []
    copying = threading.Thread(
        target=lambda: found.append(back_up(cluster.connection, cluster.topics, tmp_path / "copy"))
    )
    copying.start()
    until((tmp_path / "copy").exists, 30)
    copying.join(0.5)
    assert copying.is_alive()
    producer.produce(keys, MASTER.wrap((ACME, LEAD), bytes(32)), key_name((ACME, LEAD)), cluster.home)
    producer.commit_transaction(30)
    copying.join()
    assert found[0].events[cluster.home] == 1
    assert [record["key"] for record in in_copy(tmp_path / "copy", "keys")] == [key_name((ACME, LEAD))]


def test_transaction_is_in_the_copy_whole_or_not_at_all(cluster: Cluster, tmp_path: Path) -> None:
    producer = cluster.connection.producer(transactional_id=f"{cluster.topics.prefix}-long", linger_ms=0)
    producer.init_transactions(30)
    producer.begin_transaction()

    def decide(position: int) -> None:
        headers: list[tuple[str, str | bytes | None]] = [("ce_position", b"%d" % position)]
        producer.produce(cluster.topics.events, b"event", b"acme|device-1", cluster.home, headers=headers)
        producer.flush()

    decide(1)
    found: list[Backup] = []
    copying = threading.Thread(
        target=lambda: found.append(back_up(cluster.connection, cluster.topics, tmp_path / "copy"))
    )
    copying.start()
    until((tmp_path / "copy").exists, 30)
    copying.join(0.5)
    assert copying.is_alive()
    decide(2)
    producer.commit_transaction(30)
    copying.join()
    assert found[0].events[cluster.home] == found[0].records["events"] == 2


def test_answer_that_was_decided_from_later_events_is_not_in_the_copy(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = last_stable_offsets

    def write_meanwhile(admin: Any, topic: str, partitions: Any) -> dict[int, int]:
        ends = looked(admin, topic, partitions)
        if topic == cluster.topics.events:
            Writer(log, SystemClock()).write([register("web-2", tenant="acme"), tag("no-one", "attic", tenant="acme")])
        return ends

    monkeypatch.setattr(backup, "last_stable_offsets", write_meanwhile)
    assert back_up(cluster.connection, cluster.topics, tmp_path / "copy").records["marks"] == 1


def test_what_was_aborted_is_not_in_the_copy(cluster: Cluster, tmp_path: Path) -> None:
    producer = cluster.connection.producer(transactional_id=f"{cluster.topics.prefix}-aborted")
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(cluster.topics.events, b"event", b"acme|lead-l1", cluster.home)
    producer.flush()
    producer.abort_transaction(30)
    assert back_up(cluster.connection, cluster.topics, tmp_path / "copy").records["events"] == 0


def test_key_that_was_destroyed_is_in_the_copy_as_destroyed_only(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    assert log.owned
    producer = cluster.connection.producer()
    producer.produce(cluster.topics.beside(Beside.KEYS), DESTROYED, key_name((ACME, LEAD)), cluster.home)
    producer.flush()
    back_up(cluster.connection, cluster.topics, tmp_path / "copy")
    of_lead = [one for one in in_copy(tmp_path / "copy", "keys") if one["key"] == key_name((ACME, LEAD))]
    assert [one["value"] for one in of_lead] == [DESTROYED]
    other = restored(cluster, tmp_path / "copy")
    with closing(followed(other, tmp_path)) as keys:
        assert keys.find([key_name((ACME, LEAD))]) == {key_name((ACME, LEAD)): DESTROYED}


@pytest.fixture
def copy(cluster: Cluster, log: KafkaEventLog, tmp_path: Path) -> Path:
    assert log.owned
    back_up(cluster.connection, cluster.topics, tmp_path / "copy")
    return tmp_path / "copy"


def test_log_that_is_there_is_not_written_over(cluster: Cluster, copy: Path) -> None:
    manifest = check_backup(copy, cluster.topics, MASTER)
    before = entries(cluster, Topic.EVENTS)
    with pytest.raises(TopicsUnfit, match="there is a log already"):
        restore(cluster.connection, cluster.topics, copy, manifest, replication=1, schema_ids=SCHEMA_IDS)
    assert entries(cluster, Topic.EVENTS) == before


@pytest.mark.parametrize("made_by_others", ["restoring", "events", "commands"])
def test_two_who_make_one_log_at_the_same_time_do_not_both_fill_it(
    cluster: Cluster, copy: Path, monkeypatch: pytest.MonkeyPatch, made_by_others: str
) -> None:
    admin, topics = cluster.connection.admin(), cluster.topics._replace(prefix=f"{cluster.topics.prefix}-restored")
    looked = backup._check_free

    def another_begins(*at: Any) -> None:
        looked(*at)
        create_missing(admin, [TopicSpec(f"{topics.prefix}.{made_by_others}", 3, {})], replication=1)

    monkeypatch.setattr(backup, "_check_free", another_begins)
    with pytest.raises(TopicsUnfit, match="somebody else"):
        restored(cluster, copy)
    assert set(high_watermarks(admin, f"{topics.prefix}.{made_by_others}", range(3)).values()) == {0}
    with pytest.raises(TopicsUnfit, match="wait for it"):
        create_topics(admin, topics, replication=1)


def test_record_that_is_not_of_our_writers_is_copied_as_it_is(cluster: Cluster, tmp_path: Path) -> None:
    producer = cluster.connection.producer()
    odd: list[list[tuple[str, str | bytes | None]]] = [
        [("ce_type", None), ("ce_dataschema", b"urn:1")],
        [("ce_type", b"device.registered"), ("ce_dataschema", None)],
        [("ce_type", b"\xff"), ("ce_dataschema", b"urn:1"), ("ce_recordedat", None)],
        [],
    ]
    for topic in (cluster.topics.events, cluster.topics.telemetry):
        for headers in odd:
            producer.produce(topic, b"\x00\x00\x00\x00\x01", b"acme|device-1", 0, headers=headers)
        producer.produce(topic, None, None, 0)
    producer.flush()
    back_up(cluster.connection, cluster.topics, tmp_path / "copy")
    other = restored(cluster, tmp_path / "copy")
    back_up(other.connection, other.topics, tmp_path / "again")
    for kind in ("events", "telemetry"):
        found, again = in_copy(tmp_path / "copy", kind), in_copy(tmp_path / "again", kind)
        assert found == again
        assert [len(one["headers"]) for one in found] == [2, 2, 3, 0, 0]


def test_restore_that_was_broken_off_is_no_log_and_no_migrate_makes_it_one(
    cluster: Cluster, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise LogUnavailable("the machine lost its power")

    monkeypatch.setattr(backup, "_fill", broken)
    with pytest.raises(LogUnavailable, match="lost its power"):
        restored(cluster, copy)
    admin, half = cluster.connection.admin(), Topics(f"{cluster.topics.prefix}-restored", cluster.topics.partitions)
    with pytest.raises(TopicsUnfit, match="does not exist"):
        check_topics(admin, half)
    with pytest.raises(TopicsUnfit, match="was broken off"):
        create_topics(admin, half, replication=1)


def test_backup_with_another_master_key_or_size_or_profile_or_damage_is_refused_first(
    cluster: Cluster, copy: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeysUnusable, match="FACTLINE_MASTER_KEY_FILE"):
        check_backup(copy, cluster.topics, MasterKey(bytes(32)))
    with pytest.raises(BadSettings, match="set FACTLINE_PARTITIONS=3"):
        check_backup(copy, cluster.topics._replace(partitions=4), MASTER)
    with pytest.raises(DataDirError, match="--profile distributed"):
        restore_embedded(copy, tmp_path / "data")
    whole = json.loads((copy / "backup.json").read_text())
    for torn, told in (
        ({name: said for name, said in whole.items() if name != "records"}, "does not say records"),
        ({"format": 1, "profile": "distributed"}, "does not say events, facts, files, partitions, records, taken_at"),
        (whole | {"files": {"events-0.avro": whole["files"]["events-0.avro"]}}, "does not know marks-0.avro"),
    ):
        (copy / "backup.json").write_text(json.dumps(torn))
        with pytest.raises(DataDirError, match=told):
            check_backup(copy, cluster.topics, MASTER)
    (copy / "backup.json").write_text(json.dumps(whole))
    with (copy / "events-0.avro").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(DataDirError, match="is not as it was backed up"):
        check_backup(copy, cluster.topics, MASTER)
