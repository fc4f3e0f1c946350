"""A log that was replaced is noticed while a process runs, and one that is away for a moment is not taken for that."""

from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.kafka import log_watch
from infra.kafka.log_watch import LogWatch

START = {"factline.events": "cluster/1", "factline.telemetry": "cluster/2"}


class Broker:
    """What a broker says of the topics."""

    def __init__(self) -> None:
        self.ids: Mapping[str, str] | Exception = START

    def say(self, _admin: Any, topics: Sequence[str]) -> Mapping[str, str]:
        if isinstance(self.ids, Exception):
            raise self.ids
        assert list(topics) == list(START)
        return self.ids


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(log_watch, "log_ids", broker.say)
    monkeypatch.setattr(log_watch, "LOOK_S", 0.01)
    return broker


def watch() -> LogWatch:
    return LogWatch(None, list(START))  # type: ignore[arg-type]


@pytest.mark.parametrize("away", [KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), TimeoutError()])
def test_topic_that_is_not_there_or_a_broker_that_is_away_is_no_other_log(broker: Broker, away: Exception) -> None:
    found = watch()
    broker.ids = away
    found.look()
    assert found.replaced is None
    broker.ids = START
    found.look()
    assert found.replaced is None


def test_replaced_topic_is_named_and_told_once(broker: Broker) -> None:
    found, told = watch(), Event()
    with found.watching(told.set):
        assert not told.wait(0.05)
        broker.ids = {**START, "factline.telemetry": "cluster/3"}
        assert told.wait(30)
    assert found.replaced is not None
    assert found.replaced.startswith("the log was replaced: factline.telemetry was made anew")


def test_another_cluster_is_another_log(broker: Broker) -> None:
    found = watch()
    broker.ids = {topic: id_.replace("cluster", "other") for topic, id_ in START.items()}
    found.look()
    assert found.replaced is not None
    assert "factline.events, factline.telemetry was made anew" in found.replaced
