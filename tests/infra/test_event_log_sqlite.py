from collections.abc import Callable
from pathlib import Path

import pytest

from infra.event_log_sqlite import SqliteEventLog
from tests.contracts.event_log import EventLogContract


class TestSqliteEventLog(EventLogContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Callable[[], SqliteEventLog]:
        return lambda: SqliteEventLog(tmp_path)
