"""The clock may jump, and stand before 1970: what is recorded never goes back in time, and nothing fails."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Envelope, TenantId, Topic
from streams import identifiers
from streams.ports import FactSubmission
from streams.write.writer import Writer
from tests.examples.fleet import METRICS
from tests.streams.kit import TESTER, accepted, register, register_tenant, tag

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Hands:
    """A clock that stands where it was put."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def recorded(log: SqliteEventLog, topic: Topic) -> list[datetime]:
    entries = log.read(topic, 0, after=0, limit=1_000)
    assert all(isinstance(entry, Envelope) for entry in entries)
    return [entry.recorded_at for entry in entries if isinstance(entry, Envelope)]


def observe(log: SqliteEventLog, at: datetime) -> None:
    log.append_facts(TenantId("demo"), [FactSubmission("web-1", at, METRICS)], TESTER)


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_recorded_never_goes_back_when_the_clock_does(tmp_path: Path, *, restarted: bool) -> None:
    hands = Hands()
    log = SqliteEventLog(tmp_path, hands)
    writer = Writer(log, hands)
    writer.write([register_tenant("demo"), register("web-1")])
    observe(log, NOON)
    for hours in (-5, 1, -2):
        hands.at = NOON + hours * HOUR
        if restarted:
            log.close()
            log = SqliteEventLog(tmp_path, hands)
            writer = Writer(log, hands)
        writer.write([tag("web-1", f"{hours}")])
        observe(log, NOON + hours * HOUR)
    with closing(log):
        later = [NOON, NOON + HOUR, NOON + HOUR]
        assert recorded(log, Topic.EVENTS) == [NOON, NOON, *later]
        assert recorded(log, Topic.TELEMETRY) == [NOON, *later]


@pytest.mark.parametrize("at", [datetime(1969, 7, 20, 20, 17, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
def test_clock_before_1970_is_recorded_as_it_stands(tmp_path: Path, at: datetime) -> None:
    hands = Hands(at)
    with closing(SqliteEventLog(tmp_path, hands)) as log:
        replies = Writer(log, hands).write([register_tenant("demo"), register("web-1"), tag("web-9", "a", id_="r")])
        assert [accepted(reply) for reply in replies] == [True, True, False]
        observe(log, at)
        assert recorded(log, Topic.EVENTS) == [at, at]
        assert recorded(log, Topic.TELEMETRY) == [at]
        [_, again] = Writer(log, hands).write([register("web-9"), tag("web-9", "a", id_="r")])
        assert again.repeated


def test_new_ids_are_made_where_the_machines_clock_stands_before_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifiers, "time_ns", lambda: -1)
    assert len({identifiers.new_id() for _ in range(100)}) == 100
