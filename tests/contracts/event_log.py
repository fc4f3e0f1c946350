"""What every EventLog promises to its writer, as a suite: subclass EventLogContract and say how the log is opened."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

import pytest

from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, Entry, Envelope, Position, StreamId, TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import Answered, Batch, Due, EventLog, SystemClock
from streams.write.answers import accepted as accepted_with
from streams.write.answers import command_of
from streams.write.writer import Writer
from tests.examples import envelope_of
from tests.examples.fleet import REGISTERED
from tests.streams.kit import accepted, register, register_tenant, retire, tag
from tests.streams.write.saga import HOUR, NOON, RESTING, Hands, fan_out

ACME = TenantId("acme")
BOLT = TenantId("bolt")
ANN = envelope_of(REGISTERED).actor
ROUNDS = 100


class Log(EventLog, Protocol):
    def close(self) -> None: ...


def events(log: EventLog, tenant: TenantId, stream: str, count: int, *, version: int = 1) -> list[Envelope]:
    """Return events that continue a tenant's partition; the n-th is of the command `<stream>-<version>`."""
    partition = partition_of(tenant, log.partitions)
    end = log.end(Topic.EVENTS, partition)
    return [
        envelope_of(REGISTERED)._replace(
            event_id=f"00000000-0000-7000-8000-{end + n:012}",
            tenant_id=tenant,
            stream=StreamId(stream),
            version=version + n - 1,
            partition=partition,
            position=end + n,
            command_id=f"{stream}-{version + n - 1}",
        )
        for n in range(1, count + 1)
    ]


def read(log: EventLog, tenant: TenantId, *, after: int = 0, limit: int = 1_000) -> Sequence[Entry]:
    return list(log.read(Topic.EVENTS, partition_of(tenant, log.partitions), after=after, limit=limit))


class EventLogContract:
    """Inherit it in a class named Test…, override `opening`."""

    @pytest.fixture
    def opening(self) -> Callable[[], Log]:
        """Return what opens the log of this test, empty the first time; one at a time is open."""
        raise NotImplementedError

    @pytest.fixture
    def log(self, opening: Callable[[], Log]) -> Iterator[Log]:
        log = opening()
        yield log
        log.close()

    @pytest.fixture
    def writer(self, log: Log) -> Writer:
        writer = Writer(log, SystemClock())
        writer.write([register_tenant("acme"), register_tenant("bolt"), register("web-1", tenant="acme")])
        return writer

    def test_a_new_log_is_empty(self, log: Log) -> None:
        partition = partition_of(ACME, log.partitions)
        assert [log.end(topic, partition) for topic in Topic] == [0, 0]
        assert [list(log.read(topic, partition, after=0, limit=10)) for topic in Topic] == [[], []]
        assert list(log.read_stream(ACME, StreamId("device-1"), after=0, limit=10)) == []
        assert log.read_streams([(ACME, StreamId("device-1"))]) == {}
        assert log.find_commands([(ACME, ANN, "device-1-1")]) == {}
        assert list(log.tenants(partition)) == []

    def test_events_are_read_at_once_and_exactly_as_appended(self, log: Log) -> None:
        batch = events(log, ACME, "device-1", 3)
        batch[1] = batch[1]._replace(traceparent="00-1-2-01", organization_id="north", correlation_id="über")
        log.append(Batch(batch, ()))
        assert log.end(Topic.EVENTS, batch[0].partition) == 3
        assert read(log, ACME) == batch

    def test_reading_goes_on_after_a_position_and_ends_at_the_limit(self, log: Log) -> None:
        batch = events(log, ACME, "device-1", 10)
        log.append(Batch(batch[:4], ()))
        log.append(Batch(batch[4:], ()))
        assert read(log, ACME, after=2, limit=3) == batch[2:5]
        assert read(log, ACME, after=9) == batch[9:]
        assert read(log, ACME, after=10) == []

    def test_an_append_of_nothing_changes_nothing(self, log: Log) -> None:
        log.append(Batch((), ()))
        assert log.end(Topic.EVENTS, partition_of(ACME, log.partitions)) == 0

    def test_a_batch_may_hold_events_of_many_tenants(self, log: Log) -> None:
        batch = events(log, ACME, "device-1", 2)
        log.append(Batch(batch, ()))
        more = [*events(log, BOLT, "device-1", 2), *events(log, TenantId("t3"), "device-9", 1)]
        if log.partitions == 1:
            more = [event._replace(position=n) for n, event in enumerate(more, 3)]
        log.append(Batch(more, ()))
        assert set(log.read_streams([event.key for event in batch + more])) == {event.key for event in batch + more}

    def test_a_streams_events_are_read_in_order_from_a_version_on(self, log: Log) -> None:
        batch = events(log, ACME, "device-1", 5)
        log.append(Batch(batch, ()))
        log.append(Batch(events(log, ACME, "device-2", 1), ()))
        stream = StreamId("device-1")
        assert list(log.read_stream(ACME, stream, after=0, limit=100)) == batch
        assert list(log.read_stream(ACME, stream, after=2, limit=2)) == batch[2:4]
        assert list(log.read_stream(ACME, stream, after=5, limit=2)) == []

    def test_a_stream_of_one_tenant_is_not_another_tenants(self, log: Log) -> None:
        batch = events(log, ACME, "device-1", 1)
        log.append(Batch(batch, ()))
        assert list(log.read_stream(BOLT, StreamId("device-1"), after=0, limit=10)) == []
        assert log.read_streams([(BOLT, StreamId("device-1"))]) == {}
        assert log.find_commands([(BOLT, ANN, "device-1-1")]) == {}

    def test_streams_are_read_whole_and_unknown_ones_left_out(self, log: Log) -> None:
        one, other = events(log, ACME, "device-1", 3), "device-2"
        log.append(Batch(one, ()))
        two = events(log, ACME, other, 2)
        log.append(Batch(two, ()))
        keys = [(ACME, StreamId(name)) for name in ("device-1", other, "device-3")]
        found = log.read_streams(keys)
        assert {key: list(found[key]) for key in found} == {keys[0]: one, keys[1]: two}

    def test_more_streams_and_commands_than_one_query_holds_are_found(self, log: Log) -> None:
        batch = [
            event._replace(stream=StreamId(f"device-{n}"), version=1, command_id=f"command-{n}")
            for n, event in enumerate(events(log, ACME, "device", 1_200))
        ]
        log.append(Batch(batch, ()))
        assert len(log.read_streams([event.key for event in batch])) == 1_200
        assert len(log.find_commands([command_of(event) for event in batch])) == 1_200

    def test_a_command_is_found_with_all_the_events_it_caused(self, log: Log) -> None:
        batch = [event._replace(command_id="once") for event in events(log, ACME, "device-1", 3)]
        log.append(Batch(batch, ()))
        log.append(Batch(events(log, ACME, "device-2", 1), ()))
        found = log.find_commands([(ACME, ANN, "once"), (ACME, ANN, "never")])
        assert found == {(ACME, ANN, "once"): Answered(batch[0].command_hash, accepted_with("once", batch))}

    def test_a_command_of_another_actor_is_another_command(self, log: Log) -> None:
        one, other = (
            events(log, ACME, "device-1", 2)[n]._replace(command_id="same", actor=Actor(ActorType.API_KEY, f"key:{n}"))
            for n in range(2)
        )
        log.append(Batch([one, other], ()))
        keys = [command_of(event) for event in (one, other)]
        found = log.find_commands([*keys, (ACME, ANN, "same")])
        assert {key: answered.reply.events[0].event_id for key, answered in found.items()} == {
            keys[0]: one.event_id,
            keys[1]: other.event_id,
        }

    def test_tenants_of_a_partition_are_those_with_an_event(self, log: Log) -> None:
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
        assert list(log.tenants(partition_of(ACME, log.partitions))) == [ACME]

    def test_waiting_ends_when_the_partition_is_past_the_position(self, log: Log) -> None:
        place = (Topic.EVENTS, partition_of(ACME, log.partitions))
        began = time.monotonic()
        assert not log.wait({place: 0}, 0.2)
        assert time.monotonic() - began >= 0.15
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
        assert log.wait({place: 0}, 5)
        assert not log.wait({place: 1}, 0)

    def test_everything_is_there_after_reopening(self, opening: Callable[[], Log]) -> None:
        log = opening()
        batch = events(log, ACME, "device-1", 3)
        log.append(Batch(batch, ()))
        log.close()
        log = opening()
        try:
            assert read(log, ACME) == batch
            more = events(log, ACME, "device-1", 1, version=4)
            assert more[0].position == 4
            log.append(Batch(more, ()))
            assert list(log.read_stream(ACME, StreamId("device-1"), after=0, limit=10)) == [*batch, *more]
        finally:
            log.close()

    def test_the_writers_positions_are_dense_and_those_of_its_replies(self, log: Log, writer: Writer) -> None:
        replies = writer.write([register(f"web-{n}", tenant="acme") for n in range(2, 5)])
        entries = read(log, ACME)
        assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
        partition = partition_of(ACME, log.partitions)
        own = [Position(Topic.EVENTS, partition, entry.position) for entry in entries if entry.tenant_id == ACME]
        assert [reply.position for reply in replies] == own[-3:]

    def test_a_repeated_command_gets_its_first_reply(self, writer: Writer) -> None:
        [first] = writer.write([register("web-2", tenant="acme", id_="once")])
        for _ in range(2):
            writer.forget()
            assert writer.write([register("web-2", tenant="acme", id_="once")]) == [first._replace(repeated=True)]

    def test_another_command_under_a_known_id_is_refused_and_not_decided(self, log: Log, writer: Writer) -> None:
        first = register("web-2", tenant="acme", id_="once", hash_=b"1")
        writer.write([first])
        end = log.end(Topic.EVENTS, partition_of(ACME, log.partitions))
        for other in (register("web-3", tenant="acme", id_="once", hash_=b"2"), first._replace(command_hash=b"2")):
            writer.forget()
            [reply] = writer.write([other])
            assert reply.refusal is not None
            assert reply.refusal.kind is Kind.REUSED
        assert log.end(Topic.EVENTS, partition_of(ACME, log.partitions)) == end

    def test_a_repeat_after_reopening_gets_its_first_reply(self, opening: Callable[[], Log]) -> None:
        log = opening()
        first = Writer(log, SystemClock()).write(
            [register_tenant("acme"), register("web-1", tenant="acme", id_="once")]
        )
        log.close()
        log = opening()
        try:
            [again] = Writer(log, SystemClock()).write([register("web-1", tenant="acme", id_="once")])
            assert again == first[1]._replace(repeated=True)
        finally:
            log.close()

    def test_answer_without_events_is_given_again_after_reopening(self, opening: Callable[[], Log]) -> None:
        refused, nothing = tag("web-9", "a", tenant="acme", id_="r"), retire("web-1", tenant="acme", id_="n")
        log = opening()
        first = Writer(log, SystemClock()).write(
            [
                register_tenant("acme"),
                register("web-1", tenant="acme"),
                retire("web-1", tenant="acme"),
                refused,
                nothing,
            ]
        )[-2:]
        assert [accepted(reply) for reply in first] == [False, True]
        log.close()
        log = opening()
        try:
            writer = Writer(log, SystemClock())
            # what would be answered otherwise by now
            writer.write([register("web-9", tenant="acme")])
            writer.forget()
            assert writer.write([refused, nothing]) == [reply._replace(repeated=True) for reply in first]
        finally:
            log.close()

    def test_of_two_commands_with_the_same_expected_version_exactly_one_wins(self, writer: Writer) -> None:
        for version in range(1, ROUNDS + 1):
            rivals = [tag("web-1", f"{version}-{name}", tenant="acme", expected=version) for name in "ab"]
            if version % 2:
                writer.forget()
            assert sorted(accepted(reply) for reply in writer.write(rivals)) == [False, True]

    # --- what processes wait for

    def test_a_new_log_waits_for_nothing(self, log: Log) -> None:
        assert log.next_due() is None
        assert list(log.due(NOON, 10)) == []

    def test_a_timer_is_due_from_its_instant_on_until_it_has_fired(self, log: Log) -> None:
        hands = Hands()
        writer = resting(log, hands)
        assert log.next_due() == NOON + HOUR
        assert list(log.due(NOON + HOUR - MICROSECOND, 10)) == []
        due = [Due(ACME, StreamId(f"resting-web-{n}"), "rest", NOON + HOUR) for n in range(3)]
        assert list(log.due(NOON + HOUR, 10)) == due
        assert list(log.due(NOON + HOUR, 2)) == due[:2]
        hands.at += HOUR
        assert writer.tick() == 3
        assert log.next_due() is None
        assert writer.tick() == 0
        assert [entry.type for entry in read(log, ACME)].count("timer.fired") == 3

    @pytest.mark.parametrize("fired", [False, True], ids=["before it fired", "after it fired"])
    def test_a_timer_fires_once_also_where_the_log_is_opened_again(
        self, opening: Callable[[], Log], *, fired: bool
    ) -> None:
        hands = Hands()
        log = opening()
        writer = resting(log, hands)
        if fired:
            hands.at += HOUR
            writer.tick()
        log.close()
        log = opening()
        try:
            hands.at = NOON + HOUR
            writer = Writer(log, hands, processes=(RESTING,))
            assert writer.tick() == (0 if fired else 3)
            assert [entry.type for entry in read(log, ACME)].count("timer.fired") == 3
            assert [entry.type for entry in read(log, ACME)].count("device.retired") == 3
        finally:
            log.close()

    def test_what_was_asked_beyond_the_budget_is_done_after_reopening(self, opening: Callable[[], Log]) -> None:
        log = opening()
        writer = Writer(log, Hands(), processes=(fan_out(400),))
        writer.write([register_tenant("acme"), register("hub", tenant="acme")])
        log.close()
        log = opening()
        try:
            writer = Writer(log, Hands(), processes=(fan_out(400),))
            assert writer.tick() == 100
            assert writer.wait_s() > 0
            tags = [entry for entry in read(log, ACME, limit=9_999) if entry.type == "device.tagged"]
            assert [tag.data["key"] for tag in tags if isinstance(tag, Envelope)] == [*ORDER, "done"]
        finally:
            log.close()


MICROSECOND = timedelta(microseconds=1)
ORDER = [f"k{n}" for n in range(400)]


def resting(log: EventLog, hands: Hands) -> Writer:
    """Return a writer under which three devices rest until an hour after noon."""
    writer = Writer(log, hands, processes=(RESTING,))
    writer.write([register_tenant("acme"), *(register(f"web-{n}", tenant="acme") for n in range(3))])
    return writer
