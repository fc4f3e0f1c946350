"""Stories that let every process work, told to a writer that is killed before and after each of its transactions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Protocol

from domain.automation.agent import CreateAgent
from domain.automation.agent_execution import ApproveAction, ExecuteAgent
from domain.automation.conversation import AddMessage, StartConversation
from domain.automation.conversation_ids import answer_execution_id
from domain.automation.execution import ApproveNode, ExecuteWorkflow
from domain.automation.graph import ApprovalNode, Edge, ParallelNode, TaskNode, ToolNode, WaitNode
from domain.automation.model import RegisterModel
from domain.automation.node_runs import sub_execution_id
from domain.automation.policy import Decision, SetPolicy
from domain.automation.tool import CancelToolExecution, ExecuteTool, RegisterTool, task_id_of
from domain.automation.turn import MAX_STEPS
from domain.automation.vector_collection import CreateVectorCollection, Document, PutDocuments
from domain.automation.workflow import CreateWorkflow, PublishWorkflow
from domain.content.distribution import FailPublication, PublishContent
from domain.content.item import ApproveContent, RequestContent, SchedulePublication, SubmitDraft
from domain.execution.command_execution import ReportResult
from domain.execution.schedule import RemoveSchedule, ScheduleScript
from domain.execution.script import CreateScript, Shell
from domain.finance.approval_limits import SetApprovalLimit
from domain.finance.budget import SetBudget
from domain.finance.invoice import (
    ApproveInvoice,
    CategoriseInvoice,
    LineItem,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
)
from domain.finance.transaction import AssignTransaction, RecordTransaction
from domain.fleet.device import RegisterDevice, RetireDevice, UpdateDevice
from domain.identity.api_key import IssueApiKey
from domain.identity.organization import ArchiveOrganization, CreateOrganization
from domain.identity.tenant import RegisterTenant
from domain.identity.user import AcceptInvitation, InviteUser, Role, SetPassword
from domain.integration.webhook_endpoint import PauseWebhook, RegisterWebhook, RemoveWebhook, ResumeWebhook
from domain.message import Command
from domain.operations.agent_release import PublishAgentRelease, ResumeAgentRelease
from domain.operations.delivery import task_id_of as endpoint_task
from domain.operations.task import ClaimTask, CompleteTask, FailTask, RequestTask
from domain.sales.lead import CaptureLead, LoseLead, QualifyLead
from domain.sales.quote import AcceptQuote, DraftQuote, QuoteItem
from domain.sales.sales_team import RegisterRepresentative
from schemas.envelope import Entry, Envelope, Topic
from schemas.key_ids import key_tag
from schemas.partitioning import partition_of
from streams.ports import Batch, EventLog
from streams.write.writer import Writer
from tests.examples.identity import GIVE_CONSENT, SET_PASSWORD
from tests.streams.kit import submission
from tests.streams.write.saga import DEMO, HOUR, NOON, Hands

DAY, MINUTE = 24 * HOUR, timedelta(minutes=1)

Story = Sequence[Command | timedelta]
"""What people and workers say one after the other, and how much time passes between."""

BEGIN = RegisterTenant(
    tenant_id="demo",
    name="Demo",
    owner_id="ann",
    owner_email="ann@demo.example",
    first_key=IssueApiKey(key_id=f"{key_tag(DEMO)}-k1", secret_sha256="a1" * 32, scopes=("*",)),
)
HASH = SET_PASSWORD.password_hash
JOINED = AcceptInvitation(user_id="ann")


def _done(task_id: str, output: Any = None, *, attempt: int = 1) -> tuple[Command, ...]:
    return ClaimTask(task_id=task_id, worker="w"), CompleteTask(task_id=task_id, attempt=attempt, output=output)


def _tenant() -> Iterator[Command | timedelta]:
    yield InviteUser(user_id="bob", email="bob@demo.example", roles=(Role.USER,))
    yield SetPassword(user_id="ann", password_hash=HASH)
    yield replace(GIVE_CONSENT, password=1)
    yield SetPassword(user_id="ann", password_hash=HASH[:-1] + "B")
    yield 8 * DAY
    yield from (CreateOrganization(organization_id=id_, name=id_) for id_ in ("north", "south"))
    yield RegisterDevice(device_id="web-1", hostname="web-1", organization_id="north")
    yield UpdateDevice(device_id="web-1", organization_id="south")
    yield ArchiveOrganization(organization_id="north")
    yield ArchiveOrganization(organization_id="south")
    yield RetireDevice(device_id="web-1")


def _bill(number: str, amount: int, direction: Literal["in", "out"] = "in") -> ReceiveInvoice:
    return ReceiveInvoice(
        number=number,
        party="ann",
        direction=direction,
        issue_date=NOON,
        due_date=NOON + DAY,
        lines=(LineItem(product="p", quantity=Decimal(1), unit_price=Decimal(amount)),),
        currency="EUR",
    )


def _books() -> Iterator[Command | timedelta]:
    yield SetApprovalLimit(currency="EUR", limit=Decimal(50))
    yield SetBudget(category="hosting", currency="EUR", amount=Decimal(100))
    for number, amount in (("1", 40), ("2", 70)):
        named: Mapping[str, Any] = {"number": number, "party": "ann", "direction": "in"}
        yield _bill(number, amount)
        yield CategoriseInvoice(**named, category="hosting")
        yield ApproveInvoice(**named)
    yield _bill("3", 10, "out")
    yield RecordPayment(number="3", party="ann", payment_id="p1", amount=Decimal(4), method="bank")
    line: Mapping[str, Any] = {"account": "bank", "booked_at": NOON, "currency": "EUR", "party": "ann"}
    yield RecordTransaction(transaction_id="b1", amount=Decimal(4), number="3", **line)
    yield RecordTransaction(transaction_id="b2", amount=Decimal(7), reference="order 77", **line)
    yield RefundPayment(number="3", party="ann", payment_id="p1")
    yield AssignTransaction(transaction_id="b1", number="3", party="ann")
    yield 3 * DAY


def _deal(id_: str, *, fails: bool) -> Iterator[Command | timedelta]:
    line = QuoteItem(product="seat", quantity=Decimal(10), unit_price=Decimal(100))
    pay: Mapping[str, Any] = {"number": f"Q-q{id_}", "party": id_, "method": "bank"}
    yield CaptureLead(lead_id=id_, source="referral", company="Acme", industry="finance")
    yield QualifyLead(lead_id=id_, offer=DraftQuote(quote_id=f"q{id_}", lines=(line,), currency="EUR"))
    yield AcceptQuote(quote_id=f"q{id_}")
    yield RecordPayment(**pay, payment_id="p1", amount=Decimal(400))
    if fails:
        yield LoseLead(lead_id=id_)
    yield RecordPayment(**pay, payment_id="p2", amount=Decimal(600))


def _sales() -> Iterator[Command | timedelta]:
    yield CaptureLead(lead_id="waits", source="paid", company="Bolt", industry="finance")
    yield RegisterRepresentative(representative_id="bob", expertise=("finance",))
    yield from _deal("l1", fails=False)
    yield from _deal("l2", fails=True)


def _content() -> Iterator[Command | timedelta]:
    yield RequestContent(content_id="c1", title="Patch day", kind="article")
    yield SubmitDraft(content_id="c1", body="Patch on Tuesday.")
    yield ApproveContent(content_id="c1")
    yield SchedulePublication(content_id="c1", platforms=("blog", "linkedin"), publish_at=NOON + HOUR)
    yield HOUR
    yield PublishContent(content_id="c1", platform="blog", post_id="b1")
    yield FailPublication(content_id="c1", platform="linkedin", attempt=1, error="503")
    yield 2 * MINUTE
    yield PublishContent(content_id="c1", platform="linkedin", post_id="l1")


def _scripts() -> Iterator[Command | timedelta]:
    yield from (RegisterDevice(device_id=id_, hostname=id_) for id_ in ("web-1", "web-2"))
    yield CreateScript(script_id="disk", name="Free space", shell=Shell.BASH, body="df", timeout_s=60)
    yield ScheduleScript(schedule_id="n", script_id="disk", device_ids=("web-1", "web-2"), every_s=3_600)
    yield HOUR
    yield ReportResult(execution_id="n~20260131T130000Z~2", exit_code=0, stdout="12 GB")
    yield 10 * MINUTE
    yield RemoveSchedule(schedule_id="n")
    yield 2 * HOUR


def _releases() -> Iterator[Command | timedelta]:
    yield from (RegisterDevice(device_id=id_, hostname=id_) for id_ in ("web-1", "web-2"))
    yield PublishAgentRelease(
        release_id="r1", version="2", digest="5f" * 32, device_ids=("web-1", "web-2"), waves=(50, 100), wait_s=60
    )
    yield MINUTE
    yield ResumeAgentRelease(release_id="r1")
    yield from (UpdateDevice(device_id=id_, agent_version="2") for id_ in ("web-1", "web-2"))
    yield MINUTE


def _workflows() -> Iterator[Command | timedelta]:
    schema = {"properties": {"a": {"type": "integer"}}}
    yield RegisterTool(tool_id="look", name="Look", kind="some.work", parameters=schema, attempts=1)
    nodes = (
        TaskNode(id="ask", type="task", kind="some.work", input="'x'", attempts=2, backoff_s=7, timeout_s=60),
        WaitNode(id="wait", type="wait", seconds=30),
        ApprovalNode(id="person", type="approval"),
        ToolNode(id="tool", type="tool", tool="look", input="{'a': 1}"),
    )
    ids = [node.id for node in nodes]
    edges = tuple(Edge(from_=one, to=two) for one, two in pairwise(ids))
    yield CreateWorkflow(workflow_id="w", name="W")
    yield PublishWorkflow(workflow_id="w", nodes=nodes, edges=edges)
    yield ExecuteWorkflow(execution_id="e1", workflow_id="w", input={})
    yield ClaimTask(task_id="e1~ask~1", worker="w")
    yield FailTask(task_id="e1~ask~1", attempt=1, error="no")
    yield 10 * timedelta(seconds=1)
    yield from _done("e1~ask~1", {"found": 1}, attempt=2)
    yield MINUTE
    yield ApproveNode(execution_id="e1", node_id="person")
    yield from _done(task_id_of(sub_execution_id("e1~tool~1")), {"status": 200})
    # more than an execution does in one turn
    long = tuple(ParallelNode(id=f"n{at}", type="parallel") for at in range(MAX_STEPS + 5))
    edges = tuple(Edge(from_=one.id, to=two.id) for one, two in pairwise(long))
    yield PublishWorkflow(workflow_id="w", nodes=long, edges=edges)
    yield ExecuteWorkflow(execution_id="e2", workflow_id="w", input={})
    yield RequestTask(task_id="lonely", kind="some.work", timeout_s=60, attempts=1)
    yield ClaimTask(task_id="lonely", worker="w")
    yield 2 * MINUTE


def _agents() -> Iterator[Command | timedelta]:
    yield RegisterTool(tool_id="ping", name="Ping", kind="some.work", parameters={}, attempts=1)
    yield RegisterModel(model_id="small", name="Small", provider_key="openai", model="m-1")
    yield SetPolicy(policy_id="careful", name="Careful", otherwise=Decision.ASK)
    yield CreateAgent(
        agent_id="triage", name="Triage", prompt="Look.", model_id="small", tools=("ping",), policy_id="careful"
    )
    yield ExecuteAgent(execution_id="a1", agent_id="triage", input="web-1 is silent")
    call = {"id": "c1", "name": "ping", "arguments": {}}
    yield from _done("a1~1", {"text": "", "tool_calls": [call], "input_tokens": 10, "output_tokens": 2})
    yield ApproveAction(execution_id="a1", action_id="1-1")
    yield from _done("tool-run-a1~1-1", {"status": 200})
    yield from _done("a1~2", {"text": "It is up.", "tool_calls": [], "input_tokens": 10, "output_tokens": 2})
    yield StartConversation(conversation_id="c1", agent_id="triage", title="web-1")
    yield AddMessage(conversation_id="c1", text="Is it up?")
    answer = {"text": "It is.", "tool_calls": [], "input_tokens": 10, "output_tokens": 2}
    yield from _done(f"{answer_execution_id('c1', 1)}~1", answer)
    yield CreateVectorCollection(collection_id="handbook", name="Handbook", model="m-1", dimensions=2)
    put = (Document(id="p1", vector=(1.0, 0.0)), Document(id="p2", vector=(0.0, 1.0)))
    yield PutDocuments(collection_id="handbook", change_id="first", documents=put)
    yield from _done("vector-change-first", {"documents": 2})
    yield ExecuteTool(tool_id="ping", execution_id="x1", parameters={})
    yield CancelToolExecution(tool_id="ping", execution_id="x1", reason="enough")


def _webhooks() -> Iterator[Command | timedelta]:
    def sent(delivery: int, events: int, **more: Any) -> tuple[Command, ...]:
        output = {"events": events, "redone": 0, "looked_to": 10_000 * delivery, "more": False, **more}
        return _done(endpoint_task("shop", delivery), output)

    def device(*names: str) -> Iterator[Command]:
        return (RegisterDevice(device_id=name, hostname=name) for name in names)

    yield RegisterWebhook(endpoint_id="shop", url="https://shop.example", types=("device.registered",), sealed="c2U=")
    yield from device("w1", "w2", "w3")
    yield from sent(1, 1)
    refused = {"position": 10_001, "event_id": "e", "type": "device.registered", "status": 503, "error": "503"}
    yield from sent(2, 1, looked_to=10_000, stopped=refused)
    yield from device("w4")
    yield 10 * timedelta(seconds=1)
    yield from sent(3, 2)
    yield PauseWebhook(endpoint_id="shop")
    yield from device("w5")
    yield ResumeWebhook(endpoint_id="shop")
    yield ClaimTask(task_id=endpoint_task("shop", 4), worker="w")
    yield FailTask(task_id=endpoint_task("shop", 4), attempt=1, error="no secret", retryable=False)
    yield 10 * timedelta(seconds=1)
    yield from sent(5, 1)
    yield from device("w6")
    yield from sent(6, 1)
    yield RemoveWebhook(endpoint_id="shop")
    yield from device("w7")


STORIES: Mapping[str, Callable[[], Iterator[Command | timedelta]]] = {
    "tenant": _tenant,
    "books": _books,
    "sales": _sales,
    "content": _content,
    "scripts": _scripts,
    "releases": _releases,
    "workflows": _workflows,
    "agents": _agents,
    "webhooks": _webhooks,
}


def told(name: str) -> Story:
    """Return a story from the registration of its tenant on."""
    return (BEGIN, JOINED, *STORIES[name]())


# --- telling


_MOST_KILLS = 1_000


class Killed(BaseException):
    """It stands for `kill -9`: as nothing catches that, nothing of ours catches this."""


class Log(EventLog, Protocol):
    def close(self) -> None: ...


class Told(NamedTuple):
    """What came of a story: the events in their order, and what each command was answered."""

    events: list[tuple[Any, ...]]
    answers: list[tuple[Any, ...]]


@dataclass
class Teller:
    """Tells a story to one writer, or to many that are killed one after the other.

    Shape: `opening` opens the log anew after each kill. `broken_off` has a log begin to append, and is killed before it
    is done; without it nothing was begun. Where `is_killed`, the writer dies in each transaction twice: before it is
    durable, and afterwards, before anybody hears of it.
    """

    opening: Callable[[Hands], Log]
    is_killed: bool = False
    broken_off: Callable[[Log, Callable[[Batch], None], Batch], None] | None = None
    kills: int = 0

    def tell(self, story: Story) -> Told:
        self._hands = Hands()
        self._open()
        answers = []
        for at, one in enumerate(story):
            if isinstance(one, timedelta):
                self._hands.at += one
                self._again(self._settle)
            else:
                answers.append(self._again(lambda at=at, command=one: self._say(command, f"said-{at}")))  # type: ignore[misc]
        partition = partition_of(DEMO, self._log.partitions)
        events = _envelopes(self._log.read(Topic.EVENTS, partition, after=0, limit=100_000))
        # personal fields are opened for who reads a stream
        streams = {event.stream for event in events}
        read = (_envelopes(self._log.read_stream(DEMO, stream, after=0, limit=100_000)) for stream in streams)
        found = {(event.stream, event.version): event for history in read for event in history}
        self._log.close()
        return Told([_comparable(found[event.stream, event.version]) for event in events], answers)

    def _open(self) -> None:
        self._log = self.opening(self._hands)
        self._writer = Writer(self._log, self._hands)
        if self.is_killed:
            self._log.append = partial(self._append, self._log.append)  # type: ignore[method-assign]

    def _append(self, append: Callable[[Batch], None], batch: Batch) -> None:
        if not batch.events and not batch.marks:
            append(batch)
            return
        self.kills += 1
        assert self.kills < _MOST_KILLS, "the story does not go on"
        if self.kills % 2 == 0:
            append(batch)
        elif self.broken_off:
            self.broken_off(self._log, append, batch)
        raise Killed

    def _again(self, do: Callable[[], Any]) -> Any:
        while True:
            try:
                return do()
            except Killed:
                self._log.close()
                self._open()

    def _say(self, command: Command, id_: str) -> tuple[Any, ...]:
        [reply] = self._writer.write([submission(command, id_=id_)])
        self._settle()
        assert not self._writer.failed
        return reply.outcome, reply.stream, reply.version, len(reply.events), reply.refusal

    def _settle(self) -> None:
        while self._writer.wait_s() <= 0:
            self._writer.tick()


def _envelopes(entries: Iterable[Entry]) -> list[Envelope]:
    found = [entry for entry in entries if isinstance(entry, Envelope)]
    assert found, "nothing is in the log"
    return found


def _comparable(event: Envelope) -> tuple[Any, ...]:
    # ids of events are drawn, and those of commands that processes ask are made of them
    return event.stream, event.version, event.type, event.data, event.actor, event.happened_at, event.recorded_at
