"""What may be done with a workflow and its executions, and what their processes answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.automation.agent_execution import ExecuteAgent
from domain.automation.decide_execution import EXECUTION, LATE, MAX_INSIDE
from domain.automation.execution import FailNode, NodeFailed, SettleNode, WorkflowCompleted, WorkflowFailed
from domain.automation.graph import (
    AgentNode,
    ApprovalNode,
    Edge,
    ForeachNode,
    TaskNode,
    TransformNode,
    WaitNode,
    graph_text,
)
from domain.automation.node_runs import parsed, sub_execution_id, token_of
from domain.automation.processes import WORKFLOW_NODE, WORKFLOW_TURN
from domain.automation.turn import CANCELLED
from domain.automation.workflow import (
    WORKFLOW,
    PublishWorkflow,
    Workflow,
    WorkflowPublished,
    WorkflowStatus,
    workflow_stream,
)
from domain.given import Given
from domain.identity.api_key import ApiKey, api_key_stream
from domain.identity.user import Role, User, UserStatus, user_stream
from domain.operations.task import CancelTask, RequestTask, Task, TaskStatus, task_stream
from domain.process import Ask, Forget, Wait
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, StreamId
from tests.examples.automation import (
    ACTIVATE_WORKFLOW,
    ADVANCE_EXECUTION,
    APPROVE_NODE,
    ARCHIVE_WORKFLOW,
    CANCEL_EXECUTION,
    CREATE_WORKFLOW,
    DEACTIVATE_WORKFLOW,
    EXECUTE_WORKFLOW,
    FAIL_NODE,
    GRAPH,
    NODE_COMPLETED,
    NODE_FAILED,
    NODE_STARTED,
    NODE_WAITING,
    PUBLISH_WORKFLOW,
    REJECT_NODE,
    RETRY_EXECUTION,
    SETTLE_NODE,
    TURN_ENDED,
    WORKFLOW_ACTIVATED,
    WORKFLOW_ARCHIVED,
    WORKFLOW_CANCELLED,
    WORKFLOW_COMPLETED,
    WORKFLOW_CREATED,
    WORKFLOW_DEACTIVATED,
    WORKFLOW_PUBLISHED,
    WORKFLOW_STARTED,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import TASK_COMPLETED, TASK_REQUESTED
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.given_when_then import GIVEN, Rules, Runs

workflow = Rules(WORKFLOW)
execution = Rules(EXECUTION)
node = Runs(WORKFLOW_NODE, "e1~check~1")
turn = Runs(WORKFLOW_TURN, "e1")

ACTIVE = Workflow(name="Triage", status=WorkflowStatus.ACTIVE, version=1, nodes=3, graph=GRAPH)
TASK = task_stream("e1~check~1")
RUNNING = (WORKFLOW_STARTED, NODE_STARTED)
WELL: dict[str, Any] = {"node_id": "well", "node_name": "well", "node_type": "condition"}
ASK: dict[str, Any] = {"node_id": "ask", "node_name": "ask", "node_type": "approval"}


def beside(**streams: Any) -> Given:
    return GIVEN._replace(streams={StreamId(name.replace("__", "-")): state for name, state in streams.items()})


def with_task(status: TaskStatus, ended_by: str) -> Given:
    return GIVEN._replace(streams={TASK: Task(requested=TASK_REQUESTED, status=status, ended_by=ended_by)})


def user(role: str) -> User:
    return User(email="ann@acme.example", roles=(role,), expires_at=RECORDED_AT, status=UserStatus.ACTIVE)


def key(scope: str) -> ApiKey:
    return ApiKey(secret_sha256=None, scopes=(scope,), revoked=False)


# --- the workflow


def test_workflow_is_created_published_and_archived() -> None:
    workflow.given().when(CREATE_WORKFLOW).then(WORKFLOW_CREATED)
    workflow.given(WORKFLOW_CREATED).when(CREATE_WORKFLOW).then_refused(
        Kind.CONFLICT, "workflow triage is there already"
    )
    workflow.given(WORKFLOW_CREATED).when(PUBLISH_WORKFLOW).then(WORKFLOW_PUBLISHED)
    published = workflow.given(WORKFLOW_CREATED, WORKFLOW_PUBLISHED)
    published.when(PUBLISH_WORKFLOW).then_nothing()
    published.when(DEACTIVATE_WORKFLOW).then(WORKFLOW_DEACTIVATED)
    published.when(ACTIVATE_WORKFLOW).then_nothing()
    published.when(ARCHIVE_WORKFLOW).then(WORKFLOW_ARCHIVED)


def test_next_version_is_another_graph_or_brings_an_inactive_workflow_back() -> None:
    other = PublishWorkflow(workflow_id="triage", nodes=(ApprovalNode(id="a", type="approval"),))
    second = WorkflowPublished(version=2, nodes=1, edges=0, graph=graph_text(other.nodes, ()))
    workflow.given(WORKFLOW_CREATED, WORKFLOW_PUBLISHED).when(other).then(second)
    idle = workflow.given(WORKFLOW_CREATED, WORKFLOW_PUBLISHED, WORKFLOW_DEACTIVATED)
    idle.when(PUBLISH_WORKFLOW).then(replace(WORKFLOW_PUBLISHED, version=2))
    idle.when(ACTIVATE_WORKFLOW).then(WORKFLOW_ACTIVATED)
    idle.when(DEACTIVATE_WORKFLOW).then_nothing()


def test_graph_with_faults_is_not_published_and_all_are_named() -> None:
    nodes = (TransformNode(id="a", type="transform", expression="x"), ApprovalNode(id="b", type="approval"))
    workflow.given(WORKFLOW_CREATED).when(PublishWorkflow(workflow_id="triage", nodes=nodes)).then_refused(
        Kind.INVALID,
        "expression of a: x is not known here; there are input, nodes;"
        " b cannot be reached: no edge leads to it, and a is where the workflow starts",
    )


def test_workflow_without_a_version_or_archived_cannot_be_activated() -> None:
    workflow.given(WORKFLOW_CREATED).when(ACTIVATE_WORKFLOW).then_refused(
        Kind.NOT_ALLOWED, "workflow triage has no version; publish one"
    )
    archived = workflow.given(WORKFLOW_CREATED, WORKFLOW_PUBLISHED, WORKFLOW_ARCHIVED)
    for command in (ACTIVATE_WORKFLOW, PUBLISH_WORKFLOW, DEACTIVATE_WORKFLOW):
        archived.when(command).then_refused(Kind.NOT_ALLOWED, "workflow triage is ARCHIVED")
    archived.when(ARCHIVE_WORKFLOW).then_nothing()


# --- the execution


def test_execution_begins_with_the_newest_version() -> None:
    execution.given().when(EXECUTE_WORKFLOW, beside(workflow__triage=ACTIVE)).then(WORKFLOW_STARTED, NODE_STARTED)


@pytest.mark.parametrize(
    ("state", "kind", "reason"),
    [
        (None, Kind.NOT_FOUND, "workflow triage is not known"),
        (
            replace(ACTIVE, status=WorkflowStatus.INACTIVE),
            Kind.NOT_ALLOWED,
            "workflow triage is INACTIVE; publish or activate it",
        ),
    ],
)
def test_workflow_that_is_not_active_is_not_executed(state: Workflow | None, kind: Kind, reason: str) -> None:
    execution.given().when(EXECUTE_WORKFLOW, beside(workflow__triage=state)).then_refused(kind, reason)


def test_execution_begins_once_and_nobody_names_its_parent() -> None:
    given = beside(workflow__triage=ACTIVE)
    execution.given(*RUNNING).when(EXECUTE_WORKFLOW, given).then_refused(
        Kind.CONFLICT, "execution e1 has begun already; a new one needs a new execution_id"
    )
    execution.given().when(replace(EXECUTE_WORKFLOW, parent="e9~a~1"), given).then_refused(
        Kind.NOT_ALLOWED, "`parent` and `depth` are given by the engine"
    )
    deep = replace(EXECUTE_WORKFLOW, parent="e9~a~1", depth=MAX_INSIDE + 1)
    system = given._replace(actor=Actor(ActorType.SYSTEM, "workflow_node"))
    execution.given().when(deep, system).then_refused(
        Kind.NOT_ALLOWED, f"more than {MAX_INSIDE} executions are inside each other"
    )


def test_node_is_settled_with_what_its_task_came_to() -> None:
    good = with_task(TaskStatus.COMPLETED, '{"status":200}')
    started = replace(NODE_STARTED, **WELL, input="null", kind=None, timeout_s=0, attempts=0, backoff_s=0)
    done = replace(NODE_COMPLETED, **WELL, next=(), output="true")
    over = WorkflowCompleted(
        workflow_id="triage", execution_id="e1", timestamp=RECORDED_AT, duration_ms=0, parent=None, output="{}"
    )
    execution.given(*RUNNING).when(SETTLE_NODE, good).then(NODE_COMPLETED, started, done, over)


def test_node_that_failed_without_an_edge_for_it_fails_the_execution() -> None:
    failed = WorkflowFailed(
        workflow_id="triage",
        execution_id="e1",
        timestamp=RECORDED_AT,
        duration_ms=0,
        parent=None,
        error="check: connection refused",
        nodes=("check",),
    )
    bad = with_task(TaskStatus.FAILED, "connection refused")
    execution.given(*RUNNING).when(SETTLE_NODE, bad).then(NODE_FAILED, failed)
    execution.given(*RUNNING, NODE_FAILED, failed).when(SETTLE_NODE, bad).then_nothing()


def test_task_that_goes_on_or_was_of_another_attempt_settles_nothing() -> None:
    execution.given(*RUNNING).when(SETTLE_NODE, with_task(TaskStatus.CLAIMED, "")).then_nothing()
    execution.given(*RUNNING).when(SETTLE_NODE).then_nothing()
    execution.given(*RUNNING).when(SettleNode(execution_id="e1", node_id="check", attempt=2)).then_nothing()
    execution.given(*RUNNING).when(replace(SETTLE_NODE, item=3)).then_nothing()


def test_node_is_late_when_its_deadline_is_over() -> None:
    timed = replace(NODE_STARTED, due_at=RECORDED_AT)
    late = execution.given(WORKFLOW_STARTED, timed).when(SETTLE_NODE)._decide()
    assert isinstance(late[0], NodeFailed)
    assert late[0].error == LATE
    later = replace(NODE_STARTED, due_at=RECORDED_AT + timedelta(seconds=1))
    execution.given(WORKFLOW_STARTED, later).when(SETTLE_NODE).then_nothing()


def test_item_of_a_list_is_late_when_its_own_deadline_is_over() -> None:
    each: dict[str, Any] = {"node_id": "f", "node_name": "f", "node_type": "foreach"}
    nodes = (ForeachNode(id="f", type="foreach", items="[1, 2]", kind="http.check", deadline_s=9),)
    due_at = RECORDED_AT + timedelta(seconds=9)
    begun = (
        replace(WORKFLOW_STARTED, graph=graph_text(nodes, ())),
        replace(NODE_STARTED, **each, input="[1,2]", kind=None),
        replace(NODE_STARTED, **each, item=0, due_at=RECORDED_AT),
        replace(NODE_STARTED, **each, item=1, due_at=due_at),
    )
    settle = SettleNode(execution_id="e1", node_id="f", attempt=1, item=0)
    late = execution.given(*begun).when(settle)._decide()
    assert [(event.item, event.error) for event in late if isinstance(event, NodeFailed)] == [(0, LATE)]
    execution.given(*begun).when(replace(settle, item=1)).then_nothing()


def test_task_whose_error_is_the_word_cancelled_takes_the_edges_of_errors() -> None:
    nodes = (
        TaskNode(id="check", type="task", kind="http.check"),
        TransformNode(id="mend", type="transform", expression="1"),
    )
    graph = graph_text(nodes, (Edge(from_="check", to="mend", on="error"),))
    failed = execution.given(replace(WORKFLOW_STARTED, graph=graph), NODE_STARTED).when(
        SETTLE_NODE, with_task(TaskStatus.FAILED, CANCELLED)
    )
    assert [event.next for event in failed._decide() if isinstance(event, NodeFailed)] == [("mend",)]


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-31T08:30:00"])
def test_instant_that_utc_does_not_have_fails_the_node(until: str) -> None:
    graph = graph_text((WaitNode(id="w", type="wait", until=f"'{until}'"),), ())
    events = execution.given(replace(WORKFLOW_STARTED, graph=graph)).when(ADVANCE_EXECUTION)._decide()
    assert [event.error for event in events if isinstance(event, NodeFailed)] == [
        "until of w must be an instant like 2026-01-31T08:30:00Z"
    ]


ASKING = (
    WORKFLOW_STARTED,
    NODE_STARTED,
    NODE_COMPLETED,
    replace(NODE_STARTED, **WELL),
    replace(NODE_COMPLETED, **WELL, next=("ask",)),
    replace(NODE_STARTED, **ASK),
    NODE_WAITING,
)


def test_person_approves_or_rejects_what_waits_for_it() -> None:
    given = execution.given(*ASKING)
    approved = given.when(APPROVE_NODE)._decide()
    assert [event.TYPE for event in approved] == ["workflow.node.completed", "workflow.completed"]
    assert approved[0].output == '{"by":"ann","note":"go on"}'  # type: ignore[attr-defined]
    rejected = given.when(REJECT_NODE)._decide()
    assert rejected[0].error == "rejected by ann: not today"  # type: ignore[attr-defined]
    for command in (APPROVE_NODE, REJECT_NODE):
        execution.given(*RUNNING).when(command).then_refused(
            Kind.NOT_ALLOWED, "node ask of execution e1 waits for nobody's approval"
        )


def test_note_that_is_too_long_as_json_is_refused() -> None:
    execution.given(*ASKING).when(replace(APPROVE_NODE, note="\x01" * 65_536)).then_refused(
        Kind.INVALID, "the note is larger than 256 KiB as JSON"
    )


@pytest.mark.parametrize(
    ("actor", "state", "may"),
    [
        (Actor(ActorType.USER, "ann"), user("AUDITOR"), True),
        (Actor(ActorType.USER, "ann"), user("OWNER"), True),
        (Actor(ActorType.USER, "ann"), user("USER"), False),
        (Actor(ActorType.USER, "ann"), replace(user("ADMIN"), status=UserStatus.INVITED), False),
        (Actor(ActorType.USER, "ann"), None, False),
        (Actor(ActorType.API_KEY, "k1"), key("*"), True),
        (Actor(ActorType.API_KEY, "k1"), key("automation:write"), False),
    ],
)
def test_approval_of_a_role_is_for_those_who_have_it(actor: Actor, state: Any, *, may: bool) -> None:
    nodes = (ApprovalNode(id="ask", type="approval", role=Role.AUDITOR),)
    started = replace(WORKFLOW_STARTED, graph=graph_text(nodes, ()))
    of = user_stream if actor.type is ActorType.USER else api_key_stream
    given = GIVEN._replace(actor=actor, streams={of(actor.id): state})
    asked = execution.given(started, replace(NODE_STARTED, **ASK), NODE_WAITING).when(APPROVE_NODE, given)
    if may:
        assert len(asked._decide()) == 2
    else:
        asked.then_refused(Kind.NOT_ALLOWED, "node ask is approved by somebody with the role AUDITOR")


def test_only_what_failed_is_tried_again_and_what_is_over_is_not_cancelled() -> None:
    execution.given(*RUNNING).when(RETRY_EXECUTION).then_refused(
        Kind.NOT_ALLOWED, "execution e1 is RUNNING; only one that FAILED is tried again"
    )
    cancelled = replace(WORKFLOW_CANCELLED, duration_ms=0)
    execution.given(*RUNNING).when(CANCEL_EXECUTION).then(replace(NODE_FAILED, error="cancelled"), cancelled)
    over = execution.given(*RUNNING, replace(NODE_FAILED, error="cancelled"), cancelled)
    for command in (CANCEL_EXECUTION, ADVANCE_EXECUTION, SETTLE_NODE, FAIL_NODE):
        over.when(command).then_nothing()
    over.when(APPROVE_NODE).then_refused(Kind.NOT_ALLOWED, "execution e1 is CANCELLED")


# --- the processes


def test_node_that_wants_work_requests_a_task_under_the_name_of_its_run() -> None:
    request = RequestTask(task_id="e1~check~1", kind="http.check", input={"url": "https://web-1.example"})
    node.when(NODE_STARTED).then(Ask("request_task", request))
    due_at = RECORDED_AT + timedelta(seconds=9)
    timed = replace(NODE_STARTED, due_at=due_at)
    node.when(timed).then(Wait("due", due_at), Ask("request_task", request))


def test_node_of_an_agent_begins_a_run() -> None:
    started = replace(NODE_STARTED, node_type="agent", kind="agent.run", input='{"agent":"first-look","input":"web-1"}')
    run_id = sub_execution_id("e1~check~1")
    node.when(started).then(
        Ask(
            "execute_agent",
            ExecuteAgent(execution_id=run_id, agent_id="first-look", input="web-1", parent="e1~check~1"),
        )
    )


def test_node_of_an_agent_whose_task_an_earlier_version_requested_goes_on_by_that_task() -> None:
    settle = SettleNode(execution_id="e1", node_id="check", attempt=1)
    earlier = node.given(replace(ASKED, step="request_task"))
    earlier.when(TASK_COMPLETED, stream="task-e1~check~1").then(Ask("settle", settle))
    nodes = (AgentNode(id="check", type="agent", agent="first-look"),)
    begun = replace(WORKFLOW_STARTED, nodes=1, graph=graph_text(nodes, ()))
    started = replace(NODE_STARTED, node_type="agent", kind="agent.run")
    ended = replace(NODE_COMPLETED, node_name="check", node_type="agent", next=(), output='"off"')
    over = replace(WORKFLOW_COMPLETED, duration_ms=0, output='{"check":"off"}')
    execution.given(begun, started).when(settle, with_task(TaskStatus.COMPLETED, '"off"')).then(ended, over)


def test_node_that_needs_nobody_has_no_process() -> None:
    route = WORKFLOW_NODE.route
    assert route(replace(NODE_STARTED, kind=None), None) is None  # type: ignore[arg-type]
    assert route(replace(NODE_COMPLETED, node_type="transform"), None) is None  # type: ignore[arg-type]


def test_time_of_a_node_is_waited_for_and_then_settled() -> None:
    waiting = Runs(WORKFLOW_NODE, "e1~ask~1")
    assert NODE_WAITING.until is not None
    waiting.when(NODE_WAITING).then(Wait("due", NODE_WAITING.until))
    settle = SettleNode(execution_id="e1", node_id="ask", attempt=1)
    waiting.given(replace(TIMER_SET, name="due")).when(replace(TIMER_FIRED, name="due")).then(Ask("time", settle))


def test_task_or_part_that_cannot_be_begun_fails_its_node_for_the_reason() -> None:
    refused = replace(ANSWERED, step="request_task", kind="conflict", reason="it is there")
    fail = FailNode(execution_id="e1", node_id="check", attempt=1, error="it is there")
    node.given(replace(ASKED, step="request_task")).when(refused).then(Ask("fail", fail))
    again = (refused, replace(ASKED, step="fail", attempt=1), replace(TIMER_SET, name="again"))
    node.given(*again).when(replace(TIMER_FIRED, name="again")).then(Ask("fail", fail))


def test_answer_that_was_refused_is_given_again_later() -> None:
    asked = replace(ASKED, step="settle", attempt=1)
    node.given(asked).when(replace(ANSWERED, step="settle")).then(Wait("again", RECORDED_AT + timedelta(seconds=10)))


def test_node_that_ends_otherwise_takes_its_task_back() -> None:
    forget = (Forget("due"), Forget("again"))
    cancel = CancelTask(task_id="e1~check~1", reason="its node does not wait for it any longer")
    node.given(replace(ASKED, step="request_task")).when(NODE_FAILED).then(*forget, Ask("cancel", cancel))
    node.given(replace(ASKED, step="request_task"), replace(ASKED, step="settle")).when(NODE_COMPLETED).then(*forget)


def test_execution_goes_on_in_the_next_turn() -> None:
    turn.when(TURN_ENDED).then(Wait("turn", RECORDED_AT))
    turn.given(replace(TIMER_SET, name="turn")).when(replace(TIMER_FIRED, name="turn")).then(
        Ask("advance", ADVANCE_EXECUTION)
    )
    refused = replace(ANSWERED, step="advance")
    turn.given(replace(ASKED, step="advance", attempt=1)).when(refused).then(
        Wait("turn", RECORDED_AT + timedelta(seconds=10))
    )


def test_name_of_a_run_says_which_it_is() -> None:
    for item in (None, 7):
        run = parsed(token_of("e-1", "node", 2, item))
        assert (run.execution_id, run.node_id, run.attempt, run.item) == ("e-1", "node", 2, item)
    assert len(sub_execution_id("x" * 500)) < 64


def test_workflow_stream_is_what_an_execution_reads() -> None:
    assert EXECUTION.reads is not None
    assert EXECUTION.reads(EXECUTE_WORKFLOW, GIVEN.actor) == (workflow_stream("triage"),)
