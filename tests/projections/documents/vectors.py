"""What each event of vector collections sets in its documents."""

from typing import Any

from domain.message import Event
from projections.automation import vector_collections, vector_documents
from projections.history import processes
from tests.examples.vectors import (
    EMBEDDING_CHANGE_COMPLETED,
    EMBEDDING_CHANGE_FAILED,
    EMBEDDING_CHANGE_STARTED,
    EMBEDDING_DELETED,
    EMBEDDING_UPSERTED,
    VECTOR_CHANGE_NOTED,
    VECTOR_COLLECTION_ARCHIVED,
    VECTOR_COLLECTION_CREATED,
    VECTOR_COLLECTION_UPDATED,
)
from tests.projections.documents import HAPPENED, RECORDED, Case


def _collection(event: Event, **fields: Any) -> Case:
    return (vector_collections.PROJECTION, "handbook", event, {**fields, "changed_at": HAPPENED})


def _change(event: Event, status: str, error: str = "") -> Case:
    return _collection(event, last_change="first", last_change_status=status, last_error=error)


def _document(event: Event, status: str, change_id: str) -> Case:
    fields = {"status": status, "collection_id": "handbook", "document_id": "page-7", "change_id": change_id}
    return (vector_documents.PROJECTION, "handbook~page-7", event, {**fields, "changed_at": HAPPENED})


CASES: list[Case] = [
    _collection(
        VECTOR_COLLECTION_CREATED,
        status="ACTIVE",
        name="Our handbook",
        provider_key="local",
        model="all-minilm",
        dimensions=3,
        distance="cosine",
        created_at=HAPPENED,
    ),
    _collection(VECTOR_COLLECTION_UPDATED, name="The handbook", provider_key="other"),
    _collection(VECTOR_COLLECTION_ARCHIVED, status="ARCHIVED", status_reason="another model"),
    _change(EMBEDDING_CHANGE_STARTED, "RUNNING"),
    _change(EMBEDDING_CHANGE_COMPLETED, "COMPLETED"),
    _change(EMBEDDING_CHANGE_FAILED, "FAILED", "the tenant is SUSPENDED"),
    _document(EMBEDDING_UPSERTED, "IN", "first"),
    _document(EMBEDDING_DELETED, "DELETED", "second"),
    (
        processes.PROJECTION,
        "vector_change-acme",
        VECTOR_CHANGE_NOTED,
        {"last_event": "vector_change.noted", "updated_at": RECORDED},
    ),
]
