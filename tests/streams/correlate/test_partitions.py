"""Where a tenant's facts are in other partitions than its events, watches see them all the same, each alert once."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from domain.fleet.alert import RaiseAlert, ResolveAlert
from domain.fleet.device import ChangeDeviceStatus
from domain.fleet.liveness import Listening
from domain.fleet.watch import WatchDefined
from infra.river.anomaly import RiverScorer
from infra.sqlite.watch_states import SqliteWatchStates
from schemas.envelope import Envelope, StreamId
from schemas.partitioning import facts_partition_of, partition_of
from streams.correlate.run import Correlation
from streams.ports import Reply, Submission
from tests.examples import ACME, envelope_of
from tests.examples.fleet import METRICS, METRICS_RECORD, STATUS_CHANGED, WATCH_DEFINED, WATCH_REMOVED
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

PARTITIONS = 4
HOME = partition_of(ACME, PARTITIONS)
AWAY = facts_partition_of(ACME, StreamId("device-42"), PARTITIONS)


class Sent:
    """What correlation sends."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, submissions: Sequence[Submission]) -> Sequence[Reply]:
        for submission in submissions:
            assert isinstance(submission.command, RaiseAlert | ResolveAlert)
            self.commands.append(f"{type(submission.command).__name__} {submission.command.alert_id}")
        return [Reply(one.command_id, "accepted", one.command.stream, 1) for one in submissions]


@pytest.fixture
def states(tmp_path: Path) -> Iterator[SqliteWatchStates]:
    opened = SqliteWatchStates(tmp_path / "states.sqlite")
    yield opened
    opened.close()


def opened(states: SqliteWatchStates, sent: Sent, partition: int, partitions: int = PARTITIONS) -> Correlation:
    return Correlation(partition, states, sent, RiverScorer, listening=Listening(RECORDED_AT), partitions=partitions)


def event(of: WatchDefined = WATCH_DEFINED, *, position: int = 1) -> Envelope:
    return envelope_of(of)._replace(partition=HOME, position=position, stream=StreamId("watch-w1"), version=position)


def reported(position: int, *readings: float, minute: int = 0) -> Envelope:
    """Return a record of readings that are five minutes apart."""
    [load, _] = METRICS_RECORD.series
    series = {
        "metric": load.metric,
        "unit": "",
        "after_us": [n * 300_000_000 for n in range(len(readings))],
        "values": list(readings),
    }
    return envelope_of(METRICS_RECORD)._replace(
        partition=AWAY,
        position=position,
        happened_at=HAPPENED_AT + timedelta(minutes=minute),
        recorded_at=RECORDED_AT + timedelta(days=1),
        data={"series": [series]},
    )


def test_the_partitions_of_this_test_are_two() -> None:
    assert HOME != AWAY


def test_a_watch_sees_each_fact_of_a_record_in_another_partition_once(states: SqliteWatchStates) -> None:
    sent = Sent()
    for _ in range(2):
        correlation = opened(states, sent, AWAY)
        correlation.read_events([event()])
        correlation.read_facts([reported(1, 95.0, 96.0)])
        correlation.settle()
        assert [command.split()[0] for command in sent.commands] == ["RaiseAlert"]
        assert (correlation.events, correlation.events_at(HOME), correlation.facts) == (0, 1, 1)
    correlation.read_facts([reported(2, 1.0, 1.0, 1.0, minute=10)])
    correlation.settle()
    [raised, resolved] = [command.split() for command in sent.commands]
    assert (resolved[0], resolved[1]) == ("ResolveAlert", raised[1])


def test_what_an_earlier_version_kept_in_the_tenants_partition_is_taken_up_where_the_facts_are_now(
    states: SqliteWatchStates,
) -> None:
    sent = Sent()
    # as it was: one partition has the tenant's events and facts, and knows of no other
    before = opened(states, sent, HOME, partitions=HOME + 1 if HOME == 0 else 1)
    before.read_events([event()])
    old = [
        envelope_of(METRICS)._replace(
            partition=HOME,
            position=1_000 + n,
            happened_at=HAPPENED_AT + timedelta(minutes=5 * n),
            recorded_at=RECORDED_AT + timedelta(days=1),
            data={"metrics": {"cpu.load": 95.0}, "unit": ""},
        )
        for n in range(2)
    ]
    before.read_facts(old)
    before.settle()
    assert len(sent.commands) == 1
    for _ in range(2):
        # the watch is known without its event, and what it knows although that is of a higher position
        after = opened(states, sent, AWAY)
        assert after.needs_facts
        # they are read once more, for maintenance and alerts that were ended by hand
        assert after.events_at(HOME) == 0
    after.read_facts([reported(1, 95.0, minute=10), reported(2, 1.0, 1.0, 1.0, minute=15)])
    after.settle()
    assert [command.split()[0] for command in sent.commands] == ["RaiseAlert", "ResolveAlert"]
    # the old place has no part in it any more
    old_place = opened(states, sent, HOME)
    old_place.read_events([event(WATCH_REMOVED, position=2)])  # type: ignore[arg-type]
    old_place.settle()
    assert len(sent.commands) == 2
    assert not old_place.needs_facts


def test_silent_device_is_told_by_the_partition_that_has_its_facts_alone(states: SqliteWatchStates) -> None:
    told: list[tuple[ChangeDeviceStatus, int | None]] = []

    def send(submissions: Sequence[Submission]) -> Sequence[Reply]:
        for one in submissions:
            assert isinstance(one.command, ChangeDeviceStatus)
            told.append((one.command, one.expected_version))
        return [Reply(one.command_id, "accepted", one.command.stream, 2) for one in submissions]

    online = envelope_of(STATUS_CHANGED)._replace(partition=HOME, version=2, recorded_at=RECORDED_AT)
    for partition in (HOME, AWAY):
        correlation = Correlation(
            partition, states, send, RiverScorer, listening=Listening(RECORDED_AT), partitions=PARTITIONS
        )
        correlation.read_events([online])
        correlation.tick(RECORDED_AT + timedelta(hours=1))
        correlation.settle()
        assert len(told) == (partition == AWAY)
    [(command, version)] = told
    assert (command.device_id, command.status, version) == ("42", "OFFLINE", 2)
