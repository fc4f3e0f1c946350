"""The embedded server does tasks itself, for each tenant that has some, and shows them as a worker's."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from factline.worker import Failed, Task
from infra.embedded import Embedded
from infra.handlers.chat import chat_complete
from infra.handlers.outgoing import Outgoing
from infra.handlers.packages import BadHandler
from infra.handlers.settings import networks
from infra.handlers.web import Handler, http_check, http_request
from infra.outside import Outside
from infra.serve import own_worker
from infra.serve.embedded import create_app
from infra.serve.own_worker import NAME, OwnWorkers, Shipped, working
from projections.credentials import Quota, RateLimits
from read_api.edge.asking import OWN_CALLER
from schemas.envelope import TenantId
from tests.infra.handlers.kit import LOCAL
from tests.infra.handlers.test_chat import OLLAMA, Held, sse
from tests.infra.handlers.web_server import WebServer, web_server
from tests.read_api.test_live import Stream
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

SECRET = "hush-hush-hush-hush-hush"
LAST_WORD = b'{"message": {"content": "Tag'


async def twice(task: Task) -> int:
    if task.input == "bad":
        raise Failed("that is no number", retryable=False)
    return int(task.input) * 2


async def counts(task: Task) -> Any:
    return task.input


RUNNING: Counter[str] = Counter()


async def at_once(task: Task) -> int:
    """Return how many of a tenant's ran at once while this did."""
    RUNNING[task.input] += 1
    most = RUNNING[task.input]
    for _ in range(20):
        await asyncio.sleep(0.01)
        most = max(most, RUNNING[task.input])
    RUNNING[task.input] -= 1
    return most


class Tenant(NamedTuple):
    client: httpx.Client
    key: str

    def get(self, path: str) -> list[dict[str, Any]]:
        def asked() -> httpx.Response | None:
            # a view may still be about to be built
            answer = self.client.get(path, headers={"X-API-Key": self.key})
            return answer if answer.is_success else None

        rows: list[dict[str, Any]] = eventually(asked).json()["rows"]
        return rows

    def post(self, path: str, body: Any) -> Any:
        answer = self.client.post(path, json=body, headers={"X-API-Key": self.key})
        assert answer.is_success, answer.text
        return answer.json()

    def request(self, task_id: str, input_: Any, kind: str = "twice") -> None:
        self.post("/v1/commands/operations/RequestTask", {"task_id": task_id, "kind": kind, "input": input_})

    def task(self, task_id: str) -> dict[str, Any]:
        return next(iter(self.get(f"/v1/tasks/{task_id}")), {})

    def ended(self, task_id: str) -> dict[str, Any]:
        eventually(lambda: "ended_at" in self.task(task_id), lambda: str(self.task(task_id)))
        return self.task(task_id)


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tenant, Tenant]]:
    folder = tmp_path_factory.mktemp("own")
    shipped = {
        "twice": twice,
        "counts": counts,
        "chat.complete": chat_complete(LOCAL),
        "http.check": http_check(LOCAL),
        "http.request": http_request(LOCAL),
        "script.javascript": at_once,
    }
    # a host rests for a moment only
    outside = Outside("tasks", failures=2, rest_s=1, of_all=None)

    def handlers_of(tenant: str) -> Mapping[str, Handler]:
        return {**shipped, "http.request": http_request(Outgoing(networks("127.0.0.0/8"), outside, tenant))}

    with Embedded.open(folder) as embedded:
        demo = str(embedded.first_start())
        operator = (folder / "operator.key").read_text().strip()
        app = create_app(
            embedded,
            host_metrics=False,
            usual_limits=RateLimits(),
            shipped=Shipped(list(shipped), lambda: handlers_of, outside),
        )
        with served(app) as client:
            made = Tenant(client, operator).post("/v1/tenants", {"tenant_id": "acme", "name": "Acme"})
            yield Tenant(client, demo), Tenant(client, made["api_key"])


def test_server_does_the_tasks_of_its_kinds_for_every_tenant(tenants: tuple[Tenant, Tenant]) -> None:
    demo, acme = tenants
    demo.request("t1", 21)
    acme.request("t2", 4)
    demo.request("t3", "bad")
    demo.request("t4", 1, kind="somebody.elses")
    done = demo.ended("t1")
    assert (done["status"], done["output"], done["worker"]) == ("COMPLETED", "42", NAME)
    assert acme.ended("t2")["output"] == "8"
    assert (demo.ended("t3")["status"], demo.ended("t3")["error"]) == ("FAILED", "that is no number")
    assert demo.task("t4")["status"] == "WAITING"
    # who did it is the server, and not a key
    claimed = [row for row in demo.get("/v1/audit/streams/task-t1") if row["type"] == "task.claimed"]
    assert [row["actor"] for row in claimed] == [{"type": "system", "id": NAME}]


def test_handlers_that_do_not_load_are_told_and_loaded_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_worker, "_LOOK_S", 0)
    loads: list[str] = []

    class Busy:
        """Has a tenant with a task."""

        def tenants(self) -> Mapping[str, str]:
            return {"acme": "ACTIVE"}

        def find(self, *_: Any, **__: Any) -> Sequence[str]:
            return ["a task"]

    def load() -> Callable[[str], Mapping[str, Handler]]:
        loads.append("load")
        if len(loads) < 2:
            raise BadHandler("shop.stock has several handlers")
        return lambda _: {}

    async def looked() -> None:
        own = OwnWorkers(None, Shipped(["shop.stock"], load, Outside("tasks")), Busy(), Busy())  # type: ignore[arg-type]
        looking = asyncio.create_task(own.run())
        while len(loads) < 2 and not looking.done():  # noqa: ASYNC110 - it says nothing when it looks again
            await asyncio.sleep(0)
        assert not looking.done()
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(looked())
    assert "no task is done now: BadHandler: shop.stock has several handlers" in caplog.text


def test_tenant_runs_one_script_at_a_time_so_that_others_find_a_place(tenants: tuple[Tenant, Tenant]) -> None:
    demo, _ = tenants
    for n in range(3):
        demo.request(f"s{n}", "of demo", kind="script.javascript")
    assert [demo.ended(f"s{n}")["output"] for n in range(3)] == ["1"] * 3


def test_model_is_asked_with_the_tenants_secret_and_its_use_is_counted(tenants: tuple[Tenant, Tenant]) -> None:
    demo, acme = tenants
    with web_server(lambda _: (200, {}, OLLAMA)) as server:
        key = {
            "key_id": "local",
            "provider": "ollama",
            "kinds": ["chat.complete"],
            "secret": "hush-hush-hush-hush-hush",
        }
        demo.post("/v1/secrets", {**key, "base_url": server.url})
        given = {"provider_key": "local", "model": "m-1", "messages": [{"role": "user", "content": "Guten Tag?"}]}
        demo.request("c1", given, kind="chat.complete")
        acme.request("c2", given, kind="chat.complete")
        done = demo.ended("c1")
        failed = acme.ended("c2")
        assert [sent.headers["authorization"] for sent in server.sent] == [f"Bearer {SECRET}"]
    assert json.loads(done["output"])["text"] == "Schönen Tag"
    assert (failed["status"], failed["error"].split(":")[0]) == (
        "FAILED",
        "there is no secret 'local' for tasks of the kind chat.complete",
    )
    use = [{"model": "m-1", "tasks": 1, "input_tokens": 12, "output_tokens": 3}]
    eventually(lambda: demo.get("/v1/analytics/models") == use, lambda: str(demo.get("/v1/analytics/models")))
    assert acme.get("/v1/analytics/models") == []
    [shown] = demo.get("/v1/provider_keys")
    assert SECRET not in json.dumps([shown, done, demo.get("/v1/audit/events")])


def test_task_for_a_host_that_rests_is_not_failed_but_done_when_the_host_is_well_again(
    tenants: tuple[Tenant, Tenant],
) -> None:
    demo, acme = tenants
    status = [503]
    with web_server(lambda _: (status[0], {}, b"")) as server:
        for n in range(2):
            given = {"task_id": f"r{n}", "kind": "http.request", "input": {"url": server.url}, "attempts": 1}
            demo.post("/v1/commands/operations/RequestTask", given)
        assert [demo.ended(f"r{n}")["status"] for n in range(2)] == ["FAILED"] * 2
        given = {"task_id": "r2", "kind": "http.request", "input": {"url": server.url}, "attempts": 20, "backoff_s": 1}
        demo.post("/v1/commands/operations/RequestTask", given)
        waits = eventually(lambda: "postponed" in (row := demo.task("r2")) and row)
        host = server.url.removeprefix("http://")
        assert re.fullmatch(rf"{host} failed \d times in a row and is not asked for now", waits["error"])
        assert waits["status"] in ("WAITING", "CLAIMED")
        status[0] = 200
        # what fails for one tenant rests for that one
        acme.request("r3", {"url": server.url}, kind="http.request")
        assert "postponed" not in acme.ended("r3")
        assert demo.ended("r2")["status"] == "COMPLETED"
        metrics = demo.client.get("/metrics").text
    assert re.search(r'factline_outside_calls_total{outcome="failed",purpose="tasks"} [1-9]', metrics)


def test_tool_is_executed_by_a_handler_that_ships_for_its_caller_and_for_a_workflow(
    tenants: tuple[Tenant, Tenant],
) -> None:
    demo, _ = tenants

    def send(command: str, **body: Any) -> None:
        demo.post(f"/v1/commands/automation/{command}", body)

    def ended(path: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            [row] = demo.get(path) or [{}]
            return row if "ended_at" in row else None

        row: dict[str, Any] = eventually(found)
        return row

    with web_server(lambda sent: (200, {}, b"all is well" if sent.path == "/health" else b"")) as server:
        schema = {"properties": {"contains": {"type": "string"}}, "required": ["contains"]}
        fixed = {"url": f"{server.url}/health"}
        send("RegisterTool", tool_id="look", name="Look", kind="http.check", parameters=schema, fixed=fixed)
        send("ExecuteTool", tool_id="look", execution_id="x1", parameters={"contains": "well"})
        direct = ended("/v1/tool_executions/x1")
        node = {"id": "see", "type": "tool", "tool": "look", "input": "{'contains': input.text}"}
        send("CreateWorkflow", workflow_id="w", name="W")
        send("PublishWorkflow", workflow_id="w", nodes=[node])
        send("ExecuteWorkflow", execution_id="e1", workflow_id="w", input={"text": "ill"})
        through = ended("/v1/executions/e1")
    assert (direct["status"], json.loads(direct["output"])["ok"]) == ("COMPLETED", True)
    assert json.loads(through["output"])["see"]["error"] == "'ill' is not in the first 1024 KiB of the answer"
    [of_node] = eventually(lambda: demo.get("/v1/tool_executions?parent=e1~see~1&status=COMPLETED"))
    assert (of_node["tool_id"], of_node["started_by"]) == ("look", "workflow_node")
    assert [row["last_status"] for row in demo.get("/v1/tools?status=ACTIVE")] == ["COMPLETED"]


def says(*, text: str = "", calls: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return what a model answers that speaks as OpenAI does."""
    called = [
        {"index": at, "id": f"c{at}", "function": {"name": call["name"], "arguments": json.dumps(call["given"])}}
        for at, call in enumerate(calls)
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return sse(
        {"choices": [{"delta": {"content": text, "tool_calls": called}}]},
        {"choices": [{"delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]},
        {"choices": [], "usage": usage},
    ) + (b"data: [DONE]\n\n")


def test_agent_asks_a_model_uses_a_tool_and_waits_for_a_person(tenants: tuple[Tenant, Tenant]) -> None:
    demo, acme = tenants
    answers = [
        says(text="I count.", calls=[{"name": "double", "given": {"n": 21}}, {"name": "halve", "given": {"n": 84}}]),
        says(text="Both are 42."),
    ]

    def do(command: str, **body: Any) -> None:
        demo.post(f"/v1/commands/automation/{command}", body)

    with web_server(lambda _: (200, {}, answers.pop(0))) as server:
        key = {"key_id": "mine", "provider": "openai", "kinds": ["chat.complete"], "secret": SECRET}
        demo.post("/v1/secrets", {**key, "base_url": server.url})
        do("RegisterModel", model_id="small", name="Small", provider_key="mine", model="m-2")
        number = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        do("RegisterTool", tool_id="double", name="Double", kind="counts", parameters=number)
        do("RegisterTool", tool_id="halve", name="Halve", kind="counts", parameters=number, fixed={"by": 2})
        do("SetPolicy", policy_id="careful", name="Careful", rules=[{"tools": ["double"], "decision": "allow"}])
        parts = {"model_id": "small", "tools": ["double", "halve"], "policy_id": "careful"}
        do("CreateAgent", agent_id="counter", name="Counter", prompt="Count.", **parts)
        do("ExecuteAgent", execution_id="r1", agent_id="counter", input="What are 2 * 21 and 84 / 2?")
        [waiting] = eventually(lambda: demo.get("/v1/agent_actions?status=PROPOSED"))
        assert (waiting["id"], waiting["tool_id"], waiting["parameters"]) == ("r1~1-2", "halve", '{"n":84}')
        do("ApproveAction", execution_id="r1", action_id=waiting["action_id"])
        [run] = eventually(lambda: demo.get("/v1/agent_executions?status=COMPLETED"))
        asked = [json.loads(sent.body) for sent in server.sent]
    assert (run["output"], run["steps"], run["input_tokens"], run["output_tokens"]) == ("Both are 42.", 2, 20, 4)
    assert [tool["function"]["name"] for tool in asked[0]["tools"]] == ["double", "halve"]
    told = [message["content"] for message in asked[1]["messages"] if message["role"] == "tool"]
    assert told == ['{"n":21}', '{"by":2,"n":84}']
    actions = {"r1~1-1": ("EXECUTED", "policy"), "r1~1-2": ("EXECUTED", "person")}
    eventually(lambda: {row["id"]: (row["status"], row["by"]) for row in demo.get("/v1/agent_actions")} == actions)
    use = {"model": "m-2", "tasks": 2, "input_tokens": 20, "output_tokens": 4}
    eventually(lambda: use in demo.get("/v1/analytics/models"), lambda: str(demo.get("/v1/analytics/models")))
    assert acme.get("/v1/agents") == []


def test_agent_without_a_model_fails_and_says_what_to_do(tenants: tuple[Tenant, Tenant]) -> None:
    _, acme = tenants
    for command, body in {
        "RegisterModel": {"model_id": "none", "name": "None yet", "model": "m-1"},
        "CreateAgent": {"agent_id": "a", "name": "A", "prompt": "Count.", "model_id": "none"},
        "ExecuteAgent": {"execution_id": "r1", "agent_id": "a", "input": "1 + 1"},
    }.items():
        acme.post(f"/v1/commands/automation/{command}", body)
    [run] = eventually(lambda: acme.get("/v1/agent_executions?status=FAILED"))
    assert run["error"].startswith(
        "the model did not answer in step 1: no model is configured: keep a key with `factline provider-keys set"
    )


@contextmanager
def hearing(tenant: Tenant, stream: str, *types: str) -> Iterator[Stream]:
    query = {"types": ",".join(types), "stream": stream}
    with tenant.client.stream("GET", "/v1/live", params=query, headers={"X-API-Key": tenant.key}) as response:
        assert response.is_success
        yield Stream(response).opened()


def keep_key(tenant: Tenant, name: str, server: WebServer) -> None:
    key = {"key_id": name, "provider": "ollama", "kinds": ["chat.complete"], "secret": SECRET}
    tenant.post("/v1/secrets", {**key, "base_url": server.url})


def test_words_of_a_model_are_heard_live_by_its_tenant_while_it_says_them(tenants: tuple[Tenant, Tenant]) -> None:
    demo, acme = tenants
    held, types = Held(OLLAMA, LAST_WORD), ("task.streamed", "task.model.used", "task.completed")
    with (
        web_server(lambda _: (200, {}, held)) as server,
        hearing(demo, "task-c0", *types) as heard,
        hearing(acme, "task-c0", *types) as foreign,
    ):
        keep_key(demo, "live", server)
        given = {"provider_key": "live", "model": "m-1", "messages": [{"role": "user", "content": "Guten Tag?"}]}
        demo.request("c0", given, kind="chat.complete")
        first = heard.next()
        assert (heard.named, first["type"], first["about"]) == ("ephemeral", "task.streamed", ["task-c0"])
        assert first["data"] == {"attempt": 1, "output": {"text": "Schönen ", "at": 0}}
        assert demo.task("c0")["status"] == "CLAIMED"
        held.shown.set()
        assert heard.next()["data"]["output"] == {"text": "Tag", "at": 8}
        # the whole answer is recorded as ever, and comes after its words
        assert [heard.next()["type"] for _ in range(2)] == ["task.model.used", "task.completed"]
        assert json.loads(demo.ended("c0")["output"])["text"] == "Schönen Tag"
        acme.request("c0", 1)
        assert foreign.next()["type"] == "task.completed"


OWN = ("automation:own", "conversations:own", "live:own", "personal:read")


def keyed(tenant: Tenant, name: str, *scopes: str) -> Tenant:
    limits = {"minute": 600_000, "hour": 600_000, "day": 600_000}
    made = tenant.post("/v1/keys", {"name": name, "scopes": scopes, "limits": limits})
    key = Tenant(tenant.client, made["api_key"])
    eventually(lambda: tenant.client.get("/v1/me", headers={"X-API-Key": key.key}).is_success)
    return key


def test_conversation_is_answered_live_to_whose_it_is_and_nobody_else_of_the_tenant(
    tenants: tuple[Tenant, Tenant],
) -> None:
    demo, _ = tenants
    ann, bob = keyed(demo, "ann", *OWN), keyed(demo, "bob", *OWN)
    auditor = keyed(demo, "auditor", "live:read", "conversations:read", "tasks:read")
    held, talk = Held(OLLAMA, LAST_WORD), "/v1/commands/automation"
    with web_server(lambda _: (200, {}, held)) as server:
        keep_key(demo, "talks", server)
        model = {"model_id": "talks", "name": "Talks", "model": "m-1", "provider_key": "talks"}
        demo.post(f"{talk}/RegisterModel", model)
        demo.post(f"{talk}/CreateAgent", {"agent_id": "polite", "name": "P", "prompt": "Greet.", "model_id": "talks"})
        began = {"conversation_id": "c1", "agent_id": "polite", "title": "Good manners"}
        ann.post(f"{talk}/StartConversation", began)
        eventually(lambda: ann.get("/v1/conversations?q=manners"))
        refused_to(bob, "c1")
        types = ("task.streamed", "conversation.typing", "conversation.answered")
        with hearing(ann, "conversation-c1", *types) as heard, hearing(auditor, "conversation-c1", *types) as other:
            ann.post("/v1/conversations/c1/typing", None)
            assert [stream.next()["type"] for stream in (heard, other)] == ["conversation.typing"] * 2
            ann.post(f"{talk}/AddMessage", {"conversation_id": "c1", "text": "Guten Tag?"})
            words = heard.next()
            assert words["data"]["output"] == {"text": "Schönen ", "at": 0}
            assert [about.partition("-")[0] for about in words["about"]] == ["task", "agent_execution", "conversation"]
            [asked] = ann.get("/v1/conversations")
            assert (asked["status"], asked["messages"]) == ("ANSWERING", 1)
            held.shown.set()
            assert heard.next()["data"]["output"] == {"text": "Tag", "at": 8}
            answered = heard.next()
            assert (answered["type"], answered["data"]["text"]) == ("conversation.answered", "Schönen Tag")
            # who may not see personal fields hears no words of them
            assert other.next()["data"]["text"] == "[masked]"
    eventually(lambda: ann.get("/v1/conversations?status=OPEN"))
    said = ann.get("/v1/conversation_messages?conversation_id=c1")
    assert [(one["number"], one["said_by"], one["text"]) for one in said] == [
        (1, "person", "Guten Tag?"),
        (2, "agent", "Schönen Tag"),
    ]
    assert [one["text"] for one in auditor.get("/v1/conversation_messages")] == ["[masked]"] * 2


def refused_to(other: Tenant, conversation_id: str) -> None:
    headers = {"X-API-Key": other.key}
    assert other.get("/v1/conversations") == []
    assert other.client.get(f"/v1/conversations/{conversation_id}", headers=headers).status_code == 404
    live = f"/v1/live?stream=conversation-{conversation_id}"
    assert other.client.get(live, headers=headers).status_code == 403
    assert other.client.post(f"/v1/conversations/{conversation_id}/typing", headers=headers).status_code == 404
    said = {"conversation_id": conversation_id, "text": "Me too."}
    assert other.client.post("/v1/commands/automation/AddMessage", json=said, headers=headers).status_code == 403


class Kept:
    """A tenant whose view of tasks says what a test wants."""

    def __init__(self) -> None:
        self.has_task = True
        self.status = "ACTIVE"

    def find(self, *_: Any, **__: Any) -> list[object]:
        return [object()] if self.has_task else []

    def tenants(self) -> dict[str, str]:
        return {"demo": self.status}

    def quota_of(self, _: TenantId) -> Quota:
        return Quota(events_per_day=5, requests=RateLimits(1, 1, 1))


@pytest.mark.parametrize("left", [{"has_task": False}, {"status": "SUSPENDED"}])
def test_tenant_without_tasks_is_worked_for_again_when_it_has_some(
    monkeypatch: pytest.MonkeyPatch, left: dict[str, Any]
) -> None:
    monkeypatch.setattr(own_worker, "_LOOK_S", 0.01)
    monkeypatch.setattr(own_worker, "_IDLE_S", 0.1)
    claims = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        claims.append(scope[OWN_CALLER])
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"rows": []}'})

    async def come(what: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not what():  # noqa: ASYNC110 - nothing says when
                await asyncio.sleep(0.01)

    async def as_it_goes() -> None:
        kept: Any = Kept()
        own = OwnWorkers(app, Shipped(["twice"], lambda: lambda _: {"twice": twice}, Outside("none")), kept, kept)
        async with working(own):
            await come(lambda: len(claims) > 3)
            vars(kept).update(left)
            await come(lambda: not own.at_work)
            before = len(claims)
            await asyncio.sleep(0.1)
            assert len(claims) == before
            kept.has_task, kept.status = True, "ACTIVE"
            await come(lambda: len(claims) > before)
        assert not own.at_work

    asyncio.run(as_it_goes())
    # what it records counts, how often it asks does not
    assert {(caller.tenant_id, caller.quota) for caller in claims} == {("demo", Quota(events_per_day=5))}
