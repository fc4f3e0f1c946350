"""Real engines: each through its own client, and what becomes of their processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import clickhouse_connect
import psutil
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from pymongo import MongoClient

from infra.engines.cassandra import Cassandra
from infra.engines.catalog import engines
from infra.engines.clickhouse import ClickHouseFront
from infra.engines.engine import EngineFailed
from infra.engines.java import ToolMissing
from infra.engines.kafka import Kafka
from infra.engines.mongo import Mongo, mongod
from infra.engines.registry import Registry
from tests.tiers import without
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]
SCHEMA = '{"type": "record", "name": "Heard", "fields": [{"name": "at", "type": "long"}]}'
ASK_S = 20


# Each engine through its own client


def test_kafka_gives_a_transaction_whole_to_a_read_committed_consumer(kafka: Kafka) -> None:
    _create_topic(kafka.bootstrap, "whole")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "whole"})
    producer.init_transactions(ASK_S)
    for value, finish in ((b"aborted", producer.abort_transaction), (b"kept", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce("whole", value)
        producer.flush(ASK_S)
        finish(ASK_S)
    assert _read_one({"bootstrap.servers": kafka.bootstrap}, "whole") == b"kept"


def test_kafka_makes_no_topic_by_itself(kafka: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.list_topics("unheard-of", timeout=ASK_S)
    assert "unheard-of" not in admin.list_topics(timeout=ASK_S).topics


def test_cassandra_returns_the_row_it_was_given(cassandra: Cassandra) -> None:
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=ASK_S)
    cluster = Cluster(["127.0.0.1"], port=cassandra.port, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    try:
        session = cluster.connect()
        session.execute("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        session.execute("CREATE TABLE k.t (tenant text, at int, PRIMARY KEY (tenant, at))")
        session.execute("INSERT INTO k.t (tenant, at) VALUES (%s, %s)", ("acme", 1))
        assert list(session.execute("SELECT tenant, at FROM k.t")) == [("acme", 1)]
    finally:
        cluster.shutdown()


def test_mongo_is_a_replica_set_that_takes_transactions(own_mongo: Mongo) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(own_mongo.url)
    with client, client.start_session() as session:
        session.with_transaction(lambda inside: client.db.c.insert_one({"_id": "a"}, session=inside))
        assert client.db.c.find_one() == {"_id": "a"}


def test_killed_mongo_restarts_on_the_same_port_with_its_data(own_mongo: Mongo) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(own_mongo.url)
    with client:
        client.db.kept.insert_one({"_id": "b"})
        before = own_mongo.pid
        own_mongo.kill()
        assert own_mongo.pid is None
        own_mongo.restart()
        assert own_mongo.pid != before
        assert client.db.kept.find_one() == {"_id": "b"}


def test_paused_engine_gives_no_answer_until_it_is_resumed(own_mongo: Mongo) -> None:
    own_mongo.pause()
    try:
        assert not own_mongo.ready()
    finally:
        own_mongo.resume()
    own_mongo.wait_ready()


def test_registry_knows_a_schema_by_the_same_id_after_it_was_killed(own_registry: Registry) -> None:
    with closing(_Registry(own_registry.url)) as client:
        number = client.register_schema("Heard", Schema(SCHEMA, "AVRO"))
        own_registry.kill()
        own_registry.restart()
        assert client.lookup_schema("Heard", Schema(SCHEMA, "AVRO")).schema_id == number


# Kafka's second listener


@pytest.fixture(scope="module")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    try:
        engine = Kafka(tmp_path_factory.mktemp("secure"), users={"writer": "w0rd", "reader": "r3ad"}).start()
    except ToolMissing as error:
        without(str(error))
    with engine:
        _create_topic(engine.bootstrap, "secured")
        yield engine


def test_user_with_the_password_writes_over_tls(secure_kafka: Kafka) -> None:
    settings = _secure(secure_kafka, "writer", "w0rd")
    producer = Producer(settings)
    producer.produce("secured", b"over TLS", partition=0)
    assert producer.flush(ASK_S) == 0
    assert _read_one(settings, "secured") == b"over TLS"


def test_user_with_a_wrong_password_is_refused(secure_kafka: Kafka) -> None:
    heard: list[str] = []
    settings = _secure(secure_kafka, "writer", "wrong") | {"error_cb": lambda error: heard.append(error.name())}
    admin = AdminClient(settings)
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=5)
    admin.poll(0)
    assert "_AUTHENTICATION" in heard


def test_access_rule_keeps_a_user_out(secure_kafka: Kafka) -> None:
    rule = AclBinding(
        ResourceType.TOPIC,
        "secured",
        ResourcePatternType.LITERAL,
        "User:reader",
        "*",
        AclOperation.WRITE,
        AclPermissionType.DENY,
    )
    admin = AdminClient({"bootstrap.servers": secure_kafka.bootstrap})
    admin.create_acls([rule])[rule].result(ASK_S)
    errors: list[str] = []
    producer = Producer(_secure(secure_kafka, "reader", "r3ad"))
    producer.produce("secured", b"no", on_delivery=lambda error, _: errors.append(error.name() if error else ""))
    producer.flush(ASK_S)
    assert errors == ["TOPIC_AUTHORIZATION_FAILED"]


# The stand-in for ClickHouse's network interface


@pytest.fixture
def table(own_clickhouse_front: ClickHouseFront) -> Iterator[str]:
    with closing(_clickhouse(own_clickhouse_front)) as client:
        client.command(
            "CREATE TABLE t (n UInt32, s String) ENGINE = MergeTree ORDER BY n"
            " SETTINGS non_replicated_deduplication_window = 100"
        )
        yield "t"
        client.command("DROP TABLE t")


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_front_takes_rows_in_any_compression(
    own_clickhouse_front: ClickHouseFront, table: str, *, compress: Any
) -> None:
    with closing(_clickhouse(own_clickhouse_front, compress=compress)) as client:
        client.insert(table, [list(range(5_000)), ["ä\n\t'"] * 5_000], ["n", "s"], column_oriented=True)
        assert client.query(f"SELECT count(), sum(n), any(s) FROM {table}").result_rows == [
            (5_000, 12_497_500, "ä\n\t'")
        ]


def test_front_binds_parameters(own_clickhouse_front: ClickHouseFront) -> None:
    with closing(_clickhouse(own_clickhouse_front)) as client:
        rows = client.query(
            "SELECT {a:String}, {b:Array(UInt8)}", parameters={"a": "x'\n\t\\", "b": [1, 2]}
        ).result_rows
        assert rows == [("x'\n\t\\", [1, 2])]


def test_front_binds_more_parameters_than_a_url_can_hold(own_clickhouse_front: ClickHouseFront) -> None:
    with closing(_clickhouse(own_clickhouse_front)) as client:
        many = [f"device-{number}" for number in range(5_000)]
        assert client.query("SELECT length({d:Array(String)})", parameters={"d": many}).result_rows == [(5_000,)]


def test_front_inserts_values_that_look_like_a_format(own_clickhouse_front: ClickHouseFront, table: str) -> None:
    with closing(_clickhouse(own_clickhouse_front)) as client:
        client.command(f"INSERT INTO {table} VALUES (1, ' FORMAT Native ')")
        assert client.query(f"SELECT s FROM {table}").result_rows == [(" FORMAT Native ",)]


def test_front_passes_settings_of_one_request_only(own_clickhouse_front: ClickHouseFront, table: str) -> None:
    with closing(_clickhouse(own_clickhouse_front)) as client:
        for _ in range(2):
            client.insert(table, [[1, "once"]], ["n", "s"], settings={"insert_deduplication_token": "a"})
        assert client.query(f"SELECT count() FROM {table}").result_rows == [(1,)]
        client.query("SELECT 1", settings={"max_threads": 1})
        assert {
            client.query("SELECT changed FROM system.settings WHERE name = 'max_threads'").result_rows[0][0]
            for _ in range(10)
        } == {0}


def test_front_answers_an_error_with_the_engines_code(own_clickhouse_front: ClickHouseFront) -> None:
    with (
        closing(_clickhouse(own_clickhouse_front)) as client,
        pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as error,
    ):
        client.query("SELECT * FROM nowhere")
    assert error.value.code == 60


def test_front_serves_many_clients_at_once(own_clickhouse_front: ClickHouseFront, table: str) -> None:
    def insert(first: int) -> None:
        with closing(_clickhouse(own_clickhouse_front)) as client:
            for number in range(first, first + 10):
                client.insert(table, [[number, "x"]], ["n", "s"])

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(insert, range(0, 40, 10)))
    with closing(_clickhouse(own_clickhouse_front)) as client:
        assert client.query(f"SELECT count(), uniqExact(n) FROM {table}").result_rows == [(40, 40)]


def test_front_killed_after_an_insert_still_has_the_rows(own_clickhouse_front: ClickHouseFront, table: str) -> None:
    with closing(_clickhouse(own_clickhouse_front)) as client:
        client.insert(table, [[1, "kept"]], ["n", "s"])
    own_clickhouse_front.kill()
    own_clickhouse_front.restart()
    with closing(_clickhouse(own_clickhouse_front)) as client:
        assert client.query(f"SELECT s FROM {table}").result_rows == [("kept",)]


# The launcher and its processes


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for engine in engines(tmp_path).values():
        engine.kill()


@pytest.fixture
def needs_mongod() -> None:
    try:
        mongod()
    except ToolMissing as error:
        without(str(error))


@pytest.mark.usefixtures("needs_mongod")
def test_engines_die_with_a_killed_launcher(directory: Path) -> None:
    with _foreground(directory, "mongo", "clickhouse") as launcher:
        pids = _pids(directory, "mongo", "clickhouse")
        launcher.kill()
        launcher.wait()
    eventually(lambda: not any(_alive(pid) for pid in pids))


@pytest.mark.usefixtures("needs_mongod")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_launcher_stops_its_engines_in_order(directory: Path, number: signal.Signals) -> None:
    with _foreground(directory, "mongo") as launcher:
        pids = _pids(directory, "mongo")
        launcher.send_signal(number)
        assert launcher.wait(ASK_S) == 0
    assert not any(_alive(pid) for pid in pids)
    assert "Shutting down" in engines(directory)["mongo"].log.read_text()
    assert (directory / "engines.json").read_text() == "{}\n"


@pytest.mark.usefixtures("needs_mongod")
def test_launcher_ends_when_an_engine_does_and_says_why(directory: Path) -> None:
    with _foreground(directory, "mongo") as launcher:
        engines(directory)["mongo"].kill()
        assert launcher.wait(ASK_S) == 1
        assert launcher.stdout
        assert "mongo has ended; the end of" in launcher.stdout.read()


@pytest.mark.usefixtures("needs_mongod")
def test_up_twice_leaves_the_running_engine_alone_and_down_stops_it(directory: Path) -> None:
    assert _factline("up", "mongo", "--detach", directory=directory).returncode == 0
    before = _pids(directory, "mongo")
    assert _factline("up", "mongo", directory=directory).returncode == 0
    assert _pids(directory, "mongo") == before
    assert "ready" in _factline("status", directory=directory).stdout
    assert "replSetInitiate" in _factline("logs", "mongo", directory=directory).stdout
    url = engines(directory)["mongo"].address["url"]
    assert _factline("env", directory=directory).stdout == (
        f"export FACTLINE_PROFILE=distributed\nexport FACTLINE_MONGO_URL='{url}'\n"
    )
    assert _factline("down", directory=directory).stdout == "stopped: mongo\n"
    assert not any(_alive(pid) for pid in before)


def test_down_when_nothing_runs_is_no_error(directory: Path) -> None:
    done = _factline("down", directory=directory)
    assert (done.returncode, done.stdout) == (0, "stopped: nothing was running\n")


def test_logs_of_an_engine_never_started_say_how_to_start_it(directory: Path) -> None:
    done = _factline("logs", "kafka", directory=directory)
    assert done.returncode == 1
    assert "factline engines up kafka" in done.stderr


def test_pid_that_now_belongs_to_another_process_is_left_alone(directory: Path) -> None:
    stranger = engines(directory)["mongo"]
    stranger.directory.mkdir()
    (stranger.directory / "pid").write_text(f"{os.getpid()} 1\n")
    stranger.stop()
    assert stranger.pid is None
    assert not (stranger.directory / "pid").exists()


def test_engine_that_ends_while_it_starts_shows_its_log(directory: Path) -> None:
    engine = engines(directory)["clickhouse"]
    engine.directory.mkdir()
    (engine.directory / "data").write_text("a file where the data should be")
    with pytest.raises(EngineFailed, match="clickhouse ended while it started; the end of"):
        engine.start()


def test_taken_port_is_named(directory: Path, own_clickhouse_front: ClickHouseFront) -> None:
    engine = engines(directory)["clickhouse"]
    engine.directory.mkdir()
    (engine.directory / "ports.json").write_text(f'{{"client": {own_clickhouse_front.port}}}')
    with pytest.raises(EngineFailed, match=f"port {own_clickhouse_front.port} is taken"):
        engine.start()


def test_without_java_it_is_said_what_to_install(directory: Path) -> None:
    done = _factline("up", "kafka", directory=directory, PATH="")
    assert done.returncode == 1
    assert "java is missing: install java 17 or newer" in done.stderr


def test_too_old_java_is_named(directory: Path) -> None:
    _fake(directory / "bin" / "java", "echo 'openjdk version \"11.0.2\"' >&2")
    done = _factline("up", "kafka", directory=directory, PATH=f"{directory}/bin", JAVA_HOME="")
    assert "java 17 or newer is needed" in done.stderr
    assert "version 11" in done.stderr


def test_too_new_java_is_refused_for_cassandra(directory: Path) -> None:
    _fake(directory / "bin" / "java", "echo 'openjdk version \"21\"' >&2")
    done = _factline("up", "cassandra", directory=directory, PATH=f"{directory}/bin", JAVA_HOME="")
    assert "java 17 is needed" in done.stderr


def test_without_maven_and_jars_it_is_said_what_to_install(directory: Path) -> None:
    _fake(directory / "bin" / "java", "echo 'openjdk version \"17\"' >&2")
    path = {"PATH": f"{directory}/bin", "JAVA_HOME": "", "XDG_CACHE_HOME": str(directory)}
    done = _factline("up", "kafka", directory=directory, **path)
    assert "maven is missing" in done.stderr


@pytest.mark.parametrize("workers", ["0", "1"])
def test_engine_test_without_java_fails_where_engines_are_required(tmp_path: Path, workers: str) -> None:
    case = tmp_path / "test_case.py"
    case.write_text("def test_case(kafka): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.tiers", "-p", "tests.engines", "-n", workers, str(case)]
    environment = {**os.environ, "PATH": "", "JAVA_HOME": "", "REQUIRE_ENGINES": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "java is missing" in done.stdout + done.stderr


class _Registry(SchemaRegistryClient):
    def __init__(self, url: str) -> None:
        super().__init__({"url": url})

    def close(self) -> None:
        self._rest_client.session.close()


def _create_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(ASK_S)


def _read_one(settings: Mapping[str, Any], topic: str) -> bytes | None:
    consumer = Consumer({**settings, "group.id": "g", "isolation.level": "read_committed"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(ASK_S)
        assert message is not None
        value: bytes | None = message.value()
        return value
    finally:
        consumer.close()


def _secure(kafka: Kafka, user: str, password: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": kafka.secure_bootstrap,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "ssl.ca.location": kafka.certificate,
    }


def _clickhouse(front: ClickHouseFront, **options: Any) -> Client:
    return clickhouse_connect.get_client(host="127.0.0.1", port=front.port, **options)


def _command(*arguments: str, directory: Path) -> list[str]:
    return [sys.executable, "-m", "infra.cli.engines", *arguments, "--dir", str(directory)]


def _factline(*arguments: str, directory: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = _command(*arguments, directory=directory)
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@contextmanager
def _foreground(directory: Path, *names: str) -> "Iterator[subprocess.Popen[str]]":
    """Give a launcher that stays in the foreground, once its engines are ready."""
    command = _command("up", *names, directory=directory)
    with subprocess.Popen(command, cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True) as launcher:
        try:
            assert launcher.stdout
            while "Ctrl-C stops them" not in (line := launcher.stdout.readline()):
                assert line, "the launcher ended"
            yield launcher
        finally:
            launcher.kill()


def _pids(directory: Path, *names: str) -> list[int]:
    found = [engines(directory)[name].pid for name in names]
    assert None not in found
    return [pid for pid in found if pid]


def _alive(pid: int) -> bool:
    # A dead one whose new parent has not asked for its end yet is still listed.
    return psutil.pid_exists(pid) and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def _fake(program: Path, script: str) -> None:
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
