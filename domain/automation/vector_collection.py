"""These are the commands, the events and the state of a vector collection: which documents are to be found in it.

The vectors themselves are in a vector database, and are no part of the history.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.automation.model import ModelName
from domain.message import Command, Event, classes_of, filled, known, value
from schemas.envelope import StreamId
from schemas.json_text import JsonObject
from schemas.values import Body, Id, Name, Text

CollectionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A part of a name in the vector database, which takes fewer characters than an id may have."""

ChangeId = Annotated[Id, StringConstraints(max_length=100)]
Dimensions = Annotated[int, Field(strict=True, ge=1, le=8_192)]
Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
"""Databases keep it in 32 bits and multiply it with others: beyond these bounds it would be no number there."""

Vector = Annotated[tuple[Number, ...], Field(min_length=1, max_length=8_192)]

MAX_CHANGES = 100
"""Changes of one collection that may go on at a time."""

MAX_DOCUMENTS = 100
"""Documents of one change."""

CHANGE = "vector_change"
"""The name of the process that has a change done; its instances are called as changes."""

UPSERT, DELETE = "vectors.upsert", "vectors.delete"
"""The kinds of the tasks that do it."""

_TASK_PREFIX = "vector-change-"


class Distance(StrEnum):
    """How far two vectors are apart."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLID = "euclid"


def collection_stream(collection_id: str) -> StreamId:
    return StreamId(f"vector_collection-{collection_id}")


def change_stream(change_id: str) -> StreamId:
    return StreamId(f"{CHANGE}-{change_id}")


def task_id_of(change_id: str) -> str:
    """Return the id of the task that does a change."""
    return f"{_TASK_PREFIX}{change_id}"


def change_of(task_id: str) -> str | None:
    """Return the change that a task does, None where its name is that of another task."""
    return task_id.removeprefix(_TASK_PREFIX) if task_id.startswith(_TASK_PREFIX) else None


# --- commands


@value
class _OfCollection(Command):
    collection_id: CollectionId

    @property
    def stream(self) -> StreamId:
        return collection_stream(self.collection_id)


@value
class CreateVectorCollection(_OfCollection):
    """Begin a collection of documents that are found by what they mean.

    Shape: `model` makes vectors of `dimensions` numbers from texts; `provider_key` is the id of the secret for it,
    which says who is asked and where. Without one the vectors have to be given.
    """

    name: Name
    provider_key: Id | None = None
    model: ModelName
    dimensions: Dimensions
    distance: Distance = Distance.COSINE


@value
class UpdateVectorCollection(_OfCollection):
    """Say anew how it is called and who is asked; vectors of another model need another collection."""

    name: Name
    provider_key: Id | None = None


@value
class ArchiveVectorCollection(_OfCollection):
    """It takes no more documents; those in it are still found, and can be deleted."""

    reason: Text = ""


@value
class Document:
    """Shape: of a `text` a vector is made, where none is given. `data` comes with what is found."""

    id: Id
    text: Body | None = None
    vector: Vector | None = None
    data: JsonObject | None = None


@value
class PutDocuments(_OfCollection):
    """Put documents in, each in the place of the one with its id."""

    change_id: ChangeId
    documents: Annotated[tuple[Document, ...], Field(min_length=1, max_length=MAX_DOCUMENTS)]


@value
class DeleteDocuments(_OfCollection):
    """Take documents out; one that is not there is no fault."""

    change_id: ChangeId
    ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_DOCUMENTS)]


@value
class SettleEmbeddings(_OfCollection):
    """Take over how the task of a change ended; before that it changes nothing."""

    IS_OURS: ClassVar = True
    change_id: ChangeId


@value
class FailEmbeddings(_OfCollection):
    IS_OURS: ClassVar = True
    change_id: ChangeId
    error: Text


VectorCollectionCommand = (
    CreateVectorCollection
    | UpdateVectorCollection
    | ArchiveVectorCollection
    | PutDocuments
    | DeleteDocuments
    | SettleEmbeddings
    | FailEmbeddings
)

# --- events


@value
class VectorCollectionCreated(Event):
    TYPE: ClassVar = "vector_collection.created"
    name: str
    provider_key: str | None
    model: str
    dimensions: int
    distance: str


@value
class VectorCollectionUpdated(Event):
    TYPE: ClassVar = "vector_collection.updated"
    name: str
    provider_key: str | None


@value
class VectorCollectionArchived(Event):
    TYPE: ClassVar = "vector_collection.archived"
    reason: str


@value
class _OfChange(Event):
    collection_id: str
    change_id: str


@value
class EmbeddingChangeStarted(_OfChange):
    """Shape: `kind` is that of the task that does it, `input` what the task is given, as JSON."""

    TYPE: ClassVar = "embedding.change.started"
    kind: str
    ids: tuple[str, ...]
    input: str


@value
class EmbeddingUpserted(_OfChange):
    """The document with this id is found from now on."""

    TYPE: ClassVar = "embedding.upserted"
    id: str


@value
class EmbeddingDeleted(_OfChange):
    TYPE: ClassVar = "embedding.deleted"
    id: str


@value
class EmbeddingChangeCompleted(_OfChange):
    """Shape: it comes just after an event for each of the documents."""

    TYPE: ClassVar = "embedding.change.completed"
    documents: int


@value
class EmbeddingChangeFailed(_OfChange):
    """Some of its documents may have been changed all the same; the same change again puts that right."""

    TYPE: ClassVar = "embedding.change.failed"
    error: str


VectorCollectionEvent = (
    VectorCollectionCreated
    | VectorCollectionUpdated
    | VectorCollectionArchived
    | EmbeddingChangeStarted
    | EmbeddingUpserted
    | EmbeddingDeleted
    | EmbeddingChangeCompleted
    | EmbeddingChangeFailed
)

# --- state


@value
class Change:
    kind: str
    ids: tuple[str, ...]


@value
class VectorCollection:
    """Shape: `changes` are those that have not ended, by their ids."""

    name: str
    provider_key: str | None
    model: str
    dimensions: int
    distance: str
    archived: bool = False
    changes: Mapping[str, Change] = field(default_factory=dict)


def evolve_vector_collection(state: VectorCollection | None, event: VectorCollectionEvent) -> VectorCollection:
    if isinstance(event, VectorCollectionCreated):
        return filled(VectorCollection, event)
    collection = known(state)
    match event:
        case VectorCollectionUpdated():
            return replace(collection, name=event.name, provider_key=event.provider_key)
        case VectorCollectionArchived():
            return replace(collection, archived=True)
        case EmbeddingChangeStarted():
            return replace(collection, changes={**collection.changes, event.change_id: filled(Change, event)})
        case EmbeddingUpserted() | EmbeddingDeleted():
            return collection
        case EmbeddingChangeCompleted() | EmbeddingChangeFailed():
            changes = {id_: change for id_, change in collection.changes.items() if id_ != event.change_id}
            return replace(collection, changes=changes)
        case _:
            assert_never(event)


COMMANDS = classes_of(VectorCollectionCommand)
EVENTS = classes_of(VectorCollectionEvent)
