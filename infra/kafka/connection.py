"""All Kafka clients are made here: where the broker is, how to talk to it, and where its messages go."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from infra.settings import CannotStart
from streams.ports import LogUnavailable

_LOG = logging.getLogger(__name__)

QUIET_S = 10.0
"""The clients say the same thing hundreds of times a second while a broker is away: one line in this time is kept."""

REQUEST_TIMEOUT_S = 10.0
_ASK_S = 1.0

_NO_LEADER = (
    KafkaError._NOENT,  # noqa: SLF001 - of a topic that was made a moment ago the client says "no leaders found"
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
)
_AGAIN_S = 0.05
TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE,)
# codes of the client's own, which it names with an underscore
PARTITION_END: int = KafkaError._PARTITION_EOF  # noqa: SLF001
NO_SUCH_OFFSET: int = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
TIMED_OUT: int = KafkaError._TIMED_OUT  # noqa: SLF001
_REFUSED: Mapping[int, str] = {
    KafkaError._AUTHENTICATION: (  # noqa: SLF001
        "does not let this user in; check FACTLINE_KAFKA_SASL_USERNAME, FACTLINE_KAFKA_SASL_PASSWORD and"
        " FACTLINE_KAFKA_SASL_MECHANISM"
    ),
    KafkaError._SSL: (  # noqa: SLF001
        "is not who it should be, or wants to know who this is; check FACTLINE_KAFKA_SSL_CA, and"
        " FACTLINE_KAFKA_SSL_CERTIFICATE with FACTLINE_KAFKA_SSL_KEY where the broker wants them"
    ),
}

_FIRST, _LAST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
_QUEUED_KBYTES = 16 * 1024  # what a consumer fetches ahead; the default of 64 MiB is half of a worker's memory
_UNSENT_KBYTES = 128 * 1024  # what a producer holds while a broker is away; the default is 1 GiB


class NotLetIn(CannotStart):
    """A broker does not let this user in; the message says what to check. A retry gives the same answer."""


class Sparing(logging.Filter):
    """Lets one line through, then one every `QUIET_S` with the number of those left out; any thread may log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._quiet_until = -1.0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            now = self._clock()
            if now < self._quiet_until:
                self._left_out += 1
                return False
            self._quiet_until = now + QUIET_S
            left_out, self._left_out = self._left_out, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} lines before it were left out)", ()
        return True


class SparingEach(logging.Filter):
    """Does that with each message of one library for itself, for a handler; the lines of others pass."""

    def __init__(self, library: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(library)
        self._filters: defaultdict[str, Sparing] = defaultdict(lambda: Sparing(clock))

    def filter(self, record: logging.LogRecord) -> bool:
        return not super().filter(record) or self._filters[str(record.msg)].filter(record)


_LOG.addFilter(Sparing())


class Connection:
    """Makes clients. Shape: `security` are librdkafka's own property names (`sasl.username`, …)."""

    def __init__(self, bootstrap: str, security: Mapping[str, str] | None = None) -> None:
        self._bootstrap = bootstrap
        self._refusal: str | None = None
        self._common: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "client.id": "factline",
            # a broker that comes back is found within a second
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.refresh.interval.ms": 60_000,
            "error_cb": self._heard,
            **(security or {}),
        }

    def producer(self, **config: Any) -> Producer:
        """Return a producer that loses and doubles nothing on its way: idempotent, acknowledged by all replicas."""
        always = {"enable.idempotence": True, "acks": "all", "queue.buffering.max.kbytes": _UNSENT_KBYTES}
        return Producer(self._common | always | _dotted(config), logger=_LOG)

    def consumer(self, group: str, **config: Any) -> Consumer:
        """Return a consumer that sees what was committed, and commits nothing by itself."""
        always = {
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "queued.max.messages.kbytes": _QUEUED_KBYTES,
        }
        return Consumer(self._common | always | _dotted(config), logger=_LOG)

    def admin(self) -> AdminClient:
        return AdminClient(self._common, logger=_LOG)

    def connect(self, timeout_s: float = REQUEST_TIMEOUT_S) -> AdminClient:
        """Return an admin client that a broker has answered. Raises: NotLetIn; LogUnavailable, safe to retry."""
        deadline = time.monotonic() + timeout_s
        admin = self.admin()
        while True:
            try:
                admin.list_topics(timeout=_ASK_S)
            except KafkaException as error:
                admin.poll(0)  # the reason comes this way only
                if self._refusal is not None:
                    raise NotLetIn(self._refusal) from None
                if time.monotonic() > deadline:
                    raise LogUnavailable(
                        f"no broker answers at {self._bootstrap}: {error.args[0].str()}; check FACTLINE_KAFKA_BOOTSTRAP"
                        " and, where the broker wants TLS or a user, FACTLINE_KAFKA_SECURITY_PROTOCOL"
                    ) from error
            else:
                return admin

    def _heard(self, error: KafkaError) -> None:
        _LOG.warning("kafka: %s", error.str())
        if error.code() in _REFUSED:
            self._refusal = f"kafka at {self._bootstrap} {_REFUSED[error.code()]}: {error.str()}"


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """Return a message's headers; none where the client cannot give them: a name that is not UTF-8 is not ours."""
    try:
        return message.headers() or ()  # type: ignore[return-value]
    except (SystemError, ValueError):
        return ()


def appended_ms(message: Message) -> int | None:
    """Return when the broker took a message, None where it keeps what the sender said. Units: ms since 1970."""
    kind, at = message.timestamp()
    return at if kind == TIMESTAMP_LOG_APPEND_TIME else None


def first_offsets(admin: AdminClient, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """Return the first offset of each partition. Raises: KafkaException, safe to retry."""
    return _offsets(admin, topic, partitions, _FIRST, IsolationLevel.READ_COMMITTED)


def last_stable_offsets(admin: AdminClient, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """Return the offset before which all is committed or aborted. Raises: KafkaException, safe to retry."""
    return _offsets(admin, topic, partitions, _LAST, IsolationLevel.READ_COMMITTED)


def high_watermarks(admin: AdminClient, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """Return the offset before which all is replicated, committed or not. Raises: KafkaException, safe to retry."""
    return _offsets(admin, topic, partitions, _LAST, IsolationLevel.READ_UNCOMMITTED)


def _offsets(
    admin: AdminClient, topic: str, partitions: Collection[int], which: OffsetSpec, isolation: IsolationLevel
) -> dict[int, int]:
    asked = {TopicPartition(topic, partition): which for partition in partitions}
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        futures = admin.list_offsets(asked, isolation_level=isolation)
        try:
            return {place.partition: future.result(REQUEST_TIMEOUT_S).offset for place, future in futures.items()}
        except KafkaException as error:
            # a partition that was just made, or is being moved, has its leader in a moment; after a broker's restart
            # the client would go on with what it knew before, for ever, unless it is made to look
            if error.args[0].code() not in _NO_LEADER or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)
            admin.list_topics(topic, REQUEST_TIMEOUT_S)


def _dotted(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in config.items()}


@contextmanager
def kafka_errors() -> Iterator[None]:
    """Say what Kafka's client raises in the words of the port."""
    try:
        yield
    except (KafkaException, BufferError) as error:
        raise LogUnavailable(f"kafka did not do it: {error}") from error
    except TimeoutError as error:
        raise LogUnavailable("kafka gave no answer in time") from error
