"""These are the rules of a vector collection."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from domain.automation.vector_collection import (
    COMMANDS,
    DELETE,
    EVENTS,
    MAX_CHANGES,
    UPSERT,
    ArchiveVectorCollection,
    Change,
    CreateVectorCollection,
    DeleteDocuments,
    Document,
    EmbeddingChangeCompleted,
    EmbeddingChangeFailed,
    EmbeddingChangeStarted,
    EmbeddingDeleted,
    EmbeddingUpserted,
    FailEmbeddings,
    PutDocuments,
    SettleEmbeddings,
    UpdateVectorCollection,
    VectorCollection,
    VectorCollectionArchived,
    VectorCollectionCommand,
    VectorCollectionCreated,
    VectorCollectionEvent,
    VectorCollectionUpdated,
    change_stream,
    evolve_vector_collection,
    task_id_of,
)
from domain.given import Given
from domain.message import Decider, filled
from domain.operations.task import Task, TaskStatus, task_stream
from domain.rejection import conflict, invalid, not_allowed, not_found, not_now
from schemas.envelope import Actor, StreamId
from schemas.json_text import json_text


def decide_vector_collection(
    command: VectorCollectionCommand, state: VectorCollection | None, given: Given
) -> tuple[VectorCollectionEvent, ...]:
    id_ = command.collection_id
    if isinstance(command, CreateVectorCollection):
        if state is not None:
            raise conflict(f"vector collection {id_} is there already; take another collection_id")
        return (filled(VectorCollectionCreated, command, distance=command.distance.value),)
    if state is None:
        raise not_found(f"vector collection {id_} is not known; create it")
    match command:
        case UpdateVectorCollection():
            _check_open(state, id_)
            same = (command.name, command.provider_key) == (state.name, state.provider_key)
            return () if same else (filled(VectorCollectionUpdated, command),)
        case ArchiveVectorCollection():
            return () if state.archived else (VectorCollectionArchived(reason=command.reason),)
        case PutDocuments():
            _check_open(state, id_)
            for document in command.documents:
                _check_document(document, state)
            given_ = {"documents": [_given(document) for document in command.documents], **_about(id_, state)}
            change = Change(kind=UPSERT, ids=tuple(document.id for document in command.documents))
            return (_started(command, change, given_, state, given),)
        case DeleteDocuments():
            given_ = {"collection": id_, "ids": list(command.ids)}
            return (_started(command, Change(kind=DELETE, ids=command.ids), given_, state, given),)
        case SettleEmbeddings() | FailEmbeddings():
            return _end(command, state, given)
        case _:
            assert_never(command)


def _check_open(state: VectorCollection, id_: str) -> None:
    if state.archived:
        raise not_allowed(f"vector collection {id_} is archived; create another one")


def _check_document(document: Document, state: VectorCollection) -> None:
    """Raises: CommandRejected, there is nothing from which it could be found, or its vector is one of another model."""
    if document.vector is None:
        if document.text is None:
            raise invalid(f"document {document.id} has neither a text nor a vector")
        if state.provider_key is None:
            raise not_allowed(
                f"document {document.id} has no vector, and the collection has no provider_key of a model that makes"
                " one; name it with UpdateVectorCollection"
            )
    elif len(document.vector) != state.dimensions:
        counted = f"the vector of document {document.id} has {len(document.vector)} numbers"
        raise invalid(f"{counted}; those of the collection have {state.dimensions}")


def _given(document: Document) -> Mapping[str, Any]:
    said = {"id": document.id, "text": document.text, "vector": document.vector, "data": document.data}
    return {name: value for name, value in said.items() if value is not None}


def _about(id_: str, state: VectorCollection) -> Mapping[str, Any]:
    about = {"collection": id_, "model": state.model, "dimensions": state.dimensions, "distance": state.distance}
    return about if state.provider_key is None else {**about, "provider_key": state.provider_key}


def _started(
    command: PutDocuments | DeleteDocuments,
    change: Change,
    input_: Mapping[str, Any],
    state: VectorCollection,
    given: Given,
) -> EmbeddingChangeStarted:
    if command.change_id in state.changes or given.streams.get(change_stream(command.change_id)) is not None:
        raise conflict(f"change {command.change_id} has begun already; a new one needs a new change_id")
    ids = set(change.ids)
    if len(ids) < len(change.ids):
        raise invalid("a document is named twice")
    if len(state.changes) >= MAX_CHANGES:
        raise not_now(f"{MAX_CHANGES} changes of the collection go on already; try again when some have ended")
    for change_id, other in state.changes.items():
        # two at once would end in the order in which workers happen to do them
        if twice := ids.intersection(other.ids):
            raise not_now(f"document {min(twice)} is being changed by {change_id}; try again when that has ended")
    try:
        text = json_text(input_)
    except ValueError as error:
        raise invalid(f"the change {error}; make several of it") from error
    return filled(EmbeddingChangeStarted, command, kind=change.kind, ids=change.ids, input=text)


def _end(
    command: SettleEmbeddings | FailEmbeddings, state: VectorCollection, given: Given
) -> tuple[VectorCollectionEvent, ...]:
    change = state.changes.get(command.change_id)
    if change is None:
        return ()
    if isinstance(command, FailEmbeddings):
        return (filled(EmbeddingChangeFailed, command),)
    task: Task | None = given.streams.get(task_stream(task_id_of(command.change_id)))
    if task is None or not task.is_over:
        return ()
    if task.status is not TaskStatus.COMPLETED:
        return (filled(EmbeddingChangeFailed, command, error=task.answer),)
    return (*_each(command, change), filled(EmbeddingChangeCompleted, command, documents=len(change.ids)))


def _each(command: SettleEmbeddings, change: Change) -> Sequence[EmbeddingUpserted | EmbeddingDeleted]:
    if change.kind == UPSERT:
        return [filled(EmbeddingUpserted, command, id=id_) for id_ in change.ids]
    return [filled(EmbeddingDeleted, command, id=id_) for id_ in change.ids]


def vector_collection_reads(command: VectorCollectionCommand, _actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case PutDocuments() | DeleteDocuments():
            # the stream of the process that has it done says of every change that it was there, of any collection
            return (change_stream(command.change_id),)
        case SettleEmbeddings():
            return (task_stream(task_id_of(command.change_id)),)
        case _:
            return ()


VECTOR_COLLECTION = Decider(
    category="vector_collection",
    commands=COMMANDS,
    events=EVENTS,
    decide=decide_vector_collection,
    evolve=evolve_vector_collection,
    reads=vector_collection_reads,
)
