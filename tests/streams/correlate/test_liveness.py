"""Devices that are silent go OFFLINE over the embedded log, once, and come back, whatever happens in between."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from domain.fleet.device import ChangeDeviceStatus, DeviceStatus, RegisterDevice, TagDevice
from domain.fleet.facts import DeviceHeartbeat, LogRecorded
from domain.fleet.liveness import SILENCE, Listening
from domain.identity.tenant import ReactivateTenant, SuspendTenant
from domain.message import Command
from infra.river.anomaly import RiverScorer
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.watch_states import SqliteWatchStates
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from streams.correlate.kept import KeptLife
from streams.correlate.liveness import Liveness
from streams.correlate.local import LocalCorrelator
from streams.correlate.run import SETTLED_S, Correlation
from streams.ports import FactSubmission, LogUnavailable, Reply, Submission
from streams.write.writer import Writer
from tests.examples import envelope_of
from tests.examples.fleet import HEARTBEAT_RECORD
from tests.streams.correlate.test_run import BEGAN, at, cpu, said
from tests.streams.correlate.test_watch_cases import Turned
from tests.streams.kit import TESTER, register_tenant, submission

MISSED = SILENCE.total_seconds() + SETTLED_S
ONLINE = ChangeDeviceStatus(device_id="web-1", status=DeviceStatus.ONLINE)


class Lived:
    """A log whose clock is turned, and correlation that goes on until it is opened anew."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Turned()
        self.log = SqliteEventLog(folder, self.clock)
        self.writer = Writer(self.log, self.clock)
        self.is_away = False
        self.writer.write([register_tenant("acme")])
        self.begin()

    def begin(self, kept: str = "kept") -> "Lived":
        self.states = SqliteWatchStates(self.folder / f"{kept}.sqlite")
        self.runner = LocalCorrelator(self.log, self.states, RiverScorer, self.clock)
        self.correlation: Correlation = self.runner.open(self._send)
        return self

    def end(self) -> "Lived":
        self.states.close()
        return self

    def _send(self, submissions: Sequence[Submission]) -> Sequence[Reply]:
        if self.is_away:
            raise LogUnavailable("the log is away")
        return self.writer.write(submissions)

    def do(self, *commands: Command, second: float) -> "Lived":
        self.clock.second = second
        replies = self.writer.write([submission(command, tenant="acme") for command in commands])
        assert [reply.refusal for reply in replies if reply.refusal] == []
        return self

    def report(self, *facts: FactSubmission, second: float) -> "Lived":
        self.clock.second = second
        self.log.append_facts(TenantId("acme"), facts, TESTER)
        return self

    def look(self, second: float | None = None) -> "Lived":
        self.clock.second = self.clock.second if second is None else second
        while self.runner.turn(self.correlation):
            pass
        return self

    @property
    def statuses(self) -> list[tuple[str, str, float]]:
        """Return what liveness said: the status, of which device, and when it happened."""
        entries = self.log.read(Topic.EVENTS, 0, after=0, limit=10_000)
        return [
            (entry.data["to"], entry.stream, (entry.happened_at - BEGAN).total_seconds())
            for entry in entries
            if isinstance(entry, Envelope) and entry.actor.id == "liveness"
        ]


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[Lived]:
    opened = Lived(tmp_path)
    register = [RegisterDevice(device_id=name, hostname=name) for name in ("web-1", "web-2")]
    yield opened.do(*register, ONLINE, second=0).look()
    opened.end()
    opened.log.close()


def test_silent_device_goes_offline_once_and_comes_back_with_its_next_fact(lived: Lived) -> None:
    lived.report(said(60, DeviceHeartbeat()), second=60).look(60 + MISSED - 1)
    assert lived.statuses == []
    lived.look(60 + MISSED).look(9_000)
    assert lived.statuses == [("OFFLINE", "device-web-1", 190)]
    lived.report(cpu(9_001, 12), second=9_001).look()
    assert lived.statuses[1:] == [("ONLINE", "device-web-1", 9_001)]
    lived.look(9_001 + MISSED)
    assert lived.statuses[2:] == [("OFFLINE", "device-web-1", 9_131)]


def test_line_of_another_that_names_the_device_is_a_sign_of_it(lived: Lived) -> None:
    relayed = LogRecorded(severity="info", summary="tick", device_id="web-1")
    lived.report(said(100, relayed, "relay"), second=100).look(100 + MISSED - 1)
    assert lived.statuses == []


def test_device_of_which_nobody_said_that_it_is_online_is_not_missed(lived: Lived) -> None:
    lived.report(said(10, DeviceHeartbeat(), "web-2"), said(10, DeviceHeartbeat()), second=10).look(9_000)
    assert {stream for _, stream, _ in lived.statuses} == {"device-web-1"}


def test_status_that_a_person_gives_meanwhile_stays(lived: Lived) -> None:
    lived.look(100)
    lived.do(ChangeDeviceStatus(device_id="web-1", status=DeviceStatus.MAINTENANCE), second=110)
    # as if this event came late: the command says which version the device must have
    lived.correlation.tick(at(9_000))
    lived.correlation.settle()
    lived.look(9_000).report(cpu(9_001, 1), second=9_001).look()
    assert lived.statuses == []


def test_tag_that_was_set_after_it_came_online_hides_nothing(lived: Lived) -> None:
    lived.do(TagDevice(device_id="web-1", key="site", value="Berlin"), second=20).look(MISSED + 1)
    assert [status for status, *_ in lived.statuses] == ["OFFLINE"]


def test_process_that_begins_anew_waits_until_it_listened_long_enough(lived: Lived) -> None:
    lived.end().clock.second = 9_000
    lived.begin().look(9_000 + MISSED - 1)
    assert lived.statuses == []
    lived.look(9_000 + MISSED)
    assert lived.statuses == [("OFFLINE", "device-web-1", 9_130)]


@pytest.mark.parametrize("kept", ["kept", "lost"])
def test_process_that_begins_anew_knows_who_was_missed(lived: Lived, kept: str) -> None:
    lived.look(9_000).end().begin(kept).look(9_999)
    assert [status for status, *_ in lived.statuses] == ["OFFLINE"]
    lived.report(cpu(9_999, 1), second=9_999).end().begin(kept).look().look()
    assert [status for status, *_ in lived.statuses] == ["OFFLINE", "ONLINE"]


def test_log_that_is_away_is_told_later_and_once(lived: Lived) -> None:
    lived.is_away = True
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            lived.look(9_000)
    lived.is_away = False
    lived.look().look()
    assert [status for status, *_ in lived.statuses] == ["OFFLINE"]


def test_device_of_a_tenant_that_was_suspended_is_missed_when_it_is_active_again(lived: Lived) -> None:
    lived.do(SuspendTenant(tenant_id="acme", reason="unpaid"), second=10).look(9_000)
    assert lived.statuses == []
    lived.do(ReactivateTenant(tenant_id="acme", reason="paid"), second=9_001).look(9_000 + MISSED)
    assert [status for status, *_ in lived.statuses] == ["OFFLINE"]


def test_heartbeats_of_many_devices_keep_nothing_and_send_nothing() -> None:
    names = [f"d{n}" for n in range(10_000)]
    lives = [KeptLife(TenantId("acme"), name, 2, is_online=True, since=BEGAN) for name in names]
    liveness, sent = Liveness(lives, Listening(BEGAN)), list[Submission]()

    def send(submissions: Sequence[Submission]) -> Sequence[Reply]:
        sent.extend(submissions)
        return [Reply(one.command_id, "accepted", one.command.stream, 3) for one in submissions]

    def beat(now: datetime) -> None:
        for name in names:
            record = envelope_of(HEARTBEAT_RECORD)._replace(
                tenant_id=TenantId("acme"), stream=StreamId(f"device-{name}"), recorded_at=now
            )
            liveness.hear(record)
        liveness.tick(now)
        liveness.send(send)

    for minute in range(5):
        beat(at(60 * minute))
    assert (sent, liveness.changed) == ([], {})
    liveness.tick(at(240) + SILENCE)
    liveness.send(send)
    # in bounded parts
    assert 0 < len(sent) < len(names)
    for _ in range(10):
        liveness.send(send)
    assert len({one.command.stream for one in sent}) == len(sent) == len(names)
