from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sqlite.watch_states import SqliteWatchStates
from tests.contracts.watch_states import WatchStatesContract


@pytest.fixture
def states(tmp_path: Path) -> Iterator[SqliteWatchStates]:
    states = SqliteWatchStates(tmp_path / "correlation.sqlite")
    yield states
    states.close()


class TestSqliteWatchStates(WatchStatesContract):
    pass
