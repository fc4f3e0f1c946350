"""These are the commands, the events, the state and the rules of a workflow, whose versions are graphs."""

from dataclasses import replace
from enum import StrEnum
from typing import ClassVar, assert_never

from domain.automation.faults import faults
from domain.automation.graph import Edges, Nodes, WorkflowNode, graph_text
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Name, Text

MAX_GRAPH_BYTES = 512 * 1024
"""Each execution keeps the graph that it began with."""


def workflow_stream(workflow_id: str) -> StreamId:
    return StreamId(f"workflow-{workflow_id}")


# --- commands


@value
class _OfWorkflow(Command):
    IS_FOR_OWN: ClassVar = True
    workflow_id: Id

    @property
    def stream(self) -> StreamId:
        return workflow_stream(self.workflow_id)


@value
class CreateWorkflow(_OfWorkflow):
    name: Name
    description: Text = ""


@value
class PublishWorkflow(_OfWorkflow):
    """Make this graph the workflow's newest version, which is executed from now on.

    Shape: it starts at the one node to which no edge leads.
    """

    nodes: Nodes
    edges: Edges = ()


@value
class DeactivateWorkflow(_OfWorkflow):
    """It is not executed any more; what runs goes on."""

    reason: Text = ""


@value
class ActivateWorkflow(_OfWorkflow):
    pass


@value
class ArchiveWorkflow(_OfWorkflow):
    reason: Text = ""


WorkflowCommand = CreateWorkflow | PublishWorkflow | DeactivateWorkflow | ActivateWorkflow | ArchiveWorkflow

# --- events


@value
class WorkflowCreated(Event):
    TYPE: ClassVar = "workflow.created"
    name: str
    description: str


@value
class WorkflowPublished(Event):
    """Shape: `nodes` and `edges` are counted; `graph` is JSON."""

    TYPE: ClassVar = "workflow.published"
    version: int
    nodes: int
    edges: int
    graph: str


@value
class WorkflowDeactivated(Event):
    TYPE: ClassVar = "workflow.deactivated"
    reason: str


@value
class WorkflowActivated(Event):
    TYPE: ClassVar = "workflow.activated"
    version: int


@value
class WorkflowArchived(Event):
    TYPE: ClassVar = "workflow.archived"
    reason: str


WorkflowEvent = WorkflowCreated | WorkflowPublished | WorkflowDeactivated | WorkflowActivated | WorkflowArchived

# --- state


class WorkflowStatus(StrEnum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    ARCHIVED = "ARCHIVED"


@value
class Workflow:
    """Shape: `version`, `nodes` and `graph` are those that were published last, 0 and "" before the first."""

    name: str
    status: WorkflowStatus = WorkflowStatus.DRAFT
    version: int = 0
    nodes: int = 0
    graph: str = ""


def evolve_workflow(state: Workflow | None, event: WorkflowEvent) -> Workflow:
    if isinstance(event, WorkflowCreated):
        return Workflow(name=event.name)
    workflow = known(state)
    match event:
        case WorkflowPublished():
            return filled(Workflow, event, name=workflow.name, status=WorkflowStatus.ACTIVE)
        case WorkflowDeactivated():
            return replace(workflow, status=WorkflowStatus.INACTIVE)
        case WorkflowActivated():
            return replace(workflow, status=WorkflowStatus.ACTIVE)
        case WorkflowArchived():
            return replace(workflow, status=WorkflowStatus.ARCHIVED)
        case _:
            assert_never(event)


# --- rules


def decide_workflow(command: WorkflowCommand, state: Workflow | None, _given: Given) -> tuple[WorkflowEvent, ...]:
    if isinstance(command, CreateWorkflow):
        if state is not None:
            raise conflict(f"workflow {command.workflow_id} is there already")
        return (filled(WorkflowCreated, command),)
    if state is None:
        raise not_found(f"workflow {command.workflow_id} is not known")
    if state.status is WorkflowStatus.ARCHIVED and not isinstance(command, ArchiveWorkflow):
        raise not_allowed(f"workflow {command.workflow_id} is ARCHIVED")
    match command:
        case PublishWorkflow():
            return _publish(command, state)
        case DeactivateWorkflow():
            return (WorkflowDeactivated(reason=command.reason),) if state.status is WorkflowStatus.ACTIVE else ()
        case ActivateWorkflow():
            if not state.version:
                raise not_allowed(f"workflow {command.workflow_id} has no version; publish one")
            return () if state.status is WorkflowStatus.ACTIVE else (WorkflowActivated(version=state.version),)
        case ArchiveWorkflow():
            return () if state.status is WorkflowStatus.ARCHIVED else (WorkflowArchived(reason=command.reason),)
        case _:
            assert_never(command)


def _publish(command: PublishWorkflow, state: Workflow) -> tuple[WorkflowEvent, ...]:
    if found := faults(command.nodes, command.edges):
        raise invalid("; ".join(found))
    graph = graph_text(command.nodes, command.edges)
    if len(graph) > MAX_GRAPH_BYTES:
        most = f"{MAX_GRAPH_BYTES // 1024} KiB"
        raise invalid(f"the graph is larger than {most}; make a part of it a workflow of its own")
    if graph == state.graph and state.status is WorkflowStatus.ACTIVE:
        return ()
    counts = {"nodes": len(command.nodes), "edges": len(command.edges)}
    return (WorkflowPublished(version=state.version + 1, graph=graph, **counts),)


def workflow_reads(command: WorkflowCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the workflows that a new graph executes as a part: who may execute their own only publishes no other."""
    if not isinstance(command, PublishWorkflow):
        return ()
    inside = [node.workflow_id for node in command.nodes if isinstance(node, WorkflowNode)]
    return tuple(workflow_stream(id_) for id_ in dict.fromkeys(inside) if id_ != command.workflow_id)


WORKFLOW = Decider(
    category="workflow",
    commands=classes_of(WorkflowCommand),
    events=classes_of(WorkflowEvent),
    decide=decide_workflow,
    evolve=evolve_workflow,
    reads=workflow_reads,
)
