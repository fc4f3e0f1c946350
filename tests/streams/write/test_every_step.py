"""The writer is killed in every transaction of every process: each step is there once, and every answer is the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from domain.catalog import PROCESS_BY_NAME
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import category_of
from tests.streams.write.saga import Hands
from tests.streams.write.stories import STORIES, Teller, told


def opening(folder: Path) -> Callable[[Hands], SqliteEventLog]:
    folder.mkdir()
    return lambda hands: SqliteEventLog(folder, hands)


@pytest.mark.parametrize("name", STORIES)
def test_writer_that_is_killed_before_and_after_each_transaction_leaves_each_step_once(
    name: str, tmp_path: Path
) -> None:
    whole = Teller(opening(tmp_path / "whole")).tell(told(name))
    killed = Teller(opening(tmp_path / "killed"), is_killed=True)
    assert killed.tell(told(name)) == whole
    assert killed.kills > len(whole.answers)


def test_stories_let_every_process_work(tmp_path: Path) -> None:
    worked = {
        category_of(event[0]) for name in STORIES for event in Teller(opening(tmp_path / name)).tell(told(name)).events
    }
    assert set(PROCESS_BY_NAME) <= worked
