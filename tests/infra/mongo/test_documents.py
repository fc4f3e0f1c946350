"""The distributed documents and their dead letters keep every promise on a real MongoDB."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from infra.mongo import connection as connection_mongo
from infra.mongo.dead_letters import MongoDeadLetters
from infra.mongo.documents import MongoDocuments
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch, View
from projections.stores import OlderBuild, WriteRefused
from schemas.envelope import Topic
from tests.contracts.dead_letters import DeadLettersContract
from tests.contracts.documents_reader import DocumentsContract
from tests.contracts.lists import ListsContract
from tests.contracts.samples import ACME, checkpoint, sample
from tests.contracts.view_writer import V1, ViewWriterContract, projections_of
from tests.contracts.wide_rows import WideRowsContract
from tests.infra.network import Line

if TYPE_CHECKING:
    from infra.engines.mongo import Mongo

NUMBERS = count()


@pytest.fixture(scope="module")
def line(mongo: "Mongo") -> Iterator[Line]:
    with Line(mongo.ports["client"]) as line:
        yield line


@pytest.fixture
def place(line: Line, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if "outage" in request.fixturenames:
        # what waits for a store that does not answer need not wait long; a busy one that answers is no outage
        monkeypatch.setattr(connection_mongo, "OPERATION_TIMEOUT_S", 2)
    # direct: a member of a set would be asked at its own port, past the line
    return f"mongodb://127.0.0.1:{line.port}/?directConnection=true#test_{next(NUMBERS)}"


@pytest.fixture
def outage(line: Line) -> Callable[[], AbstractContextManager[None]]:
    return line.cut


def opened(place: str, projections: Sequence[Projection]) -> MongoDocuments:
    url, _, database = place.partition("#")
    return MongoDocuments(url, projections, database=database)


class TestWriter(ViewWriterContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> MongoDocuments:
        return opened(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return Patch

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    @pytest.fixture
    def outage(self, outage: Callable[[], AbstractContextManager[None]]) -> Callable[[], AbstractContextManager[None]]:
        return outage


def test_checkpoints_of_an_earlier_version_are_read_and_do_not_say_their_log(place: str) -> None:
    with closing(opened(place, projections_of(Patch))) as store:
        store.create(V1)
        store.apply(V1, [], checkpoint(7)._replace(log="one/1"))
        store._connection["checkpoints"].update_many({}, {"$unset": {"log": ""}})
        assert list(store.checkpoints(V1)) == [checkpoint(7)]
        store.apply(V1, [], checkpoint(7)._replace(log="two/1"))
        assert list(store.checkpoints(V1)) == [checkpoint(7)._replace(log="two/1")]


def test_a_document_that_is_too_large_is_refused_and_not_waited_for(place: str) -> None:
    with closing(opened(place, projections_of(Patch))) as store:
        store.create(V1)
        small, large = sample(Patch, 1), sample(Patch, 2)._replace(fields={"text": "x" * (17 << 20)})  # type: ignore[attr-defined]
        with pytest.raises(WriteRefused):
            store.apply(V1, [small, large], checkpoint(2))
        store.apply(V1, [small], checkpoint(2))
        # together with what was there it is too large
        half = "x" * (9 << 20)
        store.apply(V1, [sample(Patch, 3)._replace(fields={"one": half})])  # type: ignore[attr-defined]
        with pytest.raises(WriteRefused):
            store.apply(V1, [sample(Patch, 3, position=9)._replace(fields={"other": half})])  # type: ignore[attr-defined]
        assert len(list(store.scan(V1, ACME))) == 2


class TestWideRows(WideRowsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> MongoDocuments:
        return opened(place, projections)

    @pytest.fixture
    def row(self) -> type:
        return Patch

    @pytest.fixture
    def place(self, place: str) -> str:
        return place


class TestDocuments(DocumentsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> MongoDocuments:
        return opened(place, projections)

    @pytest.fixture
    def place(self, place: str) -> str:
        return place


class TestLists(ListsContract):
    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> MongoDocuments:
        return opened(place, projections)

    @pytest.fixture
    def place(self, place: str) -> str:
        return place


def test_a_build_that_says_nothing_of_itself_has_what_its_indexes_say(place: str) -> None:
    before = Documents(filters=("status",), sorts=("hostname",))
    after = Documents(filters=("status", "os"), sorts=("hostname", "seen"), search=("hostname",))
    view = View("devices", 1)
    row = Patch(ACME, "a", "events", 1, {"hostname": "x", "status": "ON", "os": "linux"})
    with closing(opened(place, [Projection("devices", before, (Topic.EVENTS,), None, lambda *_: ())])) as store:
        store.create(view)
        store.switch(view)
        store.apply(view, [row])
        store._connection["builds"].delete_many({})
    for _ in range(2):
        # the second one finds what the first one wrote down
        with closing(opened(place, [Projection("devices", after, (Topic.EVENTS,), None, lambda *_: ())])) as store:
            store.create(view)
            store.apply(view, [row._replace(id="b")])
            assert list(store.misplaced(view, ACME)) == []
            known: dict[str, Any] = {"sort": "hostname", "descending": False, "after": None, "limit": 9}
            found = store.find("devices", ACME, filters={"status": "ON"}, **known)
            assert [document.id for document in found] == ["a", "b"]
            with pytest.raises(OlderBuild):
                store.find("devices", ACME, filters={"os": "linux"}, **known)
            with pytest.raises(OlderBuild):
                store.find("devices", ACME, filters={}, words=("x",), **known)


class TestDeadLetters(DeadLettersContract):
    @staticmethod
    def open(place: str) -> MongoDeadLetters:
        url, _, database = place.partition("#")
        letters = MongoDeadLetters(url, database=database)
        letters.migrate()
        return letters

    @pytest.fixture
    def place(self, place: str) -> str:
        return place

    @pytest.fixture
    def outage(self, outage: Callable[[], AbstractContextManager[None]]) -> Callable[[], AbstractContextManager[None]]:
        return outage
