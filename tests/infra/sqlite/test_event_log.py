import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import fastavro
import pytest

from infra.sqlite.event_log import SqliteEventLog
from schemas import stored_record
from schemas.envelope import Envelope
from streams.ports import Batch, LogUnavailable
from streams.write.answers import command_of
from tests.contracts.event_log import ACME, EventLogContract, events


class TestSqliteEventLog(EventLogContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Callable[[], SqliteEventLog]:
        return lambda: SqliteEventLog(tmp_path)


def append(log: SqliteEventLog, stream: str, count: int) -> list[Envelope]:
    """Append events of a stream, each of a command of its own, in batches that the index of commands waits for."""
    appended = []
    for version in range(1, count + 1, 100):
        batch = events(log, ACME, stream, min(100, count + 1 - version), version=version)
        log.append(Batch(batch, ()))
        appended += batch
    return appended


def as_that_version_wrote(record: bytes, event: Envelope) -> bytes:
    out = BytesIO()
    fields = {**stored_record.read_record(record), "causation_id": event.command_id}
    fastavro.schemaless_writer(out, stored_record._RECORD_1, fields)
    return out.getvalue()


def found(log: SqliteEventLog, asked: list[Envelope]) -> list[Envelope]:
    by_command = log.find_commands([command_of(event) for event in asked])
    return [
        event
        for event in asked
        if (answered := by_command.get(command_of(event)))
        and [one.event_id for one in answered.reply.events] == [event.event_id]
    ]


@pytest.mark.parametrize("count", [1, 1_000, 1_001, 2_650])
def test_commands_are_found_before_and_after_their_index_is_written_and_after_a_restart(
    count: int, tmp_path: Path
) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        appended = append(log, "device-1", count)
        assert found(log, appended) == appended
    with closing(SqliteEventLog(tmp_path)) as log:
        assert found(log, appended) == appended
        appended += append(log, "device-2", 50)
        assert found(log, appended) == appended
    with closing(SqliteEventLog(tmp_path)) as log:
        assert found(log, appended) == appended


def test_command_of_an_append_that_failed_is_not_found(tmp_path: Path) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        appended = append(log, "device-1", 990)
        taken = events(log, ACME, "device-1", 20, version=1)
        failed = [event._replace(command_id=f"failed-{n}") for n, event in enumerate(taken)]
        with pytest.raises(LogUnavailable):
            log.append(Batch(failed, ()))
        assert found(log, appended + failed) == appended
    with closing(SqliteEventLog(tmp_path)) as log:
        assert found(log, appended + failed) == appended


def test_folder_of_a_version_that_indexed_every_command_at_once_goes_on(tmp_path: Path) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        appended = append(log, "device-1", 200)
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as db, db:
        [first] = db.execute("SELECT state FROM stored_events WHERE rowid = 1").fetchone()
        db.execute("UPDATE stored_events SET state = ? WHERE rowid = 1", (as_that_version_wrote(first, appended[0]),))
        rows = [(event.tenant_id, event.command_id, event.position, event.position) for event in appended]
        db.executemany("INSERT INTO commands VALUES (?,?,?,?)", rows)
    with closing(SqliteEventLog(tmp_path)) as log:
        appended += append(log, "device-2", 1_500)
        assert found(log, appended) == appended
    with closing(SqliteEventLog(tmp_path)) as log:
        assert found(log, appended) == appended
