"""Who may act on their own things only acts on nothing else, whatever a view shows."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.automation.execution import CancelExecution, ExecuteWorkflow, RetryExecution
from domain.automation.graph import WorkflowNode
from domain.automation.workflow import ArchiveWorkflow, CreateWorkflow, PublishWorkflow
from domain.message import Command
from domain.rejection import Kind
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Actor, ActorType
from streams.ports import Reply, SystemClock
from streams.write.messages import decode_submission, encode_submission
from streams.write.writer import Writer
from tests.examples.automation import EDGES, NODES
from tests.streams.kit import accepted, register_tenant, submission

ANN, BOB = Actor(ActorType.USER, "ann"), Actor(ActorType.USER, "bob")

Give = Callable[..., Reply]


@pytest.fixture
def give(tmp_path: Path) -> Iterator[Give]:
    """Give what sends a command about the sender's own things only, as it comes over Kafka."""
    with closing(SqliteEventLog(tmp_path)) as log:
        Writer(log, SystemClock()).write([register_tenant("demo")])

        def give(command: Command, actor: Actor = ANN, *, own: bool = True) -> Reply:
            sent = submission(command, actor=actor)._replace(own=own, name="automation." + type(command).__name__)
            sent = decode_submission(encode_submission(sent), partition=0, partitions=1)
            return Writer(log, SystemClock()).write([sent])[0]

        yield give


def workflow(give: Give, id_: str, actor: Actor, **how: Any) -> None:
    assert accepted(give(CreateWorkflow(workflow_id=id_, name=id_), actor, **how))
    assert accepted(give(PublishWorkflow(workflow_id=id_, nodes=NODES, edges=EDGES), actor, **how))


def not_allowed(reply: Reply) -> bool:
    return reply.refusal is not None and reply.refusal.kind is Kind.NOT_ALLOWED


def test_own_workflow_is_made_executed_cancelled_and_put_away(give: Give) -> None:
    workflow(give, "of-ann", ANN)
    assert accepted(give(ExecuteWorkflow(execution_id="e1", workflow_id="of-ann")))
    assert accepted(give(CancelExecution(execution_id="e1")))
    assert accepted(give(ArchiveWorkflow(workflow_id="of-ann")))


def test_nothing_is_done_to_what_another_made(give: Give) -> None:
    workflow(give, "of-bob", BOB)
    assert accepted(give(ExecuteWorkflow(execution_id="e2", workflow_id="of-bob"), BOB))
    for command in (
        PublishWorkflow(workflow_id="of-bob", nodes=NODES, edges=EDGES),
        ArchiveWorkflow(workflow_id="of-bob"),
        CreateWorkflow(workflow_id="of-bob", name="mine now"),
        ExecuteWorkflow(execution_id="e3", workflow_id="of-bob"),
        CancelExecution(execution_id="e2"),
        RetryExecution(execution_id="e2"),
    ):
        assert not_allowed(give(command)), command
    same_name = Actor(ActorType.API_KEY, "bob")
    assert not_allowed(give(ArchiveWorkflow(workflow_id="of-bob"), same_name))
    assert accepted(give(CancelExecution(execution_id="e2"), ANN, own=False))


def test_what_is_not_there_looks_like_what_is_anothers(give: Give) -> None:
    workflow(give, "of-bob", BOB)
    said = [give(ExecuteWorkflow(execution_id="e4", workflow_id=id_)).refusal for id_ in ("of-bob", "nothing")]
    assert [refusal and refusal.reason.replace("nothing", "of-bob") for refusal in said] == [
        "workflow-of-bob is not there, or not yours; you may act on your own only"
    ] * 2


@pytest.mark.parametrize("inside", ["of-bob", "of-nobody-yet"])
def test_own_workflow_executes_no_other_as_a_part(give: Give, inside: str) -> None:
    workflow(give, "of-bob", BOB)
    assert accepted(give(CreateWorkflow(workflow_id="of-ann", name="of-ann")))

    def publish(workflow_id: str) -> PublishWorkflow:
        node = WorkflowNode(id="n", type="workflow", workflow_id=workflow_id)
        return PublishWorkflow(workflow_id="of-ann", nodes=(node,))

    assert not_allowed(give(publish(inside)))
    assert accepted(give(publish("of-ann")))
    assert accepted(give(publish(inside), own=False)) or inside == "of-bob"
