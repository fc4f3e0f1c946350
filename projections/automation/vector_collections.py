"""Which collections of documents are there, whose model makes their vectors, and how did the last change end?"""

from typing import Any, Literal, assert_never

from domain.automation.decide_vector_collection import VECTOR_COLLECTION
from domain.automation.vector_collection import (
    EmbeddingChangeCompleted,
    EmbeddingChangeFailed,
    EmbeddingChangeStarted,
    EmbeddingDeleted,
    EmbeddingUpserted,
    VectorCollectionArchived,
    VectorCollectionCreated,
    VectorCollectionUpdated,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic

_Shown = (
    VectorCollectionCreated
    | VectorCollectionUpdated
    | VectorCollectionArchived
    | EmbeddingChangeStarted
    | EmbeddingChangeCompleted
    | EmbeddingChangeFailed
)


def project(envelope: Envelope, event: _Shown) -> tuple[Patch]:
    at = instant_text(envelope.happened_at)
    return decided(envelope, {**_fields(at, event), "changed_at": at})


def _fields(at: str, event: _Shown) -> dict[str, Any]:
    match event:
        case VectorCollectionCreated():
            return {
                "status": "ACTIVE",
                "name": event.name,
                "provider_key": event.provider_key or "",
                "model": event.model,
                "dimensions": event.dimensions,
                "distance": event.distance,
                "created_at": at,
            }
        case VectorCollectionUpdated():
            return {"name": event.name, "provider_key": event.provider_key or ""}
        case VectorCollectionArchived():
            return {"status": "ARCHIVED", "status_reason": event.reason}
        case EmbeddingChangeStarted():
            return {"last_change": event.change_id, "last_change_status": "RUNNING", "last_error": ""}
        case EmbeddingChangeCompleted():
            return {"last_change": event.change_id, "last_change_status": "COMPLETED", "last_error": ""}
        case EmbeddingChangeFailed():
            return {"last_change": event.change_id, "last_change_status": "FAILED", "last_error": event.error}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="vector_collections",
    layout=Documents(
        filters=("status", "model", "provider_key", "last_change_status"),
        values={
            "status": Literal["ACTIVE", "ARCHIVED"],
            "last_change_status": Literal["RUNNING", "COMPLETED", "FAILED"],
        },
        sorts=("changed_at", "created_at", "name"),
        default_sort="name",
        scope="vector_collections",
        example={
            "id": "handbook",
            "version": 5,
            "status": "ACTIVE",
            "name": "Our handbook",
            "provider_key": "local",
            "model": "all-minilm",
            "dimensions": 384,
            "distance": "cosine",
            "last_change": "first",
            "last_change_status": "COMPLETED",
            "last_error": "",
        },
    ),
    topics=(Topic.EVENTS,),
    events=tuple(event for event in VECTOR_COLLECTION.events if event not in (EmbeddingUpserted, EmbeddingDeleted)),
    project=project,
)
