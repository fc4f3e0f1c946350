import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.schema_registry import SchemaRegistryClient

from infra.distributed import Gateway, command_worker
from infra.kafka.connection import REQUEST_TIMEOUT_S
from infra.kafka.schema_registry import RegistryUnavailable, SchemaRefused
from infra.kafka.topics import TopicsUnfit, _configs, check_topics, create_missing, create_topics
from infra.master_key import read_master_key
from infra.migrate import migrate_log, schema_registry
from infra.settings import BadSettings, CannotStart, Settings
from schemas import payload
from streams.topics import COMPRESSION, KEPT_FOR_EVER, Topics, TopicSpec
from tests.cluster import Cluster, until

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka
    from infra.engines.registry import Registry

NOWHERE = "http://127.0.0.1:9/apis/ccompat/v7"


@pytest.fixture
def cluster(kafka: "Kafka") -> Cluster:
    return Cluster(kafka.bootstrap)


def settings(kafka: "Kafka", registry_url: str, prefix: str, folder: Path) -> Settings:
    return Settings(kafka.bootstrap, registry_url, folder, Topics(prefix, 2))


def test_topics_as_they_were_made_are_fit_and_one_copy_is_warned_about(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check_topics(cluster.connection.admin(), cluster.topics)
    assert "min.insync.replicas=1" in caplog.text


def test_topics_are_made_compressed_and_one_of_before_keeps_its_setting(cluster: Cluster) -> None:
    admin = cluster.connection.admin()
    topics = cluster.topics._replace(prefix=f"{cluster.topics.prefix}-old")
    before = TopicSpec(topics.events, topics.partitions, KEPT_FOR_EVER)
    assert create_missing(admin, [before], replication=1) == [topics.events]
    assert topics.events not in create_topics(admin, topics, replication=1)
    check_topics(admin, topics)
    names = [spec.name for spec in topics.specs()]
    found = [config["compression.type"] for config in _configs(admin, topics.specs())]
    expected = dict.fromkeys(names, COMPRESSION) | {topics.events: "producer"}
    assert dict(zip(names, found, strict=True)) == expected


@pytest.mark.parametrize(("name", "value"), [("retention.ms", "604800000"), ("cleanup.policy", "compact")])
def test_events_topic_that_would_forget_is_refused_with_what_to_change(cluster: Cluster, name: str, value: str) -> None:
    admin = cluster.connection.admin()
    change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, cluster.topics.events, incremental_configs=[change])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(REQUEST_TIMEOUT_S)
    found: list[str] = []

    def refused() -> bool:
        # the broker says so a moment after it was told
        try:
            check_topics(admin, cluster.topics)
        except TopicsUnfit as unfit:
            found.append(str(unfit))
        return bool(found)

    until(refused, 10)
    assert f"{name}={value}: history would be deleted" in found[0]
    assert f"--add-config {name}=" in found[0]


def test_another_number_of_partitions_is_refused(cluster: Cluster) -> None:
    with pytest.raises(TopicsUnfit, match="has 3 partitions, not 4"):
        check_topics(cluster.connection.admin(), Topics(cluster.topics.prefix, 4))


def test_missing_topics_are_refused_with_what_to_run(cluster: Cluster) -> None:
    with pytest.raises(TopicsUnfit, match="factline migrate"):
        check_topics(cluster.connection.admin(), Topics("nothing", 3))


def test_migrating_registers_every_schema_and_may_be_repeated(
    kafka: "Kafka", registry: "Registry", tmp_path: Path
) -> None:
    wanted = settings(kafka, registry.url, "migrated", tmp_path)
    first, again = migrate_log(wanted), migrate_log(wanted)
    assert len(first.topics_made) == len(wanted.topics.specs())
    assert again.topics_made == ()
    with SchemaRegistryClient({"url": registry.url}) as client:
        for (type_, version), id_ in schema_registry(wanted).ids().items():
            subject = payload.full_name(type_, version)
            assert client.get_version(subject, version).schema_id == id_
            assert client.get_config(subject).compatibility_level == "BACKWARD_TRANSITIVE"


def test_a_schema_that_can_not_follow_is_refused_before_there_is_a_topic(
    kafka: "Kafka", registry: "Registry", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate_log(settings(kafka, registry.url, "refused", tmp_path))
    changed = (
        '{"type":"record","name":"DeviceTagged","namespace":"factline.fleet","fields":[{"name":"new","type":"int"}]}'
    )
    released = [*payload.schema_files(), ("device.tagged", 2, changed)]
    monkeypatch.setattr(payload, "schema_files", lambda: iter(released))
    monkeypatch.setattr(payload, "full_name", lambda type_, _version: _full_name(type_, 1))
    with pytest.raises(SchemaRefused, match=r"factline\.fleet\.DeviceTagged"):
        migrate_log(settings(kafka, registry.url, "refused-2", tmp_path))
    assert "refused-2.events" not in Cluster(kafka.bootstrap).connection.admin().list_topics(timeout=10).topics


_full_name = payload.full_name


def test_two_that_migrate_at_the_same_moment_get_the_same_ids(
    kafka: "Kafka", own_registry: "Registry", tmp_path: Path
) -> None:
    there = [settings(kafka, own_registry.url, "both", tmp_path / str(number)) for number in range(2)]
    with ThreadPoolExecutor(2) as at_once:
        first, second = at_once.map(lambda wanted: schema_registry(wanted).register(), there)
    assert first == second


def test_ids_are_known_while_the_registry_is_away(kafka: "Kafka", own_registry: "Registry", tmp_path: Path) -> None:
    there = settings(kafka, own_registry.url, "away", tmp_path)
    ids = schema_registry(there).register()
    own_registry.pause()
    try:
        assert schema_registry(there).ids() == ids
    finally:
        own_registry.resume()


def test_a_registry_that_never_answered_is_named(kafka: "Kafka", tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:9"):
        schema_registry(settings(kafka, NOWHERE, "never", tmp_path)).ids()


def test_registry_gives_ids_to_who_was_not_there_when_they_were_made(
    kafka: "Kafka", registry: "Registry", tmp_path: Path
) -> None:
    ids = schema_registry(settings(kafka, registry.url, "other", tmp_path / "one")).register()
    assert schema_registry(settings(kafka, registry.url, "other", tmp_path / "other")).ids() == ids


def test_settings_are_read_from_the_environment() -> None:
    found = Settings.from_environment(
        {
            "FACTLINE_KAFKA_BOOTSTRAP": "kafka:9092",
            "FACTLINE_TOPIC_PREFIX": "trial",
            "FACTLINE_PARTITIONS": "4",
            "FACTLINE_KAFKA_SASL_USERNAME": "writer",
            "DATA_DIR": "/data",
        }
    )
    assert (found.kafka_bootstrap, found.topics, found.data_dir) == ("kafka:9092", Topics("trial", 4), Path("/data"))
    assert found.kafka_security == {"sasl.username": "writer"}


def test_secret_that_could_be_guessed_is_refused_and_a_long_one_is_in_no_message() -> None:
    with pytest.raises(BadSettings, match="FACTLINE_CURSOR_SECRET must have at least 32 characters, not 5"):
        Settings.from_environment({"FACTLINE_CURSOR_SECRET": "guess"})
    found = Settings.from_environment({"FACTLINE_CURSOR_SECRET": "x" * 32})
    assert found.cursor_secret == b"x" * 32
    assert "xxx" not in repr(found)


def test_setting_that_is_no_number_is_named() -> None:
    with pytest.raises(BadSettings, match="FACTLINE_PARTITIONS"):
        Settings.from_environment({"FACTLINE_PARTITIONS": "none"})


def test_migrating_a_new_log_makes_the_master_key_and_never_one_beside_keys_that_are_there(
    kafka: "Kafka", registry: "Registry", tmp_path: Path
) -> None:
    key = tmp_path / "master.key"
    wanted = replace(settings(kafka, registry.url, f"key-{os.getpid()}", tmp_path), master_key_file=key)
    migrate_log(wanted)
    assert key.stat().st_mode & 0o777 == 0o600
    read_master_key(key)
    key.unlink()
    migrate_log(wanted)
    assert not key.exists()


def test_writer_and_gateway_without_a_master_key_say_how_to_get_one(tmp_path: Path) -> None:
    nowhere = Settings("127.0.0.1:9", "http://127.0.0.1:9", tmp_path, Topics())
    with pytest.raises(CannotStart, match=r"FACTLINE_MASTER_KEY_FILE is not set.*`factline migrate` makes it"):
        Gateway(nowhere, tmp_path)
    named = replace(nowhere, master_key_file=tmp_path / "away")
    with pytest.raises(CannotStart, match=r"FACTLINE_MASTER_KEY_FILE: .*away cannot be read"), command_worker(named):
        pass
