"""Commands of a log's partitions are taken from here in turns, each of which is one transaction."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Message

from infra.kafka.connection import headers_of
from infra.kafka.event_log import KafkaEventLog
from streams.ports import Batch
from streams.write.messages import encode_reply
from streams.write.turn import Incoming

REPLY_TO = "reply-to"
"""The header of a command that says where its sender waits: `<partition of the replies>|<anything short>`."""

_ADDRESS = re.compile(rb"[0-9]{1,6}\|[\x21-\x7e]{0,200}")


class KafkaTurn:
    """Turn of commands of any of the partitions."""

    def __init__(self, log: KafkaEventLog, messages: Sequence[Message]) -> None:
        self.incoming = [
            Incoming(_partition(message), _offset(message), log.commands.opened(message.value() or b""))
            for message in messages
        ]
        self.is_committed = False
        self._log = log
        self._reply_tos = [_reply_to(message) for message in messages]
        self._offsets = {_partition(message): _offset(message) + 1 for message in messages}

    def commit(self, batch: Batch) -> None:
        # encoded first: what cannot be said may not be done; sent last, without the transaction: what another's open
        # transaction would hold up are the answers of all
        replies = [
            (reply_to, encode_reply(reply))
            for reply_to, reply in zip(self._reply_tos, batch.replies, strict=True)
            if reply_to is not None
        ]
        self._log.commit(batch, self._offsets)
        self.is_committed = True
        self._log.replies.send(replies)


class KafkaCommandQueue:
    """CommandQueue of one log; used by the thread that uses the log."""

    def __init__(self, log: KafkaEventLog) -> None:
        self.partitions = log.partitions
        self._log = log

    @property
    def ownership(self) -> int:
        return self._log.owned.changes

    @contextmanager
    def take(self, *, limit: int, timeout_s: float) -> Iterator[KafkaTurn]:
        owned = self._log.owned
        timeout_s = min(timeout_s, owned.advance())
        self._log.fill_credentials()
        turn: KafkaTurn | None = None
        try:
            turn = KafkaTurn(self._log, owned.poll(limit, timeout_s))
            if not turn.incoming:
                owned.checkpoint()
            yield turn
        finally:
            # no turn: what was polled before that failed would not be seen again
            if turn is None or (turn.incoming and not turn.is_committed):
                owned.read_again()


def _reply_to(message: Message) -> str | None:
    for name, value in headers_of(message):
        if name == REPLY_TO and value is not None and _ADDRESS.fullmatch(value):
            return value.decode()
    return None


def _partition(message: Message) -> int:
    return message.partition()  # type: ignore[return-value]


def _offset(message: Message) -> int:
    return message.offset()  # type: ignore[return-value]
