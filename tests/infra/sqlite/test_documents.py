"""The embedded documents keep every promise of ViewWriter and DocumentsReader."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from infra.sqlite import views as sqlite_views
from infra.sqlite.documents import SqliteDocuments
from projections.fleet import devices
from projections.projection import Projection
from projections.rows import Patch, View
from projections.stores import StoreUnavailable, WriteRefused
from schemas.envelope import TenantId
from tests.contracts.documents_reader import DocumentsContract
from tests.contracts.lists import ListsContract
from tests.contracts.view_writer import ViewWriterContract
from tests.contracts.wide_rows import WideRowsContract
from tests.infra.sqlite.test_timeline import locked

ACME = TenantId("acme")


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


def test_document_that_is_damaged_is_told_of_and_stops_no_other(tmp_path: Path) -> None:
    view = View("devices", 1)
    with closing(SqliteDocuments(tmp_path / "documents.sqlite", [devices.PROJECTION])) as documents:
        documents.create(view)
        documents.switch(view)
        documents.apply(view, [Patch(ACME, id_, "events", 1, {"hostname": id_}) for id_ in ("a", "b")])
        with sqlite3.connect(tmp_path / "documents.sqlite") as connection:
            connection.execute("UPDATE devices_v1 SET fields = '{broken' WHERE id = 'a'")
        connection.close()
        with pytest.raises(WriteRefused, match="document a of acme is damaged: an operator has to rebuild its view"):
            documents.apply(view, [Patch(ACME, "a", "events", 2, {"hostname": "c"})])
        with pytest.raises(StoreUnavailable, match="document a of acme is damaged"):
            documents.get("devices", ACME, "a")
        documents.apply(view, [Patch(ACME, "b", "events", 2, {"hostname": "c"})])
        found = documents.get("devices", ACME, "b")
        assert found is not None
        assert found.fields["hostname"] == "c"
