"""When a fact was recorded is said by the clock of the broker, where it set the record's time."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from schemas.envelope import Envelope, Topic
from schemas.kafka_record import encode_kafka
from streams.faust.facts import facts_of
from tests.examples import envelope_of
from tests.examples.fleet import REGISTERED
from tests.streams.faust.test_sink import Delivered

FACT = envelope_of(REGISTERED)._replace(topic=Topic.TELEMETRY, version=0, position=0)
APPENDED_AT = datetime(2026, 11, 27, 12, 30, 0, 125_000, tzinfo=UTC)


def delivered(*record: Any) -> Any:
    return cast("Any", Delivered("factline.telemetry", *record))


@pytest.mark.parametrize(("timestamp_type", "recorded_at"), [(0, FACT.recorded_at), (1, APPENDED_AT)])
def test_fact_is_recorded_when_the_broker_took_it_if_that_says_so(timestamp_type: int, recorded_at: datetime) -> None:
    record = encode_kafka(FACT, 1)
    at = int(APPENDED_AT.timestamp() * 1000)
    given = delivered(2, 41, at, timestamp_type, record.key, record.value, record.headers_from("test"))
    [found] = facts_of([given], 2)
    assert isinstance(found, Envelope)
    assert (found.recorded_at, found.happened_at) == (recorded_at, FACT.happened_at)
    assert (found.topic, found.partition, found.position) == (Topic.TELEMETRY, 2, 42)


def test_record_without_headers_is_not_made_whole_by_the_brokers_clock() -> None:
    [found] = facts_of([delivered(0, 0, 1, 1, b"acme|device-1", b"", [])], 0)
    assert not isinstance(found, Envelope)
