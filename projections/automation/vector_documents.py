"""Which documents are in which collection?"""

from typing import Literal

from domain.automation.vector_collection import EmbeddingDeleted, EmbeddingUpserted
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: EmbeddingUpserted | EmbeddingDeleted) -> tuple[Patch]:
    fields = {
        "status": "IN" if isinstance(event, EmbeddingUpserted) else "DELETED",
        "collection_id": event.collection_id,
        "document_id": event.id,
        "change_id": event.change_id,
        "changed_at": instant_text(envelope.happened_at),
    }
    # no collection's id has the character between
    id_ = f"{event.collection_id}~{event.id}"
    return (Patch(envelope.tenant_id, id_, "events", envelope.version, fields),)


PROJECTION = Projection(
    name="vector_documents",
    layout=Documents(
        filters=("status", "collection_id", "document_id", "change_id"),
        values={"status": Literal["IN", "DELETED"]},
        sorts=("changed_at", "document_id"),
        default_sort="-changed_at",
        scope="vector_collections",
        example={
            "id": "handbook~page-7",
            "version": 4,
            "status": "IN",
            "collection_id": "handbook",
            "document_id": "page-7",
            "change_id": "first",
            "changed_at": "2026-01-31T08:30:00.250000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=(EmbeddingUpserted, EmbeddingDeleted),
    project=project,
)
