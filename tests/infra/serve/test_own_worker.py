"""The embedded server does tasks itself, for each tenant that has some, and shows them as a worker's."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from factline.worker import Failed, Task
from infra.embedded import Embedded
from infra.handlers.chat import chat_complete
from infra.serve import own_worker
from infra.serve.embedded import create_app
from infra.serve.own_worker import NAME, OwnWorkers, Shipped, working
from projections.credentials import Quota, RateLimits
from read_api.edge.asking import OWN_CALLER
from schemas.envelope import TenantId
from tests.infra.handlers.kit import LOCAL
from tests.infra.handlers.test_chat import OLLAMA
from tests.infra.handlers.web_server import web_server
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

SECRET = "hush-hush-hush-hush-hush"


async def twice(task: Task) -> int:
    if task.input == "bad":
        raise Failed("that is no number", retryable=False)
    return int(task.input) * 2


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
    shipped = {"twice": twice, "chat.complete": chat_complete(LOCAL), "script.javascript": at_once}
    with Embedded.open(folder) as embedded:
        demo = str(embedded.first_start())
        operator = (folder / "operator.key").read_text().strip()
        app = create_app(
            embedded, host_metrics=False, usual_limits=RateLimits(), shipped=Shipped(list(shipped), lambda: shipped)
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
        own = OwnWorkers(app, Shipped(["twice"], lambda: {"twice": twice}), kept, kept)
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
