"""The operator's key: given once, by whoever starts first, whatever is lost on the way."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.serve import first_start as module
from infra.serve.first_start import first_start
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import SYSTEM_TENANT, Topic
from streams.ports import OutcomeUnknown, Reply, Submission, SystemClock
from streams.write.writer import Writer
from tests.streams.kit import register_tenant


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    log = SqliteEventLog(tmp_path)
    yield log
    log.close()


class Gate:
    """A writer whose first answers are lost after it has decided."""

    def __init__(self, log: SqliteEventLog, lost: int) -> None:
        self._writer = Writer(log, SystemClock())
        self._lost = lost

    async def execute(self, submission: Submission) -> Reply:
        [reply] = self._writer.write([submission])
        if self._lost:
            self._lost -= 1
            raise OutcomeUnknown("no reply came")
        return reply


def keys_issued(log: SqliteEventLog) -> list[str]:
    entries = log.read(Topic.EVENTS, 0, after=0, limit=100)
    return [entry.stream for entry in entries if entry.type == "api_key.issued"]


def started(log: SqliteEventLog, *, lost: int = 0) -> list[str]:
    kept: list[str] = []
    asyncio.run(first_start(Gate(log, lost), log, kept.append))
    return kept


@pytest.mark.parametrize("lost", range(4))
def test_key_that_was_kept_is_good_however_many_answers_were_lost(
    log: SqliteEventLog, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    [key] = started(log, lost=lost)
    assert [f"api_key-{key.removeprefix('ak_').partition('.sk_')[0]}"] == keys_issued(log)


def test_later_start_gives_no_second_key(log: SqliteEventLog) -> None:
    assert len(started(log)) == 1
    assert started(log) == []
    assert len(keys_issued(log)) == 1


def test_operator_that_was_left_without_a_key_by_a_crash_gets_one(log: SqliteEventLog) -> None:
    Writer(log, SystemClock()).write([register_tenant(SYSTEM_TENANT)])
    assert len(started(log)) == 1
    assert len(keys_issued(log)) == 1
