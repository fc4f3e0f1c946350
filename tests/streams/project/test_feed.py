import threading
from datetime import timedelta

import pytest

from infra.sqlite.event_log import SqliteEventLog
from projections.stores import StoreUnavailable
from schemas.envelope import Position, StreamId, TenantId, Topic
from streams.ports import FactSubmission
from streams.project.feed import LogFeed
from streams.write.writer import Writer
from tests.examples.fleet import METRICS
from tests.examples.moments import HAPPENED_AT
from tests.streams.kit import TESTER, register

DEMO, ACME = TenantId("demo"), TenantId("acme")


@pytest.fixture
def feed(log: SqliteEventLog, writer: Writer) -> LogFeed:
    return LogFeed(log)


def test_feed_begins_at_the_end_and_gives_what_comes_after(feed: LogFeed, writer: Writer) -> None:
    [events, telemetry] = feed.ends(DEMO)
    assert feed.ends(DEMO, StreamId("device-web-1")) == [events, telemetry]
    assert (events.topic, telemetry.topic) == (Topic.EVENTS, Topic.TELEMETRY)
    writer.write([register("web-1")])
    found, reached = feed.since(DEMO, events, limit=10)
    assert [event.stream for event in found] == ["device-web-1"]
    assert reached == events._replace(position=events.position + 1)
    assert feed.since(DEMO, reached, limit=10) == ((), reached)


def test_tenant_gets_its_own_records_and_passes_those_of_others(feed: LogFeed, writer: Writer) -> None:
    [events, _] = feed.ends(DEMO)
    writer.write([register(f"web-{n}", tenant="acme") for n in range(3)] + [register("web-9")])
    found, reached = feed.since(DEMO, events, limit=3)
    assert (list(found), reached.position) == ([], events.position + 3)
    found, reached = feed.since(DEMO, reached, limit=3)
    assert [event.stream for event in found] == ["device-web-9"]


def test_waiting_ends_with_the_first_new_record(feed: LogFeed, log: SqliteEventLog) -> None:
    ends = feed.ends(DEMO)
    assert not feed.wait(ends, 0.01)
    fact = FactSubmission("web-1", HAPPENED_AT, METRICS)
    later = threading.Timer(0.05, lambda: log.append_facts(DEMO, [fact], TESTER))
    later.start()
    assert feed.wait(ends, 10)
    later.join()
    found, _ = feed.since(DEMO, ends[1], limit=10)
    assert [event.type for event in found] == ["device.metrics.reported"]


def test_facts_of_a_record_come_one_by_one_under_its_position(feed: LogFeed, log: SqliteEventLog) -> None:
    [_, telemetry] = feed.ends(DEMO)
    facts = [FactSubmission("web-1", HAPPENED_AT + timedelta(seconds=n), METRICS) for n in range(3)]
    reply = log.append_facts(DEMO, facts, TESTER)
    found, reached = feed.since(DEMO, telemetry, limit=10)
    assert reached == reply.positions[0]
    assert [(fact.position, fact.place, fact.happened_at) for fact in found] == [
        (reached.position, n, one.happened_at) for n, one in enumerate(facts)
    ]
    assert len({fact.event_id for fact in found}) == 3


def test_log_that_does_not_answer_is_a_store_that_does_not(feed: LogFeed, log: SqliteEventLog) -> None:
    log.close()
    with pytest.raises(StoreUnavailable):
        feed.since(DEMO, Position(Topic.EVENTS, 0, 0), limit=10)
