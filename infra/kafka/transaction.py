"""A transaction on Kafka keeps all of a batch or nothing of it, for one writer under each name."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from infra.kafka.connection import REQUEST_TIMEOUT_S, TOO_LARGE, Connection
from schemas.payload import BadPayload
from streams.ports import LogUnavailable
from streams.topics import COMPRESSION
from streams.write.turn import WriterLost

P = TypeVar("P")

TRANSACTION_TIMEOUT_MS = 6_000
"""What a writer that died leaves open is ended by the broker after this: its successor waits for it."""

LIMIT_S = 15.0
"""A transaction that lasts longer than this does not end well: the broker has aborted it, or the client lost its way.

Source: confluentinc/librdkafka issues 5456 and 5511, `send_offsets_to_transaction` may wait for ever.
"""

COMMIT_S = 60.0
_RETRY_MS = 5  # a transaction waits for the one before to be marked, which takes a few milliseconds


class Transactions:
    """Makes transactions, one after the other. Used by one thread at a time."""

    def __init__(self, connection: Connection, *ids: str, timeout_ms: int = TRANSACTION_TIMEOUT_MS) -> None:
        """Shape: `ids` are transactional ids. Whoever had them before is fenced, what it left open is ended.

        With one id nobody else ever writes under it; with two, used in turn, a transaction does not wait for the one
        before it to be marked in every partition (20 ms, set in the client), but another must keep others away.
        Units: a transaction that takes longer than `timeout_ms` is aborted by the broker.
        Raises: KafkaException, safe to retry.
        """
        self.since: float | None = None
        self._producers = [
            connection.producer(
                transactional_id=id_,
                transaction_timeout_ms=timeout_ms,
                retry_backoff_ms=_RETRY_MS,
                retry_backoff_max_ms=2 * _RETRY_MS,
                linger_ms=5,
                compression_type=COMPRESSION,
            )
            for id_ in ids
        ]
        for producer in self._producers:
            producer.init_transactions(COMMIT_S)

    @property
    def producer(self) -> Producer:
        """Return the producer of the transaction at hand, or of the next."""
        return self._producers[0]

    @contextmanager
    def transaction(self) -> Iterator[Producer]:
        """Make what is produced within durable, all of it, when the block ends.

        Shape: `since` is when it began (monotonic), None when it has ended.
        Raises: LogUnavailable and BadPayload, too large: nothing was kept; WriterLost, only the log knows.
        """
        self.since = time.monotonic()
        try:
            self.producer.begin_transaction()
            yield self.producer
            self.commit()
        except (KafkaException, BufferError) as error:
            self._abort(error)
            if isinstance(error, KafkaException) and _error(error).code() in TOO_LARGE:
                raise BadPayload(f"an event is larger than the log takes: {error}") from error
            raise LogUnavailable(f"the transaction was aborted: {error}") from error
        except Exception as error:
            # our own mistake, and no reason to leave it open: readers would wait for its end
            self._abort(error)
            raise
        finally:
            self.since = None
            self._producers.append(self._producers.pop(0))

    def commit(self) -> None:
        """Commit; asked again after a time-out this goes on with the same commit, it does not begin another."""
        deadline = time.monotonic() + COMMIT_S
        while True:
            try:
                self.producer.commit_transaction(REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if not _error(error).retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    def _abort(self, cause: Exception) -> None:
        """End the transaction without effect. Raises: WriterLost, that cannot be done or another owner has done it."""
        if isinstance(cause, KafkaException) and _error(cause).fatal():
            raise WriterLost(f"another writer has taken over: {cause}") from cause
        try:
            self.producer.abort_transaction(COMMIT_S)
        except KafkaException as error:
            raise WriterLost(f"the transaction can neither be committed nor aborted: {cause}; {error}") from error


def noting(ends: dict[P, int], place: P) -> Callable[[KafkaError | None, Message], None]:
    """Return a report of delivery that notes the record's offset as the end of its place."""

    def note(error: KafkaError | None, message: Message) -> None:
        if error is None:
            ends[place] = message.offset()  # type: ignore[assignment]

    return note


def _error(error: KafkaException) -> KafkaError:
    found: KafkaError = error.args[0]
    return found
