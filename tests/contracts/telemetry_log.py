"""What every TelemetryLog promises to senders of facts, as a suite: subclass it and give both ends of the log."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from domain.catalog import facts_of
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, TenantId, Topic
from schemas.partitioning import facts_partition_of
from streams.ports import FactSubmission, LogReader, TelemetryLog
from tests.examples import ACME, stored
from tests.examples.fleet import HEARTBEAT, LOG, METRICS
from tests.examples.moments import HAPPENED_AT

BOLT = TenantId("bolt")
AGENT = Actor(ActorType.AGENT, "agent-1")
WEB_1 = StreamId("device-web-1")
TICK = replace(LOG, device_id=None)


def readings(count: int, device: str = "web-1") -> list[FactSubmission]:
    return [FactSubmission(device, HAPPENED_AT + timedelta(seconds=n), METRICS) for n in range(count)]


def read(reader: LogReader, *, of: StreamId = WEB_1, after: int = 0, tenant: TenantId = ACME) -> list[Envelope]:
    """Return the records of a tenant in the partition that has what is about one of its streams."""
    partition = facts_partition_of(tenant, of, reader.partitions)
    found = reader.read(Topic.TELEMETRY, partition, after=after, limit=1_000)
    return [entry for entry in found if isinstance(entry, Envelope) and entry.tenant_id == tenant]


def places(records: Sequence[Envelope]) -> list[Position]:
    return [Position(record.topic, record.partition, record.position) for record in records]


class TelemetryLogContract:
    """Inherit it in a class named Test…, with the fixtures `telemetry` and `reader`, of one log."""

    def test_what_a_request_says_of_a_stream_is_one_record_at_the_position_of_its_reply(
        self, telemetry: TelemetryLog, reader: LogReader
    ) -> None:
        for some in (readings(1), readings(3), readings(2)):
            reply = telemetry.append_facts(ACME, some, AGENT)
            record = read(reader)[-1]
            assert (reply.accepted, reply.repeated, reply.positions) == (len(some), 0, tuple(places([record])))
            assert (record.stream, record.version, record.actor, record.schema_version) == (WEB_1, 0, AGENT, 2)
            assert [(fact.happened_at, fact.data) for fact in facts_of(record)] == [
                (one.happened_at, stored(METRICS)) for one in some
            ]
            assert reader.end(*reply.positions[0][:2]) == record.position
            assert reader.ends(Topic.TELEMETRY)[record.partition] == record.position

    def test_positions_grow_and_reading_goes_on_after_each_of_them(
        self, telemetry: TelemetryLog, reader: LogReader
    ) -> None:
        for count in (3, 1, 2):
            telemetry.append_facts(ACME, readings(count), AGENT, f"key-{count}")
        records = read(reader)
        assert [record.position for record in records] == sorted({record.position for record in records})
        for n, record in enumerate(records, 1):
            assert read(reader, after=record.position) == records[n:]

    def test_a_reply_names_the_last_position_of_each_partition_that_got_some(
        self, telemetry: TelemetryLog, reader: LogReader
    ) -> None:
        reply = telemetry.append_facts(ACME, [each for n in range(20) for each in readings(1, f"web-{n}")], AGENT)
        partitions = {facts_partition_of(ACME, StreamId(f"device-web-{n}"), reader.partitions) for n in range(20)}
        assert [position.partition for position in reply.positions] == sorted(partitions)
        assert [reader.end(*position[:2]) for position in reply.positions] == [at.position for at in reply.positions]

    def test_facts_of_each_type_come_back_as_they_were_said(self, telemetry: TelemetryLog, reader: LogReader) -> None:
        facts = [FactSubmission("web-1", HAPPENED_AT, fact) for fact in (HEARTBEAT, METRICS, TICK)]
        telemetry.append_facts(ACME, facts, AGENT)
        found = [fact for record in read(reader) for fact in facts_of(record)]
        assert [(fact.type, fact.happened_at, fact.data) for fact in found] == [
            (one.fact.TYPE, HAPPENED_AT, stored(one.fact)) for one in facts
        ]

    def test_a_line_about_another_device_is_where_the_facts_of_that_device_are(
        self, telemetry: TelemetryLog, reader: LogReader
    ) -> None:
        telemetry.append_facts(ACME, [FactSubmission("collector", HAPPENED_AT, LOG)], AGENT)
        about = StreamId(f"device-{LOG.device_id}")
        assert [entry.stream for entry in read(reader, of=about)] == ["device-collector"]

    def test_of_two_readings_of_an_instant_a_request_leaves_one_and_of_two_equal_lines_two(
        self, telemetry: TelemetryLog, reader: LogReader
    ) -> None:
        later = FactSubmission("web-1", HAPPENED_AT, replace(METRICS, metrics={"cpu.load": 2.0, "cpu.steal": 3.0}))
        reply = telemetry.append_facts(ACME, [*readings(1), later], AGENT)
        assert (reply.accepted, reply.repeated) == (1, 1)
        line = FactSubmission("web-1", HAPPENED_AT, TICK)
        assert telemetry.append_facts(ACME, [line, line], AGENT).accepted == 2
        metrics, *lines = [fact for record in read(reader) for fact in facts_of(record)]
        assert metrics.data["metrics"] == {"cpu.load": 2.0, "cpu.steal": 3.0}
        assert len({fact.event_id for fact in lines}) == 2

    def test_a_request_that_is_sent_again_is_known_by_its_ids(self, telemetry: TelemetryLog, reader: LogReader) -> None:
        line = FactSubmission("web-1", HAPPENED_AT, TICK)
        for key in ("", "a", "", "a"):
            telemetry.append_facts(ACME, [line, line, line._replace(fact_id="mine")], AGENT, key)
        lines = {fact.event_id for record in read(reader) for fact in facts_of(record)}
        # two under each key, and the one that has an id
        assert len(lines) == 5

    def test_the_same_facts_of_two_tenants_are_two(self, telemetry: TelemetryLog, reader: LogReader) -> None:
        for tenant in (ACME, BOLT):
            assert telemetry.append_facts(tenant, readings(2), AGENT).accepted == 2
        ids = {record.event_id for tenant in (ACME, BOLT) for record in read(reader, tenant=tenant)}
        assert len(ids) == 2

    def test_no_facts_change_nothing(self, telemetry: TelemetryLog, reader: LogReader) -> None:
        reply = telemetry.append_facts(ACME, [], AGENT)
        assert (reply.accepted, reply.repeated, reply.positions) == (0, 0, ())
        assert set(reader.ends(Topic.TELEMETRY)) == {0}
