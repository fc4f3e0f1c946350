"""The embedded documents keep every promise of ViewWriter and DocumentsReader."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra.sqlite import views as sqlite_views
from infra.sqlite.documents import SqliteDocuments
from projections.projection import Projection
from projections.rows import Patch
from tests.contracts.documents_reader import DocumentsContract
from tests.contracts.lists import ListsContract
from tests.contracts.view_writer import ViewWriterContract
from tests.contracts.wide_rows import WideRowsContract
from tests.infra.sqlite.test_timeline import locked


class TestWriter(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteDocuments:
        return SqliteDocuments(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return Patch

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(sqlite_views, "BUSY_TIMEOUT_MS", 20)
        return str(tmp_path / "views.db")

    @pytest.fixture
    def outage(self, place: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: locked(place)


class TestWideRows(WideRowsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteDocuments:
        return SqliteDocuments(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return Patch

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "views.db")


class TestDocuments(DocumentsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteDocuments:
        return SqliteDocuments(place, projections)

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "views.db")


class TestLists(ListsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> SqliteDocuments:
        return SqliteDocuments(place, projections)

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "views.db")
