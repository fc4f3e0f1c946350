"""Documents are put into a collection, found by what they mean, and taken out, in Qdrant's local mode."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from factline.worker import Done, Failed, ModelUse, Provider
from infra.handlers.vectors import vectors_delete, vectors_search, vectors_upsert
from infra.handlers.web import Handler
from infra.qdrant.vectors import QdrantServer, QdrantVectors
from tests.infra.handlers.kit import LOCAL, done
from tests.infra.handlers.web_server import Answer, Sent, WebServer, web_server

TOPICS = ("pump", "fan", "fire")
UPSERT: dict[str, Any] = {
    "collection": "handbook",
    "provider_key": "mine",
    "model": "m-1",
    "dimensions": 3,
    "documents": [
        {"id": "p1", "text": "The pump hums.", "data": {"chapter": "pumps"}},
        {"id": "p2", "text": "The fan near the pump is loud, a fan it is.", "data": {"chapter": "fans"}},
        {"id": "p3", "vector": [0.0, 0.0, 1.0], "text": "Fire!"},
    ],
}
SEARCH: dict[str, Any] = {"collection": "handbook", "provider_key": "mine", "text": "my pump is loud"}


def vector(text: str) -> Sequence[float]:
    """Return the vector of a plain model: how often a text speaks of each topic."""
    return [float(text.lower().count(topic)) for topic in TOPICS]


def model(sent: Sent) -> Answer:
    """Answer as Ollama does."""
    texts = json.loads(sent.body)["input"]
    answer = {"embeddings": [vector(text) for text in texts], "prompt_eval_count": 5 * len(texts)}
    return 200, {}, json.dumps(answer).encode()


class Vectors:
    def __init__(self, folder: Path, server: WebServer) -> None:
        self.kept = QdrantVectors(folder)
        self.server = server
        self._provider = Provider("ollama", server.url, "hush")

    def _do(self, handler: Handler, given: Any, tenant_id: str) -> Any:
        return done(handler, given, kind="vectors.any", provider=self._provider, tenant_id=tenant_id)

    def upsert(self, given: Any = UPSERT, tenant_id: str = "acme") -> Any:
        return self._do(vectors_upsert(LOCAL, self.kept), given, tenant_id)

    def delete(self, *ids: str, tenant_id: str = "acme") -> Any:
        return self._do(vectors_delete(self.kept), {"collection": "handbook", "ids": ids}, tenant_id)

    def search(self, tenant_id: str = "acme", **more: Any) -> Any:
        return self._do(vectors_search(LOCAL, self.kept), {**SEARCH, **more}, tenant_id)

    def found(self, tenant_id: str = "acme", **more: Any) -> list[str]:
        return [row["id"] for row in self.search(tenant_id, **more).output["documents"]]


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    with web_server(model) as server:
        vectors = Vectors(tmp_path / "vectors", server)
        yield vectors
        vectors.kept.close()


def test_text_finds_the_documents_that_mean_it(vectors: Vectors) -> None:
    # of the three a vector was given with one; the others are made in one request
    assert vectors.upsert() == Done({"collection": "handbook", "documents": 3}, ModelUse("ollama", "m-1", 10, 0))
    assert len(vectors.server.sent) == 1
    answer = vectors.search(limit=2)
    assert answer.usage == ModelUse("ollama", "m-1", 5, 0)
    # the model is the one of the collection, which the search does not name
    assert json.loads(vectors.server.sent[-1].body)["model"] == "m-1"
    first, second = answer.output["documents"]
    assert {name: first[name] for name in ("id", "text", "data")} == UPSERT["documents"][0]
    assert (second["id"], first["score"] > second["score"], answer.output["more"]) == ("p2", True, False)
    assert vectors.found(where={"chapter": "fans"}) == ["p2"]
    only_vector = vectors.search(text=None, vector=[0.0, 0.1, 1.0])
    assert only_vector["documents"][0]["id"] == "p3"


def test_document_that_is_deleted_is_found_no_more(vectors: Vectors) -> None:
    vectors.upsert()
    assert vectors.delete("p1", "p9") == {"collection": "handbook", "documents": 2}
    assert vectors.found() == ["p2", "p3"]


def test_tenant_neither_finds_nor_changes_what_another_one_has(vectors: Vectors) -> None:
    vectors.upsert()
    with pytest.raises(Failed, match="collection handbook has no documents") as failed:
        vectors.search("bolt")
    assert not failed.value.retryable
    vectors.delete("p1", "p2", "p3", tenant_id="bolt")
    vectors.upsert({**UPSERT, "documents": [{"id": "p1", "vector": [1, 0, 0], "text": "of bolt"}]}, "bolt")
    assert vectors.search().output["documents"][0]["text"] == "The pump hums."
    assert vectors.found("bolt") == ["p1"]
    # no input says whose it is
    for given in ({**SEARCH, "tenant_id": "acme"}, {**SEARCH, "collection": "acme~handbook"}):
        with pytest.raises(Failed, match="input"):
            done(vectors_search(LOCAL, vectors.kept), given, tenant_id="bolt")
    with pytest.raises(Failed, match="older than this worker"):
        done(vectors_search(LOCAL, vectors.kept), {**SEARCH, "text": None, "vector": [1, 0, 0]}, tenant_id="")


def test_vectors_of_another_size_than_was_said_are_refused(vectors: Vectors) -> None:
    with pytest.raises(Failed, match="the vector of p1 has 3 numbers; those of handbook have 4") as failed:
        vectors.upsert({**UPSERT, "dimensions": 4})
    assert not failed.value.retryable
    vectors.upsert()
    with pytest.raises(Failed, match=r"has vectors of m-1 .*, not of m-2"):
        vectors.upsert({**UPSERT, "model": "m-2"})


def test_what_is_too_much_for_an_output_is_left_out_and_said(vectors: Vectors) -> None:
    long = [{"id": f"p{n}", "vector": [1, 0, 0], "text": "pump " * 2_000} for n in range(5)]
    for one in long:
        vectors.upsert({**UPSERT, "documents": [one]})
    answer = vectors.search(limit=5).output
    # long texts are cut, so that one of them does not hide the others
    assert [(len(one["text"]), one["cut"]) for one in answer["documents"]] == [(2_000, True)] * 5
    assert answer["more"] is False
    for one in long:
        vectors.upsert({**UPSERT, "documents": [{**one, "data": {"note": "x" * 20_000}}]})
    vectors.upsert({**UPSERT, "documents": [{"id": "small", "vector": [1, 0.1, 0], "text": "a pump"}]})
    answer = vectors.search(limit=6).output
    assert [one["id"] for one in answer["documents"]][-1] == "small"
    assert (len(answer["documents"]), answer["more"]) == (3, True)


def test_database_that_is_away_may_be_tried_again() -> None:
    kept = QdrantVectors(QdrantServer("http://127.0.0.1:1"))
    with pytest.raises(Failed, match="Qdrant did not answer") as failed:
        done(vectors_delete(kept), {"collection": "handbook", "ids": ["p1"]})
    assert failed.value.retryable
    kept.close()


def test_without_a_database_the_task_says_what_to_do() -> None:
    with pytest.raises(Failed, match="FACTLINE_QDRANT_URL") as failed:
        done(vectors_delete(QdrantVectors(None)), {"collection": "handbook", "ids": ["p1"]})
    assert not failed.value.retryable


@pytest.mark.parametrize(
    "change",
    [
        {"text": None},
        {"vector": [1, 0, 0]},
        {"text": ""},
        {"limit": 51},
        {"collection": "../x"},
        {"where": {"a.b": 1}},
        {"where": {"a": [1]}},
        {"vector": [float("nan")], "text": None},
    ],
)
def test_input_that_is_wrong_is_refused(vectors: Vectors, change: Any) -> None:
    with pytest.raises(Failed, match="input"):
        vectors.search(**change)
    with pytest.raises(Failed, match=r"input\.documents\.0: .*text or vector is missing"):
        vectors.upsert({**UPSERT, "documents": [{"id": "p1"}]})
