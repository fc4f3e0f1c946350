"""The eventsourcing library on the real broker: its own suites, unchanged, and what only a log can break."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import TestCase
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    DataError,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    OperationalError,
    StoredEvent,
)
from eventsourcing.tests import application as application_suites
from eventsourcing.tests import persistence as suites
from eventsourcing.utils import Environment, get_topic

from infra.kafka.connection import Connection
from infra.kafka.recorder import (
    KafkaAggregateRecorder,
    KafkaApplicationRecorder,
    KafkaFactory,
    KafkaProcessRecorder,
    KafkaTrackingRecorder,
)
from infra.kafka.topics import create_missing
from streams.topics import TopicSpec

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

_NUMBERS = count(1)


def environment(kafka: "Kafka", folder: Path, **more: str) -> Environment:
    """Return what an application of its own log is told."""
    return Environment(
        "Dogs",
        {
            InfrastructureFactory.PERSISTENCE_MODULE: "infra.kafka.recorder",
            "FACTLINE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "FACTLINE_TOPIC_PREFIX": f"recorder-{next(_NUMBERS)}",
            "DATA_DIR": str(folder),
            **more,
        },
    )


class OnBroker(TestCase):
    env: Environment
    originator_id_type = "uuid"

    @pytest.fixture(autouse=True)
    def on_broker(self, kafka: "Kafka", tmp_path: Path) -> None:
        self.env = environment(kafka, tmp_path, ORIGINATOR_ID_TYPE=self.originator_id_type)

    @property
    def factory_of_its_own(self) -> KafkaFactory:
        # not closed: some of the suite's reader threads outlive their test; the last reference closes it
        return KafkaFactory(self.env)


class WithText:
    originator_id_type = "text"

    def new_originator_id(self) -> UUID | str:
        return f"demo|device-{uuid4()}"


class Aggregates(OnBroker):
    def create_recorder(self) -> Any:
        return self.factory_of_its_own.aggregate_recorder()


class Applications(OnBroker):
    def create_recorder(self) -> Any:
        return self.factory_of_its_own.application_recorder()


class TestAggregateRecorder(Aggregates, suites.AggregateRecorderTestCase):
    pass


class TestAggregateRecorderWithText(WithText, Aggregates, suites.AggregateRecorderTestCase):
    pass


class TestApplicationRecorder(Applications, suites.ApplicationRecorderTestCase[KafkaApplicationRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderWithText(
    WithText, Applications, suites.ApplicationRecorderTestCase[KafkaApplicationRecorder]
):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleavingNotificationIDs(Applications, suites.NonInterleavingNotificationIDsBaseCase):
    pass


class TestTrackingRecorder(OnBroker, suites.TrackingRecorderTestCase):
    def create_recorder(self) -> KafkaTrackingRecorder:
        return self.factory_of_its_own.tracking_recorder()


class TestProcessRecorder(OnBroker, suites.ProcessRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.factory_of_its_own.process_recorder()


class TestInfrastructureFactory(OnBroker, suites.InfrastructureFactoryTestCase[KafkaFactory]):
    def expected_factory_class(self) -> type[KafkaFactory]:
        return KafkaFactory

    def expected_aggregate_recorder_class(self) -> type[KafkaAggregateRecorder]:
        return KafkaAggregateRecorder

    def expected_application_recorder_class(self) -> type[KafkaApplicationRecorder]:
        return KafkaApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[KafkaTrackingRecorder]:
        return KafkaTrackingRecorder

    def tracking_recorder_subclass(self) -> type[KafkaTrackingRecorder]:
        return _Tracking

    def expected_process_recorder_class(self) -> type[KafkaProcessRecorder]:
        return KafkaProcessRecorder


class _Tracking(KafkaTrackingRecorder):
    pass


class TestExampleApplication(OnBroker, application_suites.ExampleApplicationTestCase):
    expected_factory_topic = get_topic(KafkaFactory)

    @pytest.fixture(autouse=True)
    def told_by_the_environment(self, on_broker: None, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)


class Dog(Aggregate):
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


class Dogs(Application[UUID]):
    snapshotting_intervals = {Dog: 3}  # noqa: RUF012 - the library's way to ask for snapshots

    def register(self, name: str) -> UUID:
        dog = Dog(name)
        self.save(dog)
        return dog.id

    def add_trick(self, dog_id: UUID, trick: str) -> int:
        dog: Dog = self.repository.get(dog_id)
        dog.add_trick(trick)
        return self.save(dog)[-1].notification.id

    def tricks(self, dog_id: UUID) -> list[str]:
        dog: Dog = self.repository.get(dog_id)
        return dog.tricks


@pytest.fixture
def env(kafka: "Kafka", tmp_path: Path) -> Environment:
    return environment(kafka, tmp_path)


@contextmanager
def dogs(env: Environment) -> Iterator[Dogs]:
    with closing(Dogs(env)) as app:
        yield app


@contextmanager
def opened(env: Environment) -> Iterator[KafkaApplicationRecorder]:
    with closing(KafkaFactory(env)) as factory:
        recorder = factory.application_recorder()
        assert isinstance(recorder, KafkaApplicationRecorder)
        yield recorder


def stored(originator_id: UUID, version: int, state: bytes = b"{}") -> StoredEvent:
    return StoredEvent(originator_id, version, "topic", state)


def copy_of(env: Environment) -> Path:
    return Path(env["DATA_DIR"]) / "recorders" / f"{topic_of(env)}.sqlite"


def topic_of(env: Environment) -> str:
    return f"{env['FACTLINE_TOPIC_PREFIX']}.Dogs.events"


def versions(recorder: KafkaApplicationRecorder) -> list[tuple[int, int]]:
    return [(one.id, one.originator_version) for one in recorder.select_notifications(None, 10_000)]


def test_an_application_saves_loads_and_reads_its_notification_log(env: Environment) -> None:
    with dogs(env) as app:
        rex = app.register("Rex")
        assert [app.add_trick(rex, trick) for trick in ("sit", "roll", "beg")] == [2, 3, 4]
        assert app.tricks(rex) == ["sit", "roll", "beg"]
        assert app.snapshots is not None
        assert [one.originator_version for one in app.snapshots.get(rex)] == [3]
        section = app.notification_log["1,10"]
        assert [one.topic.rpartition(".")[2] for one in section.items] == ["Created", *["TrickAdded"] * 3]


def lose(copy: Path) -> None:
    shutil.rmtree(copy.parent)


def damage(copy: Path) -> None:
    copy.write_bytes(b"no database at all" * 100)


def take_from_another_log(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("UPDATE log SET id = 'another'")
        db.execute("DELETE FROM stored_events")


@pytest.mark.parametrize("happens_to", [lose, damage, take_from_another_log])
def test_whatever_happens_to_the_copy_the_log_has_everything(
    env: Environment, happens_to: Callable[[Path], None]
) -> None:
    with dogs(env) as app:
        rex = app.register("Rex")
        app.add_trick(rex, "sit")
    happens_to(copy_of(env))
    with dogs(env) as app:
        assert app.tricks(rex) == ["sit"]
        assert app.recorder.max_notification_id() == 2
        assert app.add_trick(rex, "roll") == 3


def test_a_copy_that_is_behind_the_log_catches_up(env: Environment, tmp_path: Path) -> None:
    with dogs(env) as app:
        rex = app.register("Rex")
    earlier = shutil.copy(copy_of(env), tmp_path / "earlier")
    with dogs(env) as app:
        app.add_trick(rex, "sit")
    # as if the process had died between the two commits
    shutil.copy(earlier, copy_of(env))
    with dogs(env) as app:
        assert app.tricks(rex) == ["sit"]
        assert app.add_trick(rex, "roll") == 3


def record_for_ever() -> None:
    """Record events and say so on standard output, until this process is killed."""
    with dogs(Environment("Dogs", dict(os.environ))) as app:
        rex = app.register("Rex")
        for number in count(2):
            print(rex, app.add_trick(rex, str(number)), flush=True)


def test_what_was_answered_before_kill_9_is_there_without_the_copy(env: Environment) -> None:
    command = [sys.executable, "-c", f"from {__name__} import record_for_ever; record_for_ever()"]
    with subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered = [process.stdout.readline().split() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        answered += [line.split() for line in process.stdout]
    lose(copy_of(env))
    with dogs(env) as app:
        rex, last = UUID(answered[0][0]), int(answered[-1][1])
        # one more may have been committed and not answered
        tricks = app.tricks(rex)
        assert tricks == [str(number) for number in range(2, 2 + len(tricks))]
        assert app.recorder.max_notification_id() == len(tricks) + 1
        assert last <= len(tricks) + 1 <= last + 1


def test_a_transaction_that_its_writer_left_open_leaves_nothing(env: Environment) -> None:
    dog = uuid4()
    with opened(env) as old:
        old.insert_events([stored(dog, 1)])
        producer = old._log._transactions.producer
        producer.begin_transaction()
        producer.produce(topic_of(env), b"never committed", b"key", 0)
        producer.flush()
        lose(copy_of(env))
        with opened(env) as new:
            assert versions(new) == [(1, 1)]
            assert new.insert_events([stored(dog, 2)]) == [2]


def test_a_recorder_that_was_replaced_records_nothing_more(env: Environment) -> None:
    dog = uuid4()
    with opened(env) as old:
        old.insert_events([stored(dog, 1)])
        with opened(env) as new:
            for _ in range(2):
                with pytest.raises(OperationalError, match="open the application again"):
                    old.insert_events([stored(dog, 2)])
            assert new.insert_events([stored(dog, 2), stored(dog, 3)]) == [2, 3]
            assert versions(new) == [(1, 1), (2, 2), (3, 3)]


def test_of_threads_that_want_the_same_version_one_gets_it(env: Environment) -> None:
    dog = uuid4()

    def attempt(number: int) -> bool:
        try:
            recorder.insert_events([stored(dog, number % 10), stored(uuid4(), 1)])
        except IntegrityError:
            return False
        return True

    with opened(env) as recorder, ThreadPoolExecutor(10) as threads:
        assert sum(threads.map(attempt, range(100))) == 10
        assert [one.originator_version for one in recorder.select_events(dog)] == list(range(10))
        assert [id_ for id_, _ in versions(recorder)] == list(range(1, 21))
    with opened(env) as again:
        assert again.max_notification_id() == 20


def test_an_event_that_is_too_large_is_refused_and_those_beside_it_are_not(env: Environment) -> None:
    def attempt(number: int) -> bool:
        state = os.urandom(2_000_000) if number == 5 else b"{}"
        try:
            recorder.insert_events([stored(uuid4(), 1, state)])
        except DataError:
            return False
        return True

    with opened(env) as recorder, ThreadPoolExecutor(10) as threads:
        assert list(threads.map(attempt, range(10))) == [number != 5 for number in range(10)]
        assert recorder.max_notification_id() == 9


def test_an_event_with_a_wrong_field_is_its_callers_error_only(env: Environment) -> None:
    with opened(env) as recorder:
        wrong: Any = "no bytes"
        with pytest.raises(TypeError):
            recorder.insert_events([stored(uuid4(), 1, wrong)])
        assert recorder.insert_events([stored(uuid4(), 1)]) == [1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ORIGINATOR_ID_TYPE", "number", "must be uuid or text"),
        ("FACTLINE_REPLICATION", "none", "must be a number"),
        ("DOGS_FACTLINE_REPLICATION", "none", "must be a number"),
    ],
)
def test_a_setting_that_can_not_be_is_named(env: Environment, name: str, value: str, said: str) -> None:
    env[name] = value
    with pytest.raises(InfrastructureFactoryError, match=said):
        KafkaFactory(env)


def test_a_topic_is_made_only_where_that_is_wanted(env: Environment) -> None:
    env[KafkaFactory.CREATE_TABLE] = "n"
    with pytest.raises(OperationalError, match="Unknown topic"):
        KafkaFactory(env).application_recorder()


def test_a_topic_that_forgets_is_not_opened(env: Environment) -> None:
    admin = Connection(env["FACTLINE_KAFKA_BOOTSTRAP"]).admin()
    create_missing(admin, [TopicSpec(topic_of(env), 1, {"retention.ms": "1000"})], replication=1)
    with pytest.raises(InfrastructureFactoryError, match=r"retention\.ms=1000"):
        KafkaFactory(env).application_recorder()


def test_a_topic_that_somebody_else_writes_is_not_opened(env: Environment) -> None:
    with opened(env) as recorder:
        recorder.insert_events([stored(uuid4(), 1)])
    producer = Connection(env["FACTLINE_KAFKA_BOOTSTRAP"]).producer()
    producer.produce(topic_of(env), b"{}", b"key", 0)
    producer.flush()
    with pytest.raises(OperationalError, match="only a recorder may write"):
        KafkaFactory(env).application_recorder()
