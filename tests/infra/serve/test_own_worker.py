"""The embedded server does tasks itself, for each tenant that has some, and shows them as a worker's."""

from pathlib import Path
from typing import Any

import httpx

from factline.worker import Failed, Task
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from infra.serve.own_worker import NAME
from projections.credentials import RateLimits
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually


async def twice(task: Task) -> int:
    if task.input == "bad":
        raise Failed("that is no number", retryable=False)
    return int(task.input) * 2


def request(client: httpx.Client, key: str, task_id: str, input_: Any, kind: str = "twice") -> None:
    body = {"task_id": task_id, "kind": kind, "input": input_}
    answer = client.post("/v1/commands/operations/RequestTask", json=body, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text


def task_of(client: httpx.Client, key: str, task_id: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = client.get(f"/v1/tasks/{task_id}", headers={"X-API-Key": key}).json()["rows"]
    return rows[0] if rows else {}


def test_server_does_the_tasks_of_its_kinds_for_every_tenant(tmp_path: Path) -> None:
    with Embedded.open(tmp_path) as embedded:
        demo = str(embedded.first_start())
        operator = (tmp_path / "operator.key").read_text().strip()
        with served(
            create_app(embedded, host_metrics=False, usual_limits=RateLimits(), shipped={"twice": twice})
        ) as client:
            made = client.post(
                "/v1/tenants", json={"tenant_id": "acme", "name": "Acme"}, headers={"X-API-Key": operator}
            )
            acme = made.json()["api_key"]
            request(client, demo, "t1", 21)
            request(client, acme, "t2", 4)
            request(client, demo, "t3", "bad")
            request(client, demo, "t4", 1, kind="somebody.elses")

            def found() -> list[Any]:
                return [task_of(client, *of).get("status") for of in ((demo, "t1"), (acme, "t2"), (demo, "t3"))]

            eventually(lambda: found() == ["COMPLETED", "COMPLETED", "FAILED"], lambda: str(found()))
            done = task_of(client, demo, "t1")
            assert (done["output"], done["worker"]) == ("42", NAME)
            assert task_of(client, demo, "t3")["error"] == "that is no number"
            assert task_of(client, demo, "t4")["status"] == "WAITING"
            # who did it is the server, not a key
            rows = client.get("/v1/audit/streams/task-t1", headers={"X-API-Key": demo}).json()["rows"]
            assert ("task.claimed", "system", NAME) in [
                (row["type"], row["actor"]["type"], row["actor"]["id"]) for row in rows
            ]
