from dataclasses import replace
from pathlib import Path

import pytest

from domain import catalog
from domain.fleet.device import DeviceTagged, TagDevice
from domain.given import Given
from domain.message import Command, Event
from domain.rejection import Kind
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from streams.ports import Batch, LogUnavailable, Refusal, SystemClock
from streams.write.writer import Writer
from tests.streams.kit import accepted, register, register_tenant, retire, tag

DEMO = TenantId("demo")


def history(log: SqliteEventLog, stream: str, tenant: str = "demo") -> list[Envelope]:
    entries = log.read_stream(TenantId(tenant), StreamId(stream), after=0, limit=1000)
    assert all(isinstance(entry, Envelope) for entry in entries)
    return [entry for entry in entries if isinstance(entry, Envelope)]


def test_accepted_command_is_in_the_log_at_the_position_of_its_reply(writer: Writer, log: SqliteEventLog) -> None:
    [reply] = writer.write([register("web-1")])
    [event] = history(log, "device-web-1")
    assert reply.position is not None
    assert (event.type, event.version, event.position) == ("device.registered", 1, reply.position.position)
    assert reply.events[0].event_id == event.event_id
    assert event.causation_id == reply.command_id


def test_positions_and_versions_are_dense(writer: Writer, log: SqliteEventLog) -> None:
    writer.write([register("web-1"), register("web-2"), tag("web-1", "a"), retire("web-9"), tag("web-1", "b")])
    entries = log.read(Topic.EVENTS, 0, after=0, limit=1000)
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert [event.version for event in history(log, "device-web-1")] == [1, 2, 3]


def test_repeated_command_gets_its_first_reply(writer: Writer, log: SqliteEventLog) -> None:
    [first] = writer.write([register("web-1", id_="once")])
    [again] = writer.write([register("web-1", id_="once")])
    assert again == first._replace(repeated=True)
    assert len(history(log, "device-web-1")) == 1


def test_repeat_within_one_batch_gets_the_first_reply(writer: Writer, log: SqliteEventLog) -> None:
    first, again = writer.write([register("web-1", id_="once"), register("web-1", id_="once")])
    assert again == first._replace(repeated=True)
    assert len(history(log, "device-web-1")) == 1


def test_repeat_after_a_restart_gets_its_first_reply(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path)
    first = Writer(log, SystemClock()).write([register_tenant("demo"), register("web-1", id_="once")])[1]
    log.close()
    log = SqliteEventLog(tmp_path)
    [again] = Writer(log, SystemClock()).write([register("web-1", id_="once")])
    assert again == first._replace(repeated=True)
    log.close()


def test_same_id_from_two_tenants_is_two_commands(writer: Writer, log: SqliteEventLog) -> None:
    replies = writer.write([register("web-1", id_="same"), register("web-1", id_="same", tenant="acme")])
    assert [reply.repeated for reply in replies] == [False, False]
    assert len(history(log, "device-web-1", "acme")) == 1


def test_refused_command_records_nothing(writer: Writer, log: SqliteEventLog) -> None:
    before = log.end(Topic.EVENTS, 0)
    [refused] = writer.write([tag("web-1", "a")])
    assert refused.refusal is not None
    assert refused.refusal.kind is Kind.NOT_FOUND
    assert log.end(Topic.EVENTS, 0) == before


def test_wrong_expected_version_is_a_conflict_with_the_actual_one(writer: Writer) -> None:
    writer.write([register("web-1"), tag("web-1", "a")])
    [reply] = writer.write([tag("web-1", "b", expected=1)])
    assert reply.refusal == Refusal(Kind.CONFLICT, "stream device-web-1 is at version 2, not 1", 2)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_of_two_commands_with_the_same_expected_version_exactly_one_wins(writer: Writer, *, together: bool) -> None:
    writer.write([register("web-1")])
    for version in range(1, 1001):
        rivals = [tag("web-1", f"{version}-a", expected=version), tag("web-1", f"{version}-b", expected=version)]
        replies = writer.write(rivals) if together else [*writer.write(rivals[:1]), *writer.write(rivals[1:])]
        assert sorted(reply.outcome for reply in replies) == ["accepted", "refused"]


def test_command_that_changes_nothing_is_accepted_without_an_event(writer: Writer, log: SqliteEventLog) -> None:
    writer.write([register("web-1"), retire("web-1")])
    [reply] = writer.write([retire("web-1")])
    assert accepted(reply)
    assert (reply.version, reply.events, reply.position) == (2, (), None)
    assert len(history(log, "device-web-1")) == 2


def test_unknown_tenant_is_refused(writer: Writer) -> None:
    [reply] = writer.write([register("web-1", tenant="nobody")])
    assert reply.refusal is not None
    assert reply.refusal.kind is Kind.NOT_FOUND


class FailsOnce:
    """A log whose next append fails, as a full disk makes it fail."""

    def __init__(self, log: SqliteEventLog) -> None:
        self._log = log
        self.failing = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    def append(self, batch: Batch) -> None:
        if self.failing:
            self.failing = False
            raise LogUnavailable("no space")
        self._log.append(batch)


def test_failed_append_leaves_no_effect_in_memory(log: SqliteEventLog) -> None:
    fails = FailsOnce(log)
    writer = Writer(fails, SystemClock())  # type: ignore[arg-type]
    writer.write([register_tenant("demo"), register("web-1")])
    fails.failing = True
    with pytest.raises(LogUnavailable):
        writer.write([tag("web-1", "lost", id_="tag")])
    [reply] = writer.write([tag("web-1", "kept", expected=1, id_="tag")])
    assert accepted(reply)
    assert not reply.repeated
    assert [event.data.get("value") for event in history(log, "device-web-1")] == [None, "kept"]


def test_rule_that_crashes_fails_its_own_command_alone(
    writer: Writer, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = catalog.decider_of(TagDevice)

    def crash(command: Command, state: object, given: Given) -> tuple[Event, ...]:
        if isinstance(command, TagDevice):
            raise ZeroDivisionError
        return decider.decide(command, state, given)

    broken = replace(decider, decide=crash)
    monkeypatch.setattr(catalog, "decider_of", lambda _command: broken)
    first, crashed, last = writer.write([register("web-1"), tag("web-1", "a"), register("web-2")])
    assert (accepted(first), accepted(crashed), accepted(last)) == (True, False, True)
    assert len(history(log, "device-web-1")) == 1


def test_stream_that_cannot_be_read_refuses_its_commands_alone(
    log: SqliteEventLog, writer: Writer, tmp_path: Path
) -> None:
    writer.write([register("web-1"), register("web-2")])
    with log._events.transaction(commit=True) as c:
        c.execute("UPDATE stored_events SET state = x'00' WHERE originator_id = 'demo|device-web-1'")
    broken, fine = Writer(log, SystemClock()).write([tag("web-1", "a"), tag("web-2", "a")])
    assert broken.refusal is not None
    assert broken.refusal.kind is Kind.NOT_NOW
    assert "cannot be read" in broken.refusal.reason
    assert accepted(fine)


def test_states_that_left_memory_are_read_again(log: SqliteEventLog) -> None:
    writer = Writer(log, SystemClock(), max_cached_streams=2)
    writer.write([register_tenant("demo")])
    devices = [f"web-{n}" for n in range(20)]
    for device in devices:
        writer.write([register(device)])
    replies = [reply for device in devices for reply in writer.write([tag(device, "a", expected=1)])]
    assert all(accepted(reply) for reply in replies)
    assert len(writer._cache) == 2


@pytest.mark.parametrize("cached", [True, False], ids=["when it is decided", "when it is read"])
def test_event_that_the_state_cannot_take_refuses_the_commands_of_its_stream_alone(
    log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch, *, cached: bool
) -> None:
    writer.write([register("web-1"), register("web-2"), tag("web-1", "a")])
    decider = catalog.decider_of(TagDevice)

    def evolve(state: object, event: Event) -> object:
        if isinstance(event, DeviceTagged) and event.value != "fine":
            raise ZeroDivisionError
        return decider.evolve(state, event)

    broken = replace(decider, evolve=evolve)
    monkeypatch.setitem(catalog._DECIDER_OF, TagDevice, broken)
    monkeypatch.setitem(catalog._DECIDER_BY_CATEGORY, "device", broken)
    if not cached:
        writer.forget()
    failed, fine = writer.write([tag("web-1", "b"), tag("web-2", "fine")])
    assert failed.refusal is not None
    assert failed.refusal.kind is Kind.NOT_NOW
    assert accepted(fine)
    assert len(history(log, "device-web-1")) == 2
