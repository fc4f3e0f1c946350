"""Replies go back to gateways from here, after the commit: one that is lost costs its caller a retry."""

import logging
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from infra.kafka.connection import Connection, Sparing
from streams.topics import COMPRESSION, Topics

_LOG = logging.getLogger(__name__)
_LOG.addFilter(Sparing())

_DELIVERY_TIMEOUT_MS = 10_000  # nobody waits much longer
_UNSENT_KBYTES = 32 * 1024
_FLUSH_S = 5.0
_FATAL: int = KafkaError._FATAL  # noqa: SLF001 - a code of the client's own, which it names with an underscore


class Replies:
    """Sends replies in no transaction. Used by one thread at a time.

    Shape: `lost` counts those that could not be sent; the log answers their commands when they are sent again.
    """

    def __init__(self, connection: Connection, topics: Topics) -> None:
        self.lost = 0
        self._connection = connection
        self._topics = topics
        self._producer = self._new_producer()

    def send(self, replies: Sequence[tuple[str, bytes]]) -> None:
        """Send what can be sent, each to the address that its command gave.

        Neither waits nor fails: what is answered is in the log already, and a gateway that is slow, or a partition of
        the replies that is away, must not hold up the writer.
        """
        for reply_to, raw in replies:
            if (partition := int(reply_to.partition("|")[0])) < self._topics.partitions:
                self._send(reply_to, raw, partition)
        # reports of what was sent before make room
        self._producer.poll(0)

    def close(self) -> None:
        if left := self._producer.flush(_FLUSH_S):
            _LOG.warning("%d replies were not sent before the end", left)

    def _send(self, reply_to: str, raw: bytes, partition: int) -> None:
        try:
            self._producer.produce(self._topics.replies, raw, reply_to, partition, self._delivered)
        except BufferError as error:
            self._lose(error)
        except KafkaException as error:
            self._lose(error)
            if error.args[0].code() == _FATAL:
                # it sends nothing any more
                self._producer = self._new_producer()

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._lose(error)

    def _lose(self, error: object) -> None:
        self.lost += 1
        _LOG.warning("a reply was lost, %d since the start: %s", self.lost, error)

    def _new_producer(self) -> Producer:
        return self._connection.producer(
            linger_ms=1,
            delivery_timeout_ms=_DELIVERY_TIMEOUT_MS,
            delivery_report_only_error=True,
            queue_buffering_max_kbytes=_UNSENT_KBYTES,
            compression_type=COMPRESSION,
        )
