"""The embedded log keeps records of facts, once each, behind the batches that earlier versions wrote."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Entry, Envelope, Position, Topic, Undecodable
from schemas.raw_facts import EmbeddedFacts
from streams.ports import FactSubmission
from tests.contracts.telemetry_log import AGENT, TICK, TelemetryLogContract, read, readings
from tests.examples import ACME
from tests.examples.moments import HAPPENED_AT, RECORDED_AT
from tests.schemas.test_golden_bytes import golden


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[SqliteEventLog]:
    with closing(SqliteEventLog(tmp_path)) as log:
        yield log


@pytest.fixture
def reader(telemetry: SqliteEventLog) -> SqliteEventLog:
    return telemetry


class TestContract(TelemetryLogContract):
    pass


def test_a_record_that_is_there_is_not_recorded_again_also_after_a_restart(tmp_path: Path) -> None:
    request = [*readings(3), *[FactSubmission("web-1", HAPPENED_AT, TICK)] * 2]
    with closing(SqliteEventLog(tmp_path)) as log:
        first = log.append_facts(ACME, request, AGENT)
        assert (first.accepted, first.repeated) == (5, 0)
        records = read(log)
    with closing(SqliteEventLog(tmp_path)) as log:
        again = log.append_facts(ACME, request, AGENT)
        assert (again.accepted, again.repeated, again.positions) == (0, 5, first.positions)
        assert read(log) == records


def test_positions_count_what_is_said_and_a_read_ends_with_the_record_that_reaches_its_limit(
    telemetry: SqliteEventLog,
) -> None:
    for n, count in enumerate((3, 4, 2)):
        telemetry.append_facts(ACME, readings(count, f"web-{n}"), AGENT)
    # two metrics each
    assert [entry.position for entry in telemetry.read(Topic.TELEMETRY, 0, after=0, limit=100)] == [6, 14, 18]
    assert [entry.position for entry in telemetry.read(Topic.TELEMETRY, 0, after=0, limit=7)] == [6, 14]
    assert [entry.position for entry in telemetry.read(Topic.TELEMETRY, 0, after=6, limit=1)] == [14]
    assert [entry.position for entry in telemetry.read(Topic.TELEMETRY, 0, after=13, limit=1)] == [14]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return the folder of a log with two batches of three facts, as an earlier version wrote them."""
    SqliteEventLog(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "telemetry.sqlite")) as db, db:
        db.executemany(
            "INSERT INTO fact_batches VALUES (?, ?, 'acme', ?)",
            [(3, 1, golden("fact_batch")), (6, 4, golden("fact_batch"))],
        )
    return tmp_path


def test_batches_of_an_earlier_version_come_first_each_fact_at_its_position(old: Path) -> None:
    with closing(SqliteEventLog(old)) as log:
        assert log.end(Topic.TELEMETRY, 0) == 6
        reply = log.append_facts(ACME, readings(1), AGENT)
        assert reply.positions == (Position(Topic.TELEMETRY, 0, 8),)
        entries = log.read(Topic.TELEMETRY, 0, after=0, limit=100)
        assert [entry.position for entry in entries] == [1, 2, 3, 4, 5, 6, 8]
        assert [getattr(entry, "schema_version", None) for entry in entries] == [1] * 6 + [2]
        assert [entry.position for entry in log.read(Topic.TELEMETRY, 0, after=4, limit=2)] == [5, 6]
        assert [entry.position for entry in log.read(Topic.TELEMETRY, 0, after=4, limit=3)] == [5, 6, 8]
        assert [entry.position for entry in log.read(Topic.TELEMETRY, 0, after=1, limit=1)] == [2, 3]
        times = [entry.recorded_at for entry in entries if isinstance(entry, Envelope)]
        assert times[0] == RECORDED_AT
        assert times == sorted(times)


def test_a_batch_and_a_record_that_cannot_be_read_stay_in_their_places(old: Path) -> None:
    with closing(SqliteEventLog(old)) as log:
        log.append_facts(ACME, readings(1), AGENT)
    with closing(sqlite3.connect(old / "telemetry.sqlite")) as db, db:
        db.execute("UPDATE fact_batches SET facts = x'00' WHERE last = 3")
        db.execute("UPDATE fact_records SET record = x'00'")
    with closing(SqliteEventLog(old)) as log:
        entries = log.read(Topic.TELEMETRY, 0, after=0, limit=100)
        assert [entry.position for entry in entries] == [1, 2, 3, 4, 5, 6, 8]
        assert [isinstance(entry, Undecodable) for entry in entries] == [True] * 3 + [False] * 3 + [True]


def test_many_records_are_given_as_they_lie_and_are_those_that_are_given_one_by_one(telemetry: SqliteEventLog) -> None:
    for n in range(130):
        telemetry.append_facts(ACME, readings(1 + n % 3, f"web-{n}"), AGENT)
    one_by_one: list[Entry] = []
    while some := telemetry.read(Topic.TELEMETRY, 0, after=one_by_one[-1].position if one_by_one else 0, limit=5):
        assert not isinstance(some, EmbeddedFacts)
        one_by_one += some
    together = telemetry.read(Topic.TELEMETRY, 0, after=0, limit=10_000)
    assert isinstance(together, EmbeddedFacts)
    assert list(together) == one_by_one
    end = one_by_one[110].position
    for limit in (end - 1, end, end + 1):
        read = list(telemetry.read(Topic.TELEMETRY, 0, after=0, limit=limit))
        assert read[-2].position < limit <= read[-1].position
        assert read == one_by_one[: len(read)]
