"""Applications of the eventsourcing library run on Kafka with `PERSISTENCE_MODULE=infra.kafka.recorder`."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ListenNotifySubscription,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from infra.kafka.connection import Connection
from infra.kafka.recorder_log import RecorderLog, library_errors
from infra.kafka.topics import check_configs, create_missing
from infra.settings import CannotStart, Settings
from infra.sqlite.recorder_copy import OriginatorIdType
from streams.topics import KEPT_FOR_EVER, TopicSpec


class KafkaAggregateRecorder(AggregateRecorder):
    def __init__(self, log: RecorderLog) -> None:
        self._log = log

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self._log.insert(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self._log.copy.select_events(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)


class KafkaApplicationRecorder(KafkaAggregateRecorder, ApplicationRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        return self._log.insert(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        return self._log.copy.select_notifications(start, limit, stop, topics, inclusive_of_start=inclusive_of_start)

    def max_notification_id(self) -> int | None:
        return self._log.copy.max_notification_id()

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return KafkaSubscription(self, self._log, gt=gt, topics=topics)


class KafkaSubscription(ListenNotifySubscription[ApplicationRecorder]):
    """What this process records, as it is recorded."""

    def __init__(
        self, recorder: ApplicationRecorder, log: RecorderLog, *, gt: int | None, topics: Sequence[str]
    ) -> None:
        self._log = log
        super().__init__(recorder, gt, topics)
        log.listen(self._has_been_notified)
        # something may have come between the first look and now
        self._has_been_notified.set()

    def stop(self) -> None:
        super().stop()
        self._log.unlisten(self._has_been_notified)


class KafkaTrackingRecorder(TrackingRecorder):
    def __init__(self, log: RecorderLog) -> None:
        self._log = log

    def insert_tracking(self, tracking: Tracking) -> None:
        self._log.insert((), tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        return self._log.copy.max_tracking_id(application_name)


class KafkaProcessRecorder(KafkaTrackingRecorder, KafkaApplicationRecorder, ProcessRecorder):
    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, tracking: Tracking | None = None, **_: Any
    ) -> Sequence[int] | None:
        return self._log.insert(stored_events, tracking)


class KafkaFactory(InfrastructureFactory[KafkaTrackingRecorder]):
    """Reads the FACTLINE_… variables of the distributed profile, and the library's own.

    Shape: the topics are `<prefix>.<application>.<events|snapshots|tracking>`; `CREATE_TABLE` says whether they are
    made where they are missing (y), `ORIGINATOR_ID_TYPE` whether originators are a `uuid` or `text`.
    """

    CREATE_TABLE = "CREATE_TABLE"
    ORIGINATOR_ID_TYPE = "ORIGINATOR_ID_TYPE"

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self._originator_id_type = self.env.get(self.ORIGINATOR_ID_TYPE, "uuid")
        if self._originator_id_type not in ("uuid", "text"):
            raise InfrastructureFactoryError(
                f"{self.ORIGINATOR_ID_TYPE} must be uuid or text, not {self._originator_id_type!r}"
            )
        try:
            self._settings = Settings.from_environment(_own(self.env))
        except CannotStart as error:
            raise InfrastructureFactoryError(str(error)) from error
        self._connection = Connection(self._settings.kafka_bootstrap, self._settings.kafka_security)
        self._logs: dict[str, RecorderLog] = {}

    def close(self) -> None:
        for log in self._logs.values():
            log.close()

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        return KafkaAggregateRecorder(self._log(purpose))

    def application_recorder(self) -> ApplicationRecorder:
        return KafkaApplicationRecorder(self._log("events"))

    def tracking_recorder(
        self, tracking_recorder_class: type[KafkaTrackingRecorder] | None = None
    ) -> KafkaTrackingRecorder:
        if tracking_recorder_class is None:
            topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
            tracking_recorder_class = resolve_topic(topic) if topic else KafkaTrackingRecorder
        return tracking_recorder_class(self._log("tracking"))

    def process_recorder(self) -> ProcessRecorder:
        return KafkaProcessRecorder(self._log("events"))

    def _log(self, purpose: str) -> RecorderLog:
        """Return the one log of a purpose: all recorders of an application share its writer."""
        if purpose not in self._logs:
            self._logs[purpose] = self._open(f"{self._settings.topics.prefix}.{self.env.name or '-'}.{purpose}")
        return self._logs[purpose]

    def _open(self, topic: str) -> RecorderLog:
        admin = self._connection.admin()
        spec = TopicSpec(topic, 1, KEPT_FOR_EVER, keep=tuple(KEPT_FOR_EVER))
        try:
            with library_errors():
                if strtobool(self.env.get(self.CREATE_TABLE, "y")):
                    create_missing(admin, [spec], replication=self._settings.replication)
                check_configs(admin, [spec])
        except CannotStart as error:
            raise InfrastructureFactoryError(str(error)) from error
        folder = self._settings.data_dir / "recorders"
        return RecorderLog(
            self._connection, topic, folder, originator_id_type=cast("OriginatorIdType", self._originator_id_type)
        )


def _own(env: Environment) -> dict[str, str]:
    """Return the environment as an application sees it: what is set for it by name goes first."""
    prefix = f"{env.name.upper()}_"
    return dict(env) | {name.removeprefix(prefix): value for name, value in env.items() if name.startswith(prefix)}
