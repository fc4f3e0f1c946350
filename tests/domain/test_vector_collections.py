"""What may be done with a vector collection, how its changes begin and end, and the process that has them done."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.automation.decide_vector_collection import VECTOR_COLLECTION
from domain.automation.vector_collection import (
    MAX_CHANGES,
    Document,
    EmbeddingChangeStarted,
    EmbeddingUpserted,
    PutDocuments,
    change_stream,
    task_id_of,
)
from domain.automation.vector_processes import VECTOR_CHANGE
from domain.given import Given
from domain.message import adapter
from domain.operations.task import RequestTask, Task, TaskStatus, task_stream
from domain.process import BEGUN, Ask, Note, Wait
from domain.rejection import Kind
from schemas.envelope import StreamId
from schemas.json_text import json_value
from tests.examples import envelope_of
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import TASK_CANCELLED, TASK_COMPLETED, TASK_FAILED, TASK_REQUESTED, TASK_TIMED_OUT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.examples.vectors import (
    ARCHIVE_VECTOR_COLLECTION,
    CREATE_VECTOR_COLLECTION,
    DELETE_DOCUMENTS,
    EMBEDDING_CHANGE_COMPLETED,
    EMBEDDING_CHANGE_FAILED,
    EMBEDDING_CHANGE_STARTED,
    EMBEDDING_DELETED,
    EMBEDDING_UPSERTED,
    FAIL_EMBEDDINGS,
    PUT_DOCUMENTS,
    SETTLE_EMBEDDINGS,
    UPDATE_VECTOR_COLLECTION,
    VECTOR_CHANGE_NOTED,
    VECTOR_COLLECTION_ARCHIVED,
    VECTOR_COLLECTION_CREATED,
    VECTOR_COLLECTION_UPDATED,
)
from tests.given_when_then import GIVEN, Rules, Runs

collection, change = Rules(VECTOR_COLLECTION), Runs(VECTOR_CHANGE, "first")
CREATED = collection.given(VECTOR_COLLECTION_CREATED)
CHANGING = collection.given(VECTOR_COLLECTION_CREATED, EMBEDDING_CHANGE_STARTED)
ARCHIVED = collection.given(VECTOR_COLLECTION_CREATED, VECTOR_COLLECTION_ARCHIVED)
BY_VECTOR = Document(id="page-8", vector=(0.5, 0.0, -1.0))
DELETING = EmbeddingChangeStarted(
    collection_id="handbook",
    change_id="second",
    kind="vectors.delete",
    ids=("page-7",),
    input='{"collection":"handbook","ids":["page-7"]}',
)


def put(*documents: Document, change_id: str = "next") -> PutDocuments:
    return PutDocuments(collection_id="handbook", change_id=change_id, documents=documents)


def with_task(status: TaskStatus, ended_by: str = "", change_id: str = "first") -> Given:
    task = Task(requested=TASK_REQUESTED, status=status, ended_by=ended_by)
    return GIVEN._replace(streams={task_stream(task_id_of(change_id)): task})


# --- the collection


def test_collection_is_created_updated_and_archived() -> None:
    collection.given().when(CREATE_VECTOR_COLLECTION).then(VECTOR_COLLECTION_CREATED)
    CREATED.when(CREATE_VECTOR_COLLECTION).then_refused(
        Kind.CONFLICT, "vector collection handbook is there already; take another collection_id"
    )
    CREATED.when(UPDATE_VECTOR_COLLECTION).then(VECTOR_COLLECTION_UPDATED)
    collection.given(VECTOR_COLLECTION_CREATED, VECTOR_COLLECTION_UPDATED).when(UPDATE_VECTOR_COLLECTION).then_nothing()
    CREATED.when(ARCHIVE_VECTOR_COLLECTION).then(VECTOR_COLLECTION_ARCHIVED)
    ARCHIVED.when(ARCHIVE_VECTOR_COLLECTION).then_nothing()


def test_archived_collection_takes_nothing_more_and_still_gives_documents_up() -> None:
    for command in (UPDATE_VECTOR_COLLECTION, PUT_DOCUMENTS):
        ARCHIVED.when(command).then_refused(
            Kind.NOT_ALLOWED, "vector collection handbook is archived; create another one"
        )
    ARCHIVED.when(DELETE_DOCUMENTS).then(DELETING)


@pytest.mark.parametrize("collection_id", ["", "a/b", "..", "a~b", "a:b", "a b", "x" * 101])
def test_name_that_the_database_does_not_take_is_refused(collection_id: str) -> None:
    with pytest.raises(ValidationError):
        adapter(type(ARCHIVE_VECTOR_COLLECTION)).validate_python({"collection_id": collection_id})


# --- how a change begins


def test_change_begins_with_all_that_its_task_needs() -> None:
    CREATED.when(PUT_DOCUMENTS).then(EMBEDDING_CHANGE_STARTED)
    CREATED.when(DELETE_DOCUMENTS).then(DELETING)


def test_document_needs_something_to_be_found_by() -> None:
    CREATED.when(put(Document(id="page-9"))).then_refused(
        Kind.INVALID, "document page-9 has neither a text nor a vector"
    )
    CREATED.when(put(replace(BY_VECTOR, vector=(1.0,)))).then_refused(
        Kind.INVALID, "the vector of document page-8 has 1 numbers; those of the collection have 3"
    )
    without = collection.given(replace(VECTOR_COLLECTION_CREATED, provider_key=None))
    without.when(put(Document(id="page-9", text="x"))).then_refused(
        Kind.NOT_ALLOWED,
        "document page-9 has no vector, and the collection has no provider_key of a model that makes one; name it with"
        " UpdateVectorCollection",
    )
    without.when(put(BY_VECTOR)).then(
        replace(
            EMBEDDING_CHANGE_STARTED,
            change_id="next",
            ids=("page-8",),
            input=(
                '{"collection":"handbook","dimensions":3,"distance":"cosine","documents":[{"id":"page-8",'
                '"vector":[0.5,0.0,-1.0]}],"model":"all-minilm"}'
            ),
        )
    )


def test_change_of_many_or_large_documents_is_refused() -> None:
    CREATED.when(put(BY_VECTOR, BY_VECTOR)).then_refused(Kind.INVALID, "a document is named twice")
    large = Document(id="page-9", text="x" * 65_536)
    CREATED.when(put(large)).then_refused(Kind.INVALID, "the change is larger than 64 KiB as JSON; make several of it")


def test_id_of_a_change_is_good_once() -> None:
    conflict = "change first has begun already; a new one needs a new change_id"
    CHANGING.when(PUT_DOCUMENTS).then_refused(Kind.CONFLICT, conflict)
    before = GIVEN._replace(streams={change_stream("first"): BEGUN})
    CREATED.when(PUT_DOCUMENTS, before).then_refused(Kind.CONFLICT, conflict)


def test_one_document_is_changed_once_at_a_time_and_others_meanwhile() -> None:
    CHANGING.when(DELETE_DOCUMENTS).then_refused(
        Kind.NOT_NOW, "document page-7 is being changed by first; try again when that has ended"
    )
    CHANGING.when(replace(DELETE_DOCUMENTS, ids=("page-9",))).then(
        replace(DELETING, ids=("page-9",), input='{"collection":"handbook","ids":["page-9"]}')
    )
    many = [
        replace(EMBEDDING_CHANGE_STARTED, change_id=f"c{number}", ids=(f"p{number}",)) for number in range(MAX_CHANGES)
    ]
    collection.given(VECTOR_COLLECTION_CREATED, *many).when(PUT_DOCUMENTS).then_refused(
        Kind.NOT_NOW, "100 changes of the collection go on already; try again when some have ended"
    )


# --- how it ends


def test_change_ends_as_its_task_does() -> None:
    each = [replace(EMBEDDING_UPSERTED, id=id_) for id_ in ("page-7", "page-8")]
    CHANGING.when(SETTLE_EMBEDDINGS, with_task(TaskStatus.COMPLETED, "{}")).then(*each, EMBEDDING_CHANGE_COMPLETED)
    deleting = collection.given(VECTOR_COLLECTION_CREATED, DELETING)
    settle = replace(SETTLE_EMBEDDINGS, change_id="second")
    deleting.when(settle, with_task(TaskStatus.COMPLETED, "{}", "second")).then(
        EMBEDDING_DELETED, replace(EMBEDDING_CHANGE_COMPLETED, change_id="second", documents=1)
    )
    for status, said in (
        (TaskStatus.FAILED, "no such model"),
        (TaskStatus.TIMED_OUT, "no answer came in time"),
        (TaskStatus.CANCELLED, "the task was cancelled: no such model"),
    ):
        ended_by = said.removeprefix("the task was cancelled: ")
        failed = replace(EMBEDDING_CHANGE_FAILED, error=said)
        CHANGING.when(SETTLE_EMBEDDINGS, with_task(status, ended_by)).then(failed)
    CHANGING.when(FAIL_EMBEDDINGS).then(EMBEDDING_CHANGE_FAILED)


def test_end_is_taken_over_once_and_not_before_it_is_there() -> None:
    for given in (GIVEN, with_task(TaskStatus.WAITING), with_task(TaskStatus.CLAIMED)):
        CHANGING.when(SETTLE_EMBEDDINGS, given).then_nothing()
    for end in (EMBEDDING_CHANGE_COMPLETED, EMBEDDING_CHANGE_FAILED):
        over = collection.given(VECTOR_COLLECTION_CREATED, EMBEDDING_CHANGE_STARTED, end)
        over.when(SETTLE_EMBEDDINGS, with_task(TaskStatus.COMPLETED, "{}")).then_nothing()
        over.when(FAIL_EMBEDDINGS).then_nothing()
        over.when(replace(PUT_DOCUMENTS, change_id="again")).then(replace(EMBEDDING_CHANGE_STARTED, change_id="again"))


def test_no_document_is_said_to_be_in_before_the_change_is_done() -> None:
    state: Any = None
    for event in (VECTOR_COLLECTION_CREATED, EMBEDDING_CHANGE_STARTED):
        state = VECTOR_COLLECTION.evolve(state, event)
    events = VECTOR_COLLECTION.decide(SETTLE_EMBEDDINGS, state, with_task(TaskStatus.FAILED, "no"))
    assert not [event for event in events if isinstance(event, EmbeddingUpserted)]


# --- the process that has it done

NOTED = change.given(VECTOR_CHANGE_NOTED)
TASK = task_stream(task_id_of("first"))


def answered(step: str, kind: str | None = "not_allowed") -> Any:
    return replace(ANSWERED, step=step, kind=kind, reason="tenant acme is SUSPENDED")


def test_task_of_a_change_is_requested() -> None:
    input_ = json_value(EMBEDDING_CHANGE_STARTED.input)
    request = RequestTask(
        task_id="vector-change-first", kind="vectors.upsert", input=input_, timeout_s=600, heartbeat_s=60
    )
    change.given().when(EMBEDDING_CHANGE_STARTED).then(Note(VECTOR_CHANGE_NOTED), Ask("request_task", request))
    NOTED.when(answered("request_task", None)).then()


def test_end_of_the_task_settles_the_change_and_an_attempt_does_not() -> None:
    settle = Ask("settle", SETTLE_EMBEDDINGS)
    for end in (TASK_COMPLETED, TASK_TIMED_OUT, TASK_CANCELLED, replace(TASK_FAILED, retry_at=None)):
        NOTED.when(end, stream=TASK).then(settle)
    NOTED.when(replace(TASK_FAILED, retry_at=RECORDED_AT), stream=TASK).then()
    # a task of that name which nobody asked for here
    change.given().when(TASK_COMPLETED, stream=TASK).then()
    envelope = envelope_of(TASK_COMPLETED)._replace(stream=StreamId("task-t1"))
    assert VECTOR_CHANGE.route(TASK_COMPLETED, envelope) is None


def test_task_that_cannot_be_requested_fails_the_change() -> None:
    fail = Ask("fail", replace(FAIL_EMBEDDINGS, error="tenant acme is SUSPENDED"))
    NOTED.when(answered("request_task")).then(fail)
    tried = change.given(VECTOR_CHANGE_NOTED, answered("request_task"), replace(ASKED, step="fail", attempt=1))
    tried.when(answered("fail")).then(Wait("again", RECORDED_AT + timedelta(seconds=10)))
    tried.when(replace(TIMER_FIRED, name="again")).then(fail)


def test_end_that_cannot_be_taken_over_now_is_taken_over_later() -> None:
    tried = change.given(VECTOR_CHANGE_NOTED, replace(ASKED, step="settle", attempt=1))
    tried.when(answered("settle")).then(Wait("again", RECORDED_AT + timedelta(seconds=10)))
    change.given(VECTOR_CHANGE_NOTED, replace(TIMER_SET, name="again")).when(replace(TIMER_FIRED, name="again")).then(
        Ask("settle", SETTLE_EMBEDDINGS)
    )


def test_change_that_has_ended_is_not_done_again() -> None:
    state: Any = None
    for event in (VECTOR_COLLECTION_CREATED, EMBEDDING_CHANGE_STARTED):
        state = VECTOR_COLLECTION.evolve(state, event)
    assert VECTOR_CHANGE.still(state, EMBEDDING_CHANGE_STARTED)
    assert not VECTOR_CHANGE.still(VECTOR_COLLECTION.evolve(state, EMBEDDING_CHANGE_FAILED), EMBEDDING_CHANGE_STARTED)
    assert VECTOR_CHANGE.still(None, TASK_COMPLETED)
