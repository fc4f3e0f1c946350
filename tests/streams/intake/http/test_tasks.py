"""Workers claim tasks over HTTP, and answer for the attempt that they have."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from read_api.edge.auth import Caller, Unauthenticated
from schemas.envelope import Topic
from streams.intake.http import claims
from tests.streams.intake.http.ways_in import CALLERS, WaysIn, refused


def request_tasks(way: WaysIn, *names: str, kind: str = "http.check", **more: Any) -> None:
    for name in names:
        task = {"task_id": name, "kind": kind, "input": {"url": name}, **more}
        assert way.command("operations.RequestTask", task).status_code == 200


def claim(way: WaysIn, *kinds: str, worker: str = "w1", **more: Any) -> list[dict[str, Any]]:
    answer = way.post("/v1/tasks/claim", {"kinds": kinds or ["http.check"], "worker": worker, **more}, key="worker")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


def types(way: WaysIn) -> Sequence[str]:
    return [event.type for event in way.entries(Topic.EVENTS)][1:]


def test_task_goes_to_the_worker_that_claims_it_and_is_answered_by_it(way: WaysIn) -> None:
    request_tasks(way, "a", heartbeat_s=30)
    [given] = claim(way)
    assert given == {
        "task_id": "a",
        "tenant_id": "demo",
        "kind": "http.check",
        "input": {"url": "a"},
        "attempt": 1,
        "timeout_s": 300,
        "heartbeat_s": 30,
    }
    assert way.post("/v1/tasks/a/heartbeat", {"attempt": 1}, key="worker").status_code == 200
    done = way.post("/v1/tasks/a/complete", {"attempt": 1, "output": {"ok": True}}, key="worker")
    assert done.json()["events"][0]["type"] == "task.completed"
    again = way.post("/v1/tasks/a/complete", {"attempt": 1, "output": {"ok": True}}, key="worker")
    assert (again.status_code, again.json()["events"]) == (200, [])
    late = way.post("/v1/tasks/a/fail", {"attempt": 1, "error": "late"}, key="worker")
    assert refused(late, 409)["detail"] == "task a is COMPLETED in attempt 1; stop the work on attempt 1"
    kinds = [type_ for type_ in types(way) if type_.startswith("task.")]
    assert kinds == ["task.requested", "task.claimed", "task.heartbeat", "task.completed"]


def test_claim_takes_what_waits_longest_of_the_kinds_that_it_names(way: WaysIn) -> None:
    request_tasks(way, "b", "a")
    request_tasks(way, "c", kind="chat.complete")
    request_tasks(way, "d", kind="notify.email")
    assert [row["task_id"] for row in claim(way, "chat.complete", "http.check", max=10)] == ["b", "a", "c"]
    assert claim(way, "chat.complete", "http.check", max=10) == []


def test_of_many_workers_each_task_goes_to_one(way: WaysIn) -> None:
    names = [f"t{n:02}" for n in range(30)]
    request_tasks(way, *names)
    with ThreadPoolExecutor(6) as workers:
        taken = list(workers.map(lambda n: claim(way, worker=f"w{n}", max=5, wait_s=5), range(6)))
    assert sorted(row["task_id"] for rows in taken for row in rows) == names


def test_claim_waits_for_a_task(way: WaysIn) -> None:
    with ThreadPoolExecutor(1) as workers:
        waiting = workers.submit(claim, way, wait_s=20)
        request_tasks(way, "late")
        assert [row["task_id"] for row in waiting.result()] == ["late"]


def test_claim_that_waits_ends_when_its_key_is_revoked(way: WaysIn) -> None:
    asked: list[str | None] = []

    async def identify(shown: str | None) -> Caller:
        asked.append(shown)
        if len(asked) > 2:
            raise Unauthenticated("the api key is not valid")
        return CALLERS["worker"]

    way.app.state.identify = identify
    claim = {"kinds": ["http.check"], "worker": "w", "wait_s": 60}
    refused(way.post("/v1/tasks/claim", claim), 401)


def test_task_that_failed_comes_again_with_its_next_attempt(way: WaysIn) -> None:
    request_tasks(way, "a", backoff_s=0)
    claim(way)
    assert way.post("/v1/tasks/a/fail", {"attempt": 1, "error": "no"}, key="worker").status_code == 200
    [again] = claim(way, wait_s=5)
    assert again["attempt"] == 2
    refused(way.post("/v1/tasks/a/complete", {"attempt": 1}, key="worker"), 409)


def test_task_that_waits_for_its_next_attempt_is_not_given(way: WaysIn) -> None:
    request_tasks(way, "a", backoff_s=3_600)
    claim(way)
    way.post("/v1/tasks/a/fail", {"attempt": 1, "error": "no"}, key="worker")
    assert claim(way) == []


def test_tenant_claims_its_own_tasks_only(way: WaysIn) -> None:
    request_tasks(way, "a")
    theirs = way.post("/v1/tasks/claim", {"kinds": ["http.check"], "worker": "w"}, key="acme")
    assert theirs.json()["rows"] == []


def test_each_tenant_has_its_share_of_waiting_claims(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MAX_WAITING_OF_TENANT", 0)
    full = way.post("/v1/tasks/claim", {"kinds": ["http.check"], "worker": "w"})
    assert refused(full, 429)["detail"] == "0 claims of this tenant wait already"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("claim", {"kinds": [], "worker": "w"}, 422),
        ("claim", {"kinds": ["Not A Kind"], "worker": "w"}, 422),
        ("claim", {"kinds": ["a"], "worker": "w", "max": 101}, 422),
        ("a/complete", {"output": 1}, 422),
        ("a/complete", [1], 400),
        ("a/fail", {"attempt": 1, "error": "x", "more": 1}, 422),
        ("nope/heartbeat", {"attempt": 1}, 404),
    ],
)
def test_what_is_no_claim_or_answer_is_refused(way: WaysIn, path: str, body: Any, status: int) -> None:
    refused(way.post(f"/v1/tasks/{path}", body, key="worker"), status)


def test_worker_needs_the_scope_of_tasks_and_can_do_nothing_else_with_it(way: WaysIn) -> None:
    refused(way.post("/v1/tasks/claim", {"kinds": ["a"], "worker": "w"}, key="fleet"), 403)
    refused(way.post("/v1/tasks/a/complete", {"attempt": 1}, key="fleet"), 403)
    refused(way.command("operations.RequestTask", {"task_id": "a", "kind": "a"}, key="worker"), 403)
