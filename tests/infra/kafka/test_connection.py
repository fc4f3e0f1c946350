"""What Kafka's clients say, without a broker."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import KafkaException

from infra.kafka import connection as connection_kafka
from infra.kafka import topics as topics_kafka
from infra.kafka.connection import QUIET_S, Connection, Sparing, SparingEach, kafka_errors
from streams.ports import LogUnavailable


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def nobody() -> Iterator[str]:
    """Give an address where connections are refused: the port is taken, and nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_first_line_comes_at_once_the_next_after_a_while_with_the_number_of_those_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = _Clock()
    logger = logging.getLogger("test.sparing")
    logger.addFilter(Sparing(clock))
    for n in range(2_000):
        clock.now = n * 2 * QUIET_S / 2_000
        logger.warning("broker %d is %s", n, "away")
    clock.now = 100 * QUIET_S
    logger.warning("away again")
    clock.now += QUIET_S
    logger.warning("and again")
    assert caplog.messages == [
        "broker 0 is away",
        "broker 1000 is away (999 lines before it were left out)",
        "away again (999 lines before it were left out)",
        "and again",
    ]


def test_each_message_of_a_library_comes_once_in_a_while_and_those_of_others_always(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.handler.addFilter(sparing := SparingEach("library", _Clock()))
    for n in range(3):
        logging.getLogger("library.part").warning("node %d is away", n)
        logging.getLogger("library").warning("nothing was fetched")
        logging.getLogger("librarian").warning("line %d", n)
    caplog.handler.removeFilter(sparing)
    assert caplog.messages == ["node 0 is away", "nothing was fetched", "line 0", "line 1", "line 2"]


def test_broker_that_is_away_is_said_once_however_many_clients_look_for_it(
    nobody: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection_kafka._LOG, "filters", [Sparing(_Clock())])
    connection = Connection(nobody)
    producers = [connection.producer() for _ in range(3)]
    deadline = time.monotonic() + 30
    while not caplog.messages:
        assert time.monotonic() < deadline
        for producer in producers:
            producer.poll(0.1)
    with pytest.raises(KafkaException):
        connection.admin().list_topics(timeout=1)
    for producer in producers:
        producer.poll(0.5)
    assert len(caplog.messages) == 1
    assert nobody in caplog.text


def test_answer_that_does_not_come_in_time_is_an_outage_that_may_be_asked_again(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics_kafka, "REQUEST_TIMEOUT_S", 0.1)
    with pytest.raises(LogUnavailable, match="no answer in time"), kafka_errors():
        topics_kafka.log_id(Connection(nobody).admin(), "events")
