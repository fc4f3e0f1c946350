"""This writes stored events of the eventsourcing library to one topic, for threads that share transactions."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    OperationalError,
    PersistenceError,
    StoredEvent,
    Tracking,
)

from infra.kafka.connection import NO_SUCH_OFFSET, PARTITION_END, Connection, high_watermarks
from infra.kafka.recorder_records import Positioned, decode, encode_event, encode_tracking
from infra.kafka.topics import log_id
from infra.kafka.transaction import COMMIT_S, Transactions, noting
from infra.sqlite.recorder_copy import Change, OriginatorIdType, RecorderCopy
from infra.sqlite.writer_state import STATE_ERRORS, LogDamaged
from schemas.payload import BadPayload
from streams.ports import LogUnavailable
from streams.write.turn import WriterLost

_PARTITION = 0
_READ_AT_ONCE = 1_000
_WAIT_S = 0.05
_SILENCE_S = 30.0
_TRANSACTION_TIMEOUT_MS = 60_000  # nobody waits for it: the next writer has the same transactional id, and ends it

Outcome = Sequence[int] | PersistenceError


class _Insert:
    """What one caller wants recorded, and the notification ids that it waits for."""

    def __init__(self, source: str, events: Sequence[StoredEvent], tracking: Tracking | None) -> None:
        self.events = events
        self.tracking = tracking
        # in the caller's thread: a field of a wrong type is nobody else's error
        self.records = [encode_event(source, event) for event in events]
        self.tracked = [encode_tracking(source, tracking)] if tracking else []
        self.outcome: Outcome | None = None


class RecorderLog:
    """A log and this process's copy of it. Any number of threads may use it.

    Of all that open a log the last one may write; it has seen all that the ones before have written.
    """

    def __init__(
        self, connection: Connection, topic: str, folder: Path, *, originator_id_type: OriginatorIdType
    ) -> None:
        """Raises: OperationalError, safe to retry."""
        self._topic = topic
        self._source = f"urn:factline:{topic}"
        self._waiting: list[_Insert] = []
        self._turns = threading.Condition()
        self._writing = False
        self._in_step = True
        self._listeners: set[threading.Event] = set()
        with library_errors():
            # this fences the writer before: nothing of it comes behind the end that is asked for next
            self._transactions = Transactions(connection, f"{topic}.writer", timeout_ms=_TRANSACTION_TIMEOUT_MS)
            admin = connection.admin()
            end = high_watermarks(admin, topic, [_PARTITION])[_PARTITION]
            self.copy = RecorderCopy(folder / f"{topic}.sqlite", log_id(admin, topic), originator_id_type)
            consumer = connection.consumer(
                f"{topic}.copies", enable_partition_eof=True, auto_offset_reset="error", fetch_wait_max_ms=10
            )
            with closing(consumer):
                self._catch_up(consumer, end)

    def close(self) -> None:
        with self._turns:
            self._turns.wait_for(lambda: not self._writing)
            self._in_step = False
            self.copy.close()

    def listen(self, grown: threading.Event) -> None:
        """Set this event whenever something was recorded."""
        self._listeners.add(grown)

    def unlisten(self, grown: threading.Event) -> None:
        self._listeners.discard(grown)

    # --- writing

    def insert(self, events: Sequence[StoredEvent], tracking: Tracking | None = None) -> Sequence[int]:
        """Record all of it; return the notification ids once it is durable and can be read.

        Raises: IntegrityError, DataError: a retry gives the same answer; OperationalError, its text says what to do.
        """
        if not events and tracking is None:
            return []
        insert = _Insert(self._source, events, tracking)
        if turn := self._wait(insert):
            try:
                self._write(turn)
            finally:
                with self._turns:
                    self._writing = False
                    self._turns.notify_all()
        assert insert.outcome is not None  # noqa: S101 - somebody's turn has answered it
        if isinstance(insert.outcome, PersistenceError):
            raise insert.outcome
        return insert.outcome

    def _wait(self, insert: _Insert) -> Sequence[_Insert]:
        """Wait until another thread has written it, or it is this one's turn: to write all that is waiting by then."""
        with self._turns:
            self._waiting.append(insert)
            self._turns.wait_for(lambda: insert.outcome is not None or not self._writing)
            if insert.outcome is not None:
                return ()
            self._writing = True
            turn, self._waiting = self._waiting, []
            return turn

    def _write(self, inserts: Sequence[_Insert]) -> None:
        try:
            _answer(inserts, self._append(inserts))
        except BadPayload as error:
            if len(inserts) == 1:
                _answer(inserts, [DataError(str(error))])
            else:
                # which of them is too large is not known, and the others are not to blame
                for insert in inserts:
                    self._write([insert])
        except BaseException as error:
            said = "nothing was recorded, try again" if self._in_step else "open the application again to go on"
            _answer(inserts, [OperationalError(f"{said}: {error}") for _ in inserts])
            if not isinstance(error, Exception):
                raise
        else:
            for grown in tuple(self._listeners):
                grown.set()

    def _append(self, inserts: Sequence[_Insert]) -> Sequence[Outcome]:
        if not self._in_step:
            raise WriterLost("it was closed, another writer has taken over, or its disk has failed")
        with self.copy.change() as change:
            outcomes = [_add(change, insert) for insert in inserts]
            accepted = [
                (insert, outcome)
                for insert, outcome in zip(inserts, outcomes, strict=True)
                if not isinstance(outcome, PersistenceError)
            ]
            if accepted:
                change.go_on_at(self._commit(accepted) + 1)
        self._in_step = True
        return outcomes

    def _commit(self, accepted: Sequence[tuple[_Insert, Sequence[int]]]) -> int:
        """Produce all of it in one transaction; return the offset of the last record."""
        records = []
        for insert, ids in accepted:
            records += [(record, record.at(position)) for position, record in zip(ids, insert.records, strict=True)]
            records += [(record, record.headers) for record in insert.tracked]
        ends: dict[int, int] = {}
        self._in_step = False  # until the copy has it too
        try:
            with self._transactions.transaction() as producer:
                for record, headers in records[:-1]:
                    producer.produce(self._topic, record.value, record.key, _PARTITION, headers=headers)
                record, headers = records[-1]
                note = noting(ends, _PARTITION)
                producer.produce(self._topic, record.value, record.key, _PARTITION, note, headers=headers)
                producer.flush(COMMIT_S)
        except (LogUnavailable, BadPayload):
            self._in_step = True
            raise
        return ends[_PARTITION]

    # --- what was written before this process, or without its copy

    def _catch_up(self, consumer: Consumer, end: int) -> None:
        offset = self.copy.offset()
        if offset > end:
            raise LogDamaged(
                f"{self._topic} ends at offset {end}, before {offset}: it has lost what the copy still has"
            )
        consumer.assign([TopicPartition(self._topic, _PARTITION, offset)])
        deadline = time.monotonic() + _SILENCE_S
        while offset < end:
            messages = consumer.consume(_READ_AT_ONCE, _WAIT_S)
            if messages:
                offset = self._keep(messages)
                deadline = time.monotonic() + _SILENCE_S
            elif time.monotonic() > deadline:
                raise LogUnavailable(f"kafka gave nothing of {self._topic} from offset {offset} in time")

    def _keep(self, messages: Sequence[Message]) -> int:
        """Add records to the copy; return the offset that follows."""
        offset: int = messages[-1].offset()  # type: ignore[assignment]
        entries = [self._decode(message) for message in messages if not self._is_end(message)]
        with self.copy.change() as change:
            end = change.end()
            fresh = [entry for entry in entries if isinstance(entry, Positioned) and entry.position > end]
            if self._add(change, fresh) != [entry.position for entry in fresh]:
                raise LogDamaged(f"the positions of {self._topic} have a hole after {end}; look into the topic")
            for tracking in (entry for entry in entries if isinstance(entry, Tracking)):
                with suppress(IntegrityError):  # the copy has it already
                    change.add((), tracking)
            offset += 0 if self._is_end(messages[-1]) else 1
            change.go_on_at(offset)
        return offset

    def _add(self, change: Change, fresh: Sequence[Positioned]) -> list[int]:
        try:
            return list(change.add([entry.event for entry in fresh], None))
        except IntegrityError as error:
            raise LogDamaged(f"{self._topic} has two events of one version; look into the topic") from error

    def _is_end(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() == NO_SUCH_OFFSET:
            raise LogDamaged(f"{self._topic} no longer has offset {message.offset()}; its history was deleted")
        if error.code() != PARTITION_END:
            raise KafkaException(error)
        return True

    def _decode(self, message: Message) -> Positioned | Tracking:
        try:
            return decode(message.key(), message.value(), message.headers())  # type: ignore[arg-type]
        except ValueError as error:
            raise LogDamaged(f"{self._topic}, offset {message.offset()}: {error}; only a recorder may write") from error


def _add(change: Change, insert: _Insert) -> Outcome:
    try:
        return change.add(insert.events, insert.tracking)
    except IntegrityError as error:
        return error


def _answer(inserts: Sequence[_Insert], outcomes: Sequence[Outcome]) -> None:
    for insert, outcome in zip(inserts, outcomes, strict=True):
        insert.outcome = outcome


@contextmanager
def library_errors() -> Iterator[None]:
    """Say what fails below in the words of the library."""
    try:
        yield
    except (KafkaException, LogUnavailable, WriterLost, *STATE_ERRORS) as error:
        raise OperationalError(f"the log cannot be opened: {error}") from error
