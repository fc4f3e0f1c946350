"""These handlers put documents into a tenant's collections of vectors, take them out, and find them again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import Field, StringConstraints, model_validator

from factline.worker import Done, Failed, ModelUse, Task
from infra.handlers.embeddings import Vector, vectors_of
from infra.handlers.inputs import Input, checked
from infra.handlers.outgoing import Outgoing
from infra.handlers.web import Handler
from infra.qdrant.vectors import Found, Kind, Point, QdrantVectors, VectorsRefused, VectorsUnavailable

T = TypeVar("T")

_MOST_BYTES = 49_152
"""Of what was found, in an output that has room for 64 KiB of JSON."""

_MOST_BYTES_OF_ONE, _LETTERS_OF_ONE = 8_192, 2_000
"""Of a document that is larger, so much of its text is shown."""

_Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
_Collection = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Field = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$")]
"""Qdrant takes dots and brackets for places inside a value."""


class _OfCollection(Input):
    collection: _Collection
    provider_key: _Id | None = None


class Document(Input):
    id: _Id
    text: _Text | None = None
    vector: Vector | None = None
    data: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> "Document":
        if self.text is None and self.vector is None:
            raise ValueError("text or vector is missing")
        return self


class Upsert(_OfCollection):
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dimensions: Annotated[int, Field(ge=1, le=8_192)]
    distance: Literal["cosine", "dot", "euclid"] = "cosine"
    documents: Annotated[tuple[Document, ...], Field(min_length=1, max_length=100)]


class Delete(Input):
    collection: _Collection
    ids: Annotated[tuple[_Id, ...], Field(min_length=1, max_length=100)]


class Search(_OfCollection):
    text: _Text | None = None
    vector: Vector | None = None
    limit: Annotated[int, Field(ge=1, le=50)] = 5
    where: dict[_Field, str | int | bool] = Field(default_factory=dict, max_length=10)

    @model_validator(mode="after")
    def _looks_for_something(self) -> "Search":
        if (self.text is None) == (self.vector is None):
            raise ValueError("either text or vector is needed")
        return self


def vectors_upsert(outgoing: Outgoing, vectors: QdrantVectors) -> Handler:
    """Return the handler of `vectors.upsert`. Shape: the output is {collection, documents}, how many there were."""

    async def upsert(task: Task) -> Any:
        asked, tenant_id = checked(Upsert, task.input), _tenant_of(task)
        texts = [one.text for one in asked.documents if one.vector is None and one.text is not None]
        made, used = await _made(outgoing, task, asked.model, texts)
        rest = iter(made)
        points = [
            Point(one.id, one.vector if one.vector is not None else next(rest), one.text, one.data)
            for one in asked.documents
        ]
        for point in points:
            if len(point.vector) != asked.dimensions:
                counted = f"the vector of {point.id} has {len(point.vector)} numbers"
                raise Failed(f"{counted}; those of {asked.collection} have {asked.dimensions}", retryable=False)
        kind = Kind(asked.model, asked.dimensions, asked.distance)
        await _done(vectors, lambda: vectors.upsert(tenant_id, asked.collection, kind, points))
        return _with_use({"collection": asked.collection, "documents": len(points)}, used)

    return upsert


def vectors_delete(vectors: QdrantVectors) -> Handler:
    """Return the handler of `vectors.delete`. Shape: the output is {collection, documents}, how many were named."""

    async def delete(task: Task) -> Any:
        asked, tenant_id = checked(Delete, task.input), _tenant_of(task)
        await _done(vectors, lambda: vectors.delete(tenant_id, asked.collection, asked.ids))
        return {"collection": asked.collection, "documents": len(asked.ids)}

    return delete


def vectors_search(outgoing: Outgoing, vectors: QdrantVectors) -> Handler:
    """Return the handler of `vectors.search`.

    Shape: the model is the one that made the collection's vectors. The output is {documents: [{id, score, text, data}],
    more}, the nearest first; `more` says that some were left out because all would be too large.
    """

    async def search(task: Task) -> Any:
        asked, tenant_id = checked(Search, task.input), _tenant_of(task)
        vector: Sequence[float]
        used: ModelUse | None = None
        if asked.vector is not None:
            vector = asked.vector
        else:
            kind = await _done(vectors, lambda: vectors.kind(tenant_id, asked.collection))
            [vector], used = await _made(outgoing, task, kind.model, [asked.text or ""])
        found = await _done(
            vectors, lambda: vectors.search(tenant_id, asked.collection, vector, limit=asked.limit, where=asked.where)
        )
        shown = _fitting(found)
        return _with_use({"documents": shown, "more": len(shown) < len(found)}, used)

    return search


def _tenant_of(task: Task) -> str:
    """Return whose task it is, which the server says and no input can. Raises: Failed, an older server does not."""
    if not task.tenant_id:
        raise Failed("the server does not say whose task it is: it is older than this worker; update it")
    return task.tenant_id


async def _made(
    outgoing: Outgoing, task: Task, model: str, texts: Sequence[str]
) -> tuple[Sequence[Sequence[float]], ModelUse | None]:
    if not texts:
        return (), None
    made = await vectors_of(outgoing, task, model, texts)
    return made.vectors, made.used


async def _done(vectors: QdrantVectors, call: Callable[[], T]) -> T:
    """Return what a call of the vectors gives. Raises: Failed."""
    try:
        return await asyncio.get_running_loop().run_in_executor(vectors.threads, call)
    except VectorsRefused as error:
        raise Failed(str(error), retryable=False) from error
    except VectorsUnavailable as error:
        raise Failed(str(error)) from error


def _with_use(output: Mapping[str, Any], used: ModelUse | None) -> Any:
    return output if used is None else Done(output, used)


def _fitting(found: Sequence[Found]) -> Sequence[Mapping[str, Any]]:
    """Return as many of the nearest as an output has room for; a long text is cut, and says so."""
    shown: list[Mapping[str, Any]] = []
    size = 0
    for one in found:
        row = {name: value for name, value in one._asdict().items() if value is not None}
        if len(orjson.dumps(row)) > _MOST_BYTES_OF_ONE and row.get("text"):
            row |= {"text": row["text"][:_LETTERS_OF_ONE], "cut": True}
        if size + (more := len(orjson.dumps(row))) <= _MOST_BYTES:
            size += more
            shown.append(row)
    return shown
