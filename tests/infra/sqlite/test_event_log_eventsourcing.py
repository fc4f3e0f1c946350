"""The eventsourcing library's own persistence suites, unchanged, on the recorder of the embedded log."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase
from uuid import UUID, uuid4

from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.sqlite import (
    SQLiteAggregateRecorder,
    SQLiteFactory,
    SQLiteProcessRecorder,
    SQLiteTrackingRecorder,
)
from eventsourcing.tests import persistence as suites
from eventsourcing.utils import Environment, get_topic

from infra.sqlite.datastore import DurableDatastore
from infra.sqlite.event_log import CommandRecorder


class DurableFactory(SQLiteFactory):
    """The library's factory with the embedded log's recorder and datastore."""

    application_recorder_class = CommandRecorder

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.datastore.close()
        self.datastore = DurableDatastore(
            str(self.env.get(self.SQLITE_DBNAME)), originator_id_type=self.datastore.originator_id_type
        )


class OnDisk(TestCase):
    originator_id_type: Any = "uuid"

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "events.sqlite")
        super().setUp()

    def create_recorder(self) -> CommandRecorder:
        # not closed here: some of the suite's reader threads outlive their test; the last reference closes it
        datastore = DurableDatastore(self.path, originator_id_type=self.originator_id_type)
        recorder = CommandRecorder(datastore)
        recorder.create_table()
        return recorder


class WithText:
    """Our streams are named, not numbered."""

    originator_id_type = "text"

    def new_originator_id(self) -> UUID | str:
        return f"demo|device-{uuid4()}"


class Aggregates(OnDisk):
    """The library's recorder without notifications has no code of ours but the datastore."""

    def create_recorder(self) -> Any:
        datastore = DurableDatastore(self.path, originator_id_type=self.originator_id_type)
        recorder = SQLiteAggregateRecorder(datastore)
        recorder.create_table()
        return recorder


class TestAggregateRecorder(Aggregates, suites.AggregateRecorderTestCase):
    pass


class TestAggregateRecorderWithText(WithText, Aggregates, suites.AggregateRecorderTestCase):
    pass


class TestApplicationRecorder(OnDisk, suites.ApplicationRecorderTestCase[CommandRecorder]):
    pass


class TestApplicationRecorderWithText(WithText, OnDisk, suites.ApplicationRecorderTestCase[CommandRecorder]):
    pass


class TestNonInterleavingNotificationIDs(OnDisk, suites.NonInterleavingNotificationIDsBaseCase):
    pass


class TestInfrastructureFactory(OnDisk, suites.InfrastructureFactoryTestCase[DurableFactory]):
    def setUp(self) -> None:
        self.env = Environment("TestCase")
        self.env[InfrastructureFactory.PERSISTENCE_MODULE] = get_topic(DurableFactory)
        self.env[DurableFactory.SQLITE_DBNAME] = "file:memory-of-a-test?mode=memory&cache=shared"
        super().setUp()

    def expected_factory_class(self) -> type[DurableFactory]:
        return DurableFactory

    def expected_aggregate_recorder_class(self) -> type[SQLiteAggregateRecorder]:
        return SQLiteAggregateRecorder

    def expected_application_recorder_class(self) -> type[CommandRecorder]:
        return CommandRecorder

    def expected_tracking_recorder_class(self) -> type[SQLiteTrackingRecorder]:
        return SQLiteTrackingRecorder

    def tracking_recorder_subclass(self) -> type[SQLiteTrackingRecorder]:
        return _Tracking

    def expected_process_recorder_class(self) -> type[SQLiteProcessRecorder]:
        return SQLiteProcessRecorder


class _Tracking(SQLiteTrackingRecorder):
    pass
