"""Followers of any pace read through one shared log what the log itself holds, each record decoded once."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Entry, Topic
from streams import shared_log
from streams.ports import SystemClock
from streams.shared_log import SharedLog
from streams.write.writer import Writer
from tests.streams.kit import register, register_tenant


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteEventLog]:
    folder: Path = tmp_path_factory.mktemp("log")
    with closing(SqliteEventLog(folder)) as log:
        writer = Writer(log, SystemClock())
        writer.write([register_tenant("demo"), *(register(f"web-{n}") for n in range(59))])
        yield log


class Ends:
    """The log, as it was when it ended earlier; `asked` counts the records that were read from it."""

    def __init__(self, log: SqliteEventLog) -> None:
        self._log = log
        self.now = 0
        self.asked = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._log, name)  # type: ignore[no-any-return]

    def end(self, topic: Topic, partition: int) -> int:
        return min(self.now, self._log.end(topic, partition))

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> list[Entry]:
        found = self._log.read(topic, partition, after=after, limit=min(limit, self.now - after))
        self.asked += len(found)
        return list(found)


@given(
    steps=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.integers(1, 12), st.booleans()), max_size=40),
    kept=st.integers(1, 30),
)
def test_followers_of_any_pace_read_what_the_log_holds(
    log: SqliteEventLog, steps: list[tuple[int, int, int, bool]], kept: int
) -> None:
    ends = Ends(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_log, "_KEPT_ENTRIES", kept)
        shared = SharedLog(ends)  # type: ignore[arg-type]
        places = [0, 0, 0, 0]
        for grown, follower, limit, from_the_start in steps:
            ends.now = min(60, ends.now + grown)
            after = 0 if from_the_start else places[follower]
            found = shared.read(Topic.EVENTS, 0, after=after, limit=limit)
            assert [entry.position for entry in found] == list(range(after + 1, min(ends.now, after + limit) + 1))
            assert list(found) == list(log.read(Topic.EVENTS, 0, after=after, limit=len(found)))
            if found:
                places[follower] = found[-1].position


def test_records_are_read_once_for_followers_that_meet_each_end_of_the_log(log: SqliteEventLog) -> None:
    ends = Ends(log)
    shared = SharedLog(ends)  # type: ignore[arg-type]
    for ends.now in range(1, 61):
        for _follower in range(4):
            assert len(shared.read(Topic.EVENTS, 0, after=ends.now - 1, limit=5_000)) == 1
    assert ends.asked == 60
