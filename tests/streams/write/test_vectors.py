"""Changes of vector collections in the writer: a worker answers for the database, and the writer is started anew."""

from pathlib import Path

from domain.automation.vector_collection import (
    MAX_DOCUMENTS,
    CreateVectorCollection,
    DeleteDocuments,
    Document,
    PutDocuments,
)
from domain.operations.task import CancelTask, ClaimTask, CompleteTask, RequestTask
from tests.streams.write.saga import World
from tests.streams.write.workflows import PROCESSES, Engine

CREATE = CreateVectorCollection(collection_id="handbook", name="Handbook", model="m-1", dimensions=2)
PUT = PutDocuments(
    collection_id="handbook",
    change_id="first",
    documents=tuple(Document(id=f"p{number}", vector=(1.0, number)) for number in range(MAX_DOCUMENTS)),
)
TASK = "vector-change-first"


def changes(world: World) -> list[str]:
    return [type_ for type_ in world.types("vector_collection-handbook") if type_ != "vector_collection.created"]


def test_change_of_many_documents_is_recorded_once_each_across_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path, *PROCESSES)
    engine = Engine(world)
    assert [reply.refusal for reply in engine.send(CREATE, PUT)] == [None, None]
    assert changes(world) == ["embedding.change.started"]
    world.restart()
    engine = Engine(world)
    engine.send(ClaimTask(task_id=TASK, worker="w"))
    world.restart()
    engine = Engine(world)
    engine.send(CompleteTask(task_id=TASK, attempt=1, output={"documents": 100}))
    engine.send(CompleteTask(task_id=TASK, attempt=1, output={"documents": 100}))
    each = ["embedding.upserted"] * MAX_DOCUMENTS
    assert changes(world) == ["embedding.change.started", *each, "embedding.change.completed"]
    ids = [event.data["id"] for event in world.history("vector_collection-handbook") if event.type == each[0]]
    assert ids == [document.id for document in PUT.documents]
    world.log.close()


def test_task_that_is_cancelled_gives_its_documents_free(tmp_path: Path) -> None:
    world = World(tmp_path, *PROCESSES)
    engine = Engine(world)
    engine.send(CREATE, PUT)
    delete = DeleteDocuments(collection_id="handbook", change_id="second", ids=("p7",))
    [reply] = engine.send(delete)
    assert reply.refusal is not None
    assert reply.refusal.reason == "document p7 is being changed by first; try again when that has ended"
    engine.send(CancelTask(task_id=TASK, reason="no database"))
    assert world.history("vector_collection-handbook")[-1].data["error"] == "the task was cancelled: no database"
    [reply] = engine.send(delete)
    assert reply.refusal is None
    world.log.close()


def test_change_whose_task_is_there_already_fails_for_that_reason(tmp_path: Path) -> None:
    world = World(tmp_path, *PROCESSES)
    engine = Engine(world)
    engine.send(CREATE, RequestTask(task_id=TASK, kind="some.work"), PUT)
    last = world.history("vector_collection-handbook")[-1]
    assert (last.type, last.data["error"]) == (
        "embedding.change.failed",
        f"task {TASK} is requested already; a new task needs a new task_id",
    )
    world.log.close()
