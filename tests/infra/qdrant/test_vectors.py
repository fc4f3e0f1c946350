"""Vectors in Qdrant's local mode: each tenant's collections are apart, and what was put in is there after a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from infra.qdrant import vectors
from infra.qdrant.vectors import Kind, Point, QdrantServer, QdrantVectors, VectorsRefused, VectorsUnavailable
from tests.infra.handlers.web_server import Answer, Sent, web_server

KIND = Kind("m-1", 2, "cosine")
PUMP = Point("pump", (1.0, 0.0), "A pump hums.", {"chapter": "pumps", "page": 7})
FAN = Point("fan", (0.6, 0.8), "A fan turns.", {"chapter": "fans", "page": 8, "old": True})


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[QdrantVectors]:
    kept = QdrantVectors(tmp_path / "vectors")
    yield kept
    kept.close()


def ids(kept: QdrantVectors, tenant_id: str = "acme", collection: str = "handbook", **where: Any) -> list[str]:
    return [found.id for found in kept.search(tenant_id, collection, (1.0, 0.1), limit=5, where=where)]


def test_nearest_is_found_first_with_what_was_put_in(kept: QdrantVectors) -> None:
    kept.upsert("acme", "handbook", KIND, [FAN, PUMP])
    first, second = kept.search("acme", "handbook", (1.0, 0.1), limit=5, where={})
    assert (first.id, first.text, first.data) == ("pump", PUMP.text, PUMP.data)
    assert (second.id, second.score < first.score <= 1.0) == ("fan", True)
    assert [one.id for one in kept.search("acme", "handbook", (1.0, 0.1), limit=1, where={})] == ["pump"]


def test_search_is_limited_by_fields_of_the_data(kept: QdrantVectors) -> None:
    kept.upsert("acme", "handbook", KIND, [FAN, PUMP])
    assert ids(kept, chapter="fans") == ids(kept, page=8) == ids(kept, old=True) == ["fan"]
    assert ids(kept, chapter="fans", page=7) == []


def test_document_takes_the_place_of_the_one_with_its_id_and_can_be_deleted(kept: QdrantVectors) -> None:
    for _ in range(2):
        kept.upsert("acme", "handbook", KIND, [PUMP, FAN])
    kept.upsert("acme", "handbook", KIND, [PUMP._replace(text="A pump sings.")])
    assert [one.text for one in kept.search("acme", "handbook", (1, 0), limit=5, where={})] == [
        "A pump sings.",
        "A fan turns.",
    ]
    for _ in range(2):
        kept.delete("acme", "handbook", ["pump", "nobody"])
    assert ids(kept) == ["fan"]
    # of a collection that nothing was put into there is nothing to delete
    kept.delete("acme", "empty", ["pump"])


def test_tenants_have_collections_of_their_own_whatever_they_are_called(tmp_path: Path, kept: QdrantVectors) -> None:
    kept.upsert("acme", "handbook", KIND, [PUMP])
    with pytest.raises(VectorsRefused, match="collection handbook has no documents"):
        ids(kept, "bolt")
    kept.upsert("bolt", "handbook", KIND, [FAN])
    assert (ids(kept), ids(kept, "bolt")) == (["pump"], ["fan"])
    kept.delete("bolt", "handbook", ["pump", "fan"])
    assert ids(kept) == ["pump"]
    kept.close()
    client = QdrantClient(path=str(tmp_path / "vectors"))
    assert {one.name for one in client.get_collections().collections} == {"acme~handbook", "bolt~handbook"}
    client.close()


def test_what_was_put_in_is_there_after_a_restart(tmp_path: Path, kept: QdrantVectors) -> None:
    kept.upsert("acme", "handbook", KIND, [PUMP])
    kept.close()
    again = QdrantVectors(tmp_path / "vectors")
    assert ids(again) == ["pump"]
    assert again.kind("acme", "handbook") == KIND
    again.close()


def test_vectors_of_another_model_or_size_are_refused(kept: QdrantVectors) -> None:
    kept.upsert("acme", "handbook", KIND, [PUMP])
    for other in (Kind("m-2", 2, "cosine"), Kind("m-1", 3, "cosine"), Kind("m-1", 2, "dot")):
        with pytest.raises(VectorsRefused, match=r"has vectors of m-1 \(2 numbers, cosine\), not of"):
            kept.upsert("acme", "handbook", other, [FAN])
    with pytest.raises(VectorsRefused, match="has 3 numbers; those of handbook have 2"):
        kept.search("acme", "handbook", (1, 0, 0), limit=1, where={})
    assert ids(kept) == ["pump"]


def test_folder_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(VectorsUnavailable, match=f"the vectors in {tmp_path} cannot be opened"):
        QdrantVectors(tmp_path).kind("acme", "handbook")


def test_without_the_library_or_a_place_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(VectorsRefused, match="FACTLINE_QDRANT_URL"):
        QdrantVectors(None).kind("acme", "handbook")
    monkeypatch.setattr(vectors, "find_spec", lambda _: None)
    with pytest.raises(VectorsRefused, match=r"pip install 'factline\[vectors\]'"):
        QdrantVectors(tmp_path).kind("acme", "handbook")


@pytest.mark.parametrize(
    ("status", "error"), [(401, VectorsRefused), (429, VectorsUnavailable), (503, VectorsUnavailable)]
)
def test_server_that_refuses_is_told_in_its_words(status: int, error: type[Exception]) -> None:
    def answer(sent: Sent) -> Answer:
        assert sent.headers["api-key"] == "hush"
        return status, {"content-type": "application/json"}, b'{"status": {"error": "not now"}}'

    with web_server(answer) as server:
        kept = QdrantVectors(QdrantServer(server.url, "hush"))
        with pytest.raises(error, match="Qdrant"), pytest.warns(UserWarning, match="insecure connection"):
            kept.kind("acme", "handbook")
        assert [sent.path for sent in server.sent] == ["/collections/acme~handbook/exists"]
        kept.close()


def test_server_that_is_away_may_be_tried_again() -> None:
    kept = QdrantVectors(QdrantServer("http://127.0.0.1:1"))
    with pytest.raises(VectorsUnavailable, match="Qdrant did not answer"):
        kept.kind("acme", "handbook")
    kept.close()
