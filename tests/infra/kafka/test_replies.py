"""Replies without a broker: whatever becomes of them, the writer goes on."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.kafka import replies as module
from infra.kafka.connection import Connection
from infra.kafka.replies import Replies
from streams.topics import Topics
from tests.cluster import until

NOWHERE = "127.0.0.1:9"
TOPICS = Topics("nowhere", 3)


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replies]:
    monkeypatch.setattr(module, "_FLUSH_S", 0.1)
    monkeypatch.setattr(module, "_DELIVERY_TIMEOUT_MS", 200)
    monkeypatch.setattr(module, "_UNSENT_KBYTES", 1_024)
    with closing(Replies(Connection(NOWHERE), TOPICS)) as replies:
        yield replies


def test_more_replies_than_there_is_room_for_are_lost_and_counted(replies: Replies) -> None:
    replies.send([("0|gateway|1", b"x" * 200_000)] * 20)
    assert replies.lost >= 10


def test_a_reply_that_is_larger_than_a_message_is_lost_alone(replies: Replies) -> None:
    replies.send([("0|gateway|1", b"x" * 2_000_000), ("0|gateway|2", b"small")])
    assert replies.lost == 1


def test_a_reply_to_a_partition_that_is_not_there_is_dropped(replies: Replies) -> None:
    replies.send([("3|gateway|1", b"small")])
    assert not len(replies._producer)


def test_replies_that_are_not_delivered_in_time_are_counted_as_lost(replies: Replies) -> None:
    replies.send([("0|gateway|1", b"small")])

    def is_lost() -> bool:
        replies.send([])
        return replies.lost == 1

    until(is_lost, 30)


class Dead:
    """A producer that has met an error after which it sends nothing."""

    def produce(self, *_: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))


def test_a_producer_that_is_beyond_help_is_replaced(replies: Replies) -> None:
    replies._producer = Dead()  # type: ignore[assignment]
    replies.send([("0|gateway|1", b"lost"), ("0|gateway|2", b"sent")])
    assert replies.lost == 1
    assert len(replies._producer) == 1
