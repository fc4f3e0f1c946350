from datetime import timedelta

import pytest

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, Topic, Undecodable
from streams.ports import Batch, FactSubmission
from streams.project.replay import Selection, replay
from tests.contracts.event_log import ACME, BOLT, events
from tests.examples.fleet import METRICS
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

AGENT = Actor(ActorType.AGENT, "agent-1")


def at(minute: int, batch: list[Envelope]) -> list[Envelope]:
    return [event._replace(recorded_at=RECORDED_AT + timedelta(minutes=minute)) for event in batch]


@pytest.fixture
def full(log: SqliteEventLog) -> SqliteEventLog:
    """Return a log of ten events, one recorded each minute, of two tenants and two streams."""
    for minute in range(10):
        tenant, stream = (ACME, BOLT)[minute % 2], f"device-{minute % 4}"
        log.append(Batch(at(minute, events(log, tenant, stream, 1, version=minute // 4 + 1)), ()))
    return log


def positions(log: SqliteEventLog, selection: Selection) -> list[int]:
    return [entry.position for entry in replay(log, selection)]


def test_a_tenants_history_is_its_own_and_in_order(full: SqliteEventLog) -> None:
    assert positions(full, Selection(ACME)) == [1, 3, 5, 7, 9]
    assert positions(full, Selection(BOLT)) == [2, 4, 6, 8, 10]
    assert positions(full, Selection(TenantId("nobody"))) == []


def test_one_stream_is_replayed_alone(full: SqliteEventLog) -> None:
    assert positions(full, Selection(ACME, StreamId("device-2"))) == [3, 7]


def test_a_time_span_holds_its_beginning_and_not_its_end(full: SqliteEventLog) -> None:
    span = Selection(ACME, since=RECORDED_AT + timedelta(minutes=2), until=RECORDED_AT + timedelta(minutes=6))
    assert positions(full, span) == [3, 5]


def test_only_wanted_types_are_replayed(full: SqliteEventLog) -> None:
    assert positions(full, Selection(ACME, types=frozenset({"device.tagged"}))) == []
    assert len(positions(full, Selection(ACME, types=frozenset({"device.registered", "device.tagged"})))) == 5


def test_facts_are_replayed_between_the_events_of_their_time(full: SqliteEventLog) -> None:
    full.append_facts(ACME, [FactSubmission("web-1", HAPPENED_AT, METRICS)], AGENT)
    late = [e._replace(recorded_at=e.recorded_at.replace(year=2100)) for e in events(full, ACME, "device-9", 1)]
    full.append(Batch(late, ()))
    topics = [entry.topic for entry in replay(full, Selection(ACME))]
    assert topics == [*[Topic.EVENTS] * 5, Topic.TELEMETRY, Topic.EVENTS]


def test_a_record_that_can_not_be_read_stays_in_its_place(full: SqliteEventLog) -> None:
    with full._events.transaction(commit=True) as c:
        c.execute("UPDATE stored_events SET state = x'00' WHERE rowid = 5")
    found = list(replay(full, Selection(ACME)))
    assert [entry.position for entry in found] == [1, 3, 5, 7, 9]
    assert isinstance(found[2], Undecodable)
