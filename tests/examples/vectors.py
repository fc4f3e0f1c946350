"""One valid example of every command and event of vector collections."""

from domain.automation import vector_collection as of
from domain.automation import vector_processes

CREATE_VECTOR_COLLECTION = of.CreateVectorCollection(
    collection_id="handbook", name="Our handbook", provider_key="local", model="all-minilm", dimensions=3
)
UPDATE_VECTOR_COLLECTION = of.UpdateVectorCollection(
    collection_id="handbook", name="The handbook", provider_key="other"
)
ARCHIVE_VECTOR_COLLECTION = of.ArchiveVectorCollection(collection_id="handbook", reason="another model")
PUT_DOCUMENTS = of.PutDocuments(
    collection_id="handbook",
    change_id="first",
    documents=(
        of.Document(id="page-7", text="A pump that hums needs oil.", data={"chapter": "pumps"}),
        of.Document(id="page-8", vector=(0.5, 0.0, -1.0)),
    ),
)
DELETE_DOCUMENTS = of.DeleteDocuments(collection_id="handbook", change_id="second", ids=("page-7",))
SETTLE_EMBEDDINGS = of.SettleEmbeddings(collection_id="handbook", change_id="first")
FAIL_EMBEDDINGS = of.FailEmbeddings(collection_id="handbook", change_id="first", error="the tenant is SUSPENDED")

VECTOR_COLLECTION_CREATED = of.VectorCollectionCreated(
    name="Our handbook", provider_key="local", model="all-minilm", dimensions=3, distance="cosine"
)
VECTOR_COLLECTION_UPDATED = of.VectorCollectionUpdated(name="The handbook", provider_key="other")
VECTOR_COLLECTION_ARCHIVED = of.VectorCollectionArchived(reason="another model")
EMBEDDING_CHANGE_STARTED = of.EmbeddingChangeStarted(
    collection_id="handbook",
    change_id="first",
    kind="vectors.upsert",
    ids=("page-7", "page-8"),
    input=(
        '{"collection":"handbook","dimensions":3,"distance":"cosine","documents":[{"data":{"chapter":"pumps"},'
        '"id":"page-7","text":"A pump that hums needs oil."},{"id":"page-8","vector":[0.5,0.0,-1.0]}],'
        '"model":"all-minilm","provider_key":"local"}'
    ),
)
EMBEDDING_UPSERTED = of.EmbeddingUpserted(collection_id="handbook", change_id="first", id="page-7")
EMBEDDING_DELETED = of.EmbeddingDeleted(collection_id="handbook", change_id="second", id="page-7")
EMBEDDING_CHANGE_COMPLETED = of.EmbeddingChangeCompleted(collection_id="handbook", change_id="first", documents=2)
EMBEDDING_CHANGE_FAILED = of.EmbeddingChangeFailed(
    collection_id="handbook", change_id="first", error="the tenant is SUSPENDED"
)

VECTOR_CHANGE_NOTED = vector_processes.VectorChangeNoted(collection_id="handbook")
