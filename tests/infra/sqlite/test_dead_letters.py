"""The embedded dead letters keep every promise of DeadLetters."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra.sqlite import views as sqlite_views
from infra.sqlite.dead_letters import SqliteDeadLetters
from tests.contracts.dead_letters import DeadLettersContract
from tests.infra.sqlite.test_timeline import locked


class TestDeadLetters(DeadLettersContract):
    @staticmethod
    def open(place: str) -> SqliteDeadLetters:
        return SqliteDeadLetters(place)

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(sqlite_views, "BUSY_TIMEOUT_MS", 20)
        return str(tmp_path / "dead_letters.db")

    @pytest.fixture
    def outage(self, place: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: locked(place)
