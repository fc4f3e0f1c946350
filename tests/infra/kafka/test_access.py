"""The wire between every process and Kafka: TLS, users, and the access rules of docs/security.md, on a real broker."""

import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from infra.engines.java import ToolMissing
from infra.engines.kafka import Kafka
from infra.kafka.connection import Connection, NotLetIn
from infra.kafka.log_reader import KafkaLogReader
from infra.sqlite.documents import SqliteDocuments
from projections.catalog import of_role
from projections.rows import Role
from schemas.envelope import TenantId, Topic
from streams.ports import LogUnavailable
from streams.topics import Topics
from tests.cluster import Cluster, until
from tests.infra.cluster_process import ClusterProcess
from tests.infra.serve.test_gateway_process import client_of, register
from tests.tiers import without

if TYPE_CHECKING:
    from infra.engines.registry import Registry

RULES = Path(__file__).parents[3] / "docs" / "security.md"
USERS = (
    "factline-migrate",
    "factline-worker",
    "factline-gateway",
    "factline-projector",
    "factline-correlator",
    "auditor",
    "acme-reports",
)
TOPICS = Topics(partitions=2)
_RESOURCES = {
    "--topic": ResourceType.TOPIC,
    "--group": ResourceType.GROUP,
    "--transactional-id": ResourceType.TRANSACTIONAL_ID,
}
_PROJECTS = """
from contextlib import closing, contextmanager
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.workers.projector import project
from infra.workers.status import Address
from infra.settings import Settings
from infra.kafka.log_reader import KafkaLogReader
from projections.catalog import of_role
from projections.rows import Role
from streams.ports import Stores

@contextmanager
def open_stores(role, settings):
    folder = settings.data_dir
    with closing(SqliteDocuments(folder / "documents.sqlite", of_role(role))) as documents, closing(
        SqliteDeadLetters(folder / "dead_letters.sqlite")
    ) as letters:
        yield Stores(documents, letters)

project(Role.DOCUMENTS, Settings.from_environment(), open_stores=open_stores, status=Address("127.0.0.1", 0))
"""

_CORRELATES = """
from infra.workers import correlator
from infra.workers.status import Address
from infra.settings import Settings
from infra.sqlite.watch_states import SqliteWatchStates

settings = Settings.from_environment()
correlator.MongoWatchStates = lambda *_, **__: SqliteWatchStates(settings.data_dir / "correlation.sqlite")
correlator.correlate(settings, status=Address("127.0.0.1", 0))
"""


def rules(text: str) -> list[AclBinding]:
    """Read the `kafka-acls.sh` commands of a document."""
    commands = re.findall(r"^kafka-acls\.sh .*$", text.replace("\\\n", ""), re.MULTILINE)
    return [binding for command in commands for binding in _bindings(shlex.split(command)[2:])]


def _bindings(words: Sequence[str]) -> Iterator[AclBinding]:
    assert words[0] == "--add"
    options = list(zip(words[1::2], words[2::2], strict=True))
    assert {name for name, _ in options} <= {
        "--allow-principal",
        "--operation",
        "--resource-pattern-type",
        *_RESOURCES,
    }
    said = dict(options)
    pattern = ResourcePatternType[said.get("--resource-pattern-type", "literal").upper()]
    for kind, resource in options:
        for option, operation in options:
            if kind in _RESOURCES and option == "--operation":
                # "DescribeConfigs" is DESCRIBE_CONFIGS
                name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()
                yield AclBinding(
                    _RESOURCES[kind],
                    resource,
                    pattern,
                    said["--allow-principal"],
                    "*",
                    AclOperation[name],
                    AclPermissionType.ALLOW,
                )


@pytest.fixture(scope="module")
def strict_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Give a broker that lets in whom it knows, and lets them do what docs/security.md says."""
    directory = tmp_path_factory.mktemp("strict") / "kafka"
    try:
        kafka = Kafka(directory, users={user: f"{user}'s secret" for user in USERS}, strict=True).start()
    except ToolMissing as error:
        without(str(error))
    with kafka:
        wanted = rules(RULES.read_text())
        admin = Connection(kafka.bootstrap).connect()
        for made in admin.create_acls(wanted).values():
            made.result(30)
        assert {binding.principal for binding in wanted} == {f"User:{user}" for user in USERS}
        yield kafka


def environment(kafka: Kafka, user: str, *, password: str | None = None) -> Mapping[str, str]:
    return {
        "FACTLINE_KAFKA_BOOTSTRAP": kafka.secure_bootstrap,
        "FACTLINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "FACTLINE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "FACTLINE_KAFKA_SASL_USERNAME": user,
        "FACTLINE_KAFKA_SASL_PASSWORD": password or f"{user}'s secret",
        "FACTLINE_KAFKA_SSL_CA": kafka.certificate,
    }


def connection(kafka: Kafka, user: str) -> Connection:
    security = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": f"{user}'s secret",
        "ssl.ca.location": kafka.certificate,
    }
    return Connection(kafka.secure_bootstrap, security)


class Place:
    """Where processes run, each as a user of its own."""

    def __init__(self, kafka: Kafka, registry_url: str, folder: Path) -> None:
        self.kafka, self._registry_url, self._folder = kafka, registry_url, folder
        # not the plain listener, whose user may do everything; and the topics are for `factline migrate` to make
        self._cluster = Cluster.__new__(Cluster)
        self._cluster.bootstrap, self._cluster.topics = kafka.secure_bootstrap, TOPICS

    def run(
        self,
        user: str,
        arguments: str,
        *,
        password: str | None = None,
        program: Sequence[str] = ("-m", "infra.cli.main"),
    ) -> ClusterProcess:
        more = environment(self.kafka, user, password=password)
        process = ClusterProcess(
            arguments, self._cluster, self._registry_url, self._folder / user, more=more, program=program
        )
        process.run()
        return process


@pytest.fixture
def place(strict_kafka: Kafka, registry: "Registry", tmp_path: Path) -> Place:
    return Place(strict_kafka, registry.url, tmp_path)


def delivery(kafka: Kafka, user: str, topic: str) -> KafkaError | None:
    """Write a record; return why it was not taken."""
    errors: list[KafkaError | None] = []

    def report(error: KafkaError | None, _message: Message) -> None:
        errors.append(error)

    producer = connection(kafka, user).producer(enable_idempotence=False, delivery_timeout_ms=20_000)
    try:
        producer.produce(topic, b"{}", "acme", 0, on_delivery=report)
    except KafkaException as error:
        return error.args[0]  # type: ignore[no-any-return]
    producer.flush(30)
    return errors[0]


def first_message(kafka: Kafka, user: str, topic: str) -> Message:
    """Return the first record that a subscriber of a group of its own gets, or the error instead of it."""
    with closing(connection(kafka, user).consumer(f"{user}.test", auto_offset_reset="earliest")) as consumer:
        consumer.subscribe([topic])
        deadline = time.monotonic() + 60
        while (found := consumer.poll(0.5)) is None:
            assert time.monotonic() < deadline
        return found


def watch_load(kafka: Kafka, client: httpx.Client) -> None:
    rule = {"kind": "threshold", "metric": "load", "above": 0.5}
    body = {"watch_id": "load", "name": "load", "severity": "info", "rule": rule}
    assert client.post("/v1/commands/fleet/DefineWatch", json=body).json()["outcome"] == "accepted"
    # a commit is answered before readers see it
    until(lambda: "watch.defined" in types_in_log(kafka), 60)


def report_load(client: httpx.Client) -> httpx.Response:
    reading = {"metrics": {"load": 1.0}, "unit": ""}
    happened_at = "2026-01-31T08:30:00Z"
    fact = {"type": "device.metrics.reported", "device_id": "meter", "happened_at": happened_at, "data": reading}
    return client.post("/v1/telemetry", json=[fact])


def types_in_log(kafka: Kafka) -> set[str]:
    with closing(KafkaLogReader(connection(kafka, "factline-gateway"), TOPICS)) as reader:
        return {
            entry.type
            for partition in range(TOPICS.partitions)
            for entry in reader.read(Topic.EVENTS, partition, after=0, limit=1_000)
        }


def test_each_process_works_as_its_own_user_and_a_subscriber_outside_sees_events_only(place: Place) -> None:
    kafka = place.kafka
    with ExitStack() as stack:
        migrating = stack.enter_context(closing(place.run("factline-migrate", "migrate --only log")))
        assert migrating.wait(60) == 0, migrating.said()
        stack.enter_context(closing(place.run("factline-worker", "worker commands")))
        gateway = stack.enter_context(closing(place.run("factline-gateway", "serve --profile distributed")))
        projector = stack.enter_context(closing(place.run("factline-projector", "", program=("-c", _PROJECTS))))
        stack.enter_context(closing(place.run("factline-correlator", "", program=("-c", _CORRELATES))))
        with client_of(gateway) as client:
            assert register(client, "web-1").json()["outcome"] == "accepted"
            watch_load(kafka, client)
            assert report_load(client).json()["accepted"] == 1
        until(lambda: "alert.raised" in types_in_log(kafka), 60)
        replaying = place.run("auditor", "replay --profile distributed --tenant acme")
        stack.enter_context(closing(replaying))
        assert replaying.wait(60) == 0, replaying.said()
        assert '"type":"device.registered"' in replaying.said()
        assert '"type":"device.metrics.reported"' in replaying.said()
        path = projector.folder / "documents.sqlite"
        until(path.exists, 60)
        with closing(SqliteDocuments(path, of_role(Role.DOCUMENTS))) as views:
            until(lambda: _has_device(views), 60)

    seen = first_message(kafka, "acme-reports", TOPICS.events)
    assert seen.error() is None
    assert b"system|tenant-system" in (seen.key() or b"")
    for topic in (TOPICS.commands, TOPICS.telemetry):
        unseen = first_message(kafka, "acme-reports", topic).error()
        assert unseen is not None
        assert unseen.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    for user, topic in (
        ("acme-reports", TOPICS.events),
        ("acme-reports", TOPICS.commands),
        ("factline-gateway", TOPICS.events),
        ("factline-projector", TOPICS.events),
        ("factline-correlator", TOPICS.events),
        ("auditor", TOPICS.commands),
    ):
        error = delivery(kafka, user, topic)
        assert error is not None, (user, topic)
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, (user, topic)


def _has_device(views: SqliteDocuments) -> bool:
    return views.live("devices") is not None and views.get("devices", TenantId("acme"), "web-1") is not None


@pytest.mark.parametrize(
    ("user", "arguments"),
    [
        ("factline-worker", "worker commands"),
        ("factline-gateway", "serve --profile distributed"),
        ("factline-projector", "worker documents"),
        ("factline-correlator", "worker correlate"),
        ("auditor", "log describe --profile distributed"),
    ],
)
def test_process_with_a_wrong_password_ends_and_says_what_to_check(place: Place, user: str, arguments: str) -> None:
    with closing(place.run(user, arguments, password="mistaken")) as process:
        assert process.wait(60) == 1, process.said()
        assert "FACTLINE_KAFKA_SASL_PASSWORD" in process.said()
        assert "Traceback" not in process.said()
        assert "mistaken" not in process.said()


def test_broker_whose_certificate_is_not_known_is_not_spoken_to(strict_kafka: Kafka) -> None:
    with pytest.raises(NotLetIn, match="FACTLINE_KAFKA_SSL_CA"):
        Connection(strict_kafka.secure_bootstrap, {"security.protocol": "SSL"}).connect()


def test_broker_that_wants_tls_is_not_found_without(strict_kafka: Kafka) -> None:
    with pytest.raises(LogUnavailable, match="FACTLINE_KAFKA_SECURITY_PROTOCOL"):
        Connection(strict_kafka.secure_bootstrap).connect(timeout_s=1)
