"""A worker shows parts of an output while it has the claim of a task, and nobody else does."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.limits.memory import MemoryRateLimiter
from read_api.edge import ephemeral
from read_api.edge.ephemeral import MOST_BYTES, STREAMED, Ephemeral, Hearing
from schemas.envelope import TenantId, Topic
from streams.intake.http import streaming
from tests.streams.intake.http.test_tasks import claim, request_tasks
from tests.streams.intake.http.ways_in import WaysIn, refused, ways_in


class Heard(Hearing):
    """All that a tenant would hear."""

    def __init__(self) -> None:
        self.messages: list[Ephemeral] = []

    def put(self, message: Ephemeral) -> None:
        self.messages.append(message)


def hear(way: WaysIn, tenant: str) -> list[Ephemeral]:
    heard = Heard()
    way.ephemerals.listen(TenantId(tenant), heard)
    return heard.messages


def show(way: WaysIn, task_id: str, attempt: Any = 1, output: Any = "a", *, key: str = "worker") -> httpx.Response:
    return way.post(f"/v1/tasks/{task_id}/stream", {"attempt": attempt, "output": output}, key=key)


def test_part_is_heard_by_the_tenant_and_not_recorded(way: WaysIn) -> None:
    request_tasks(way, "a")
    claim(way)
    demo, acme = hear(way, "demo"), hear(way, "acme")
    before = len(way.entries(Topic.EVENTS))
    answer = show(way, "a", output={"text": "It is ", "at": 0})
    assert (answer.status_code, answer.json()) == (200, {"about": ["task-a"]})
    [message] = demo
    assert (message.type, message.streams, message.resource) == (STREAMED, ("task-a",), "tasks")
    assert message.data == {"attempt": 1, "output": {"text": "It is ", "at": 0}}
    assert acme == []
    assert len(way.entries(Topic.EVENTS)) == before


def test_who_has_not_the_claim_is_refused(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PAUSE_S", 0)
    request_tasks(way, "a")
    demo = hear(way, "demo")
    stands = "task a is WAITING in attempt 0; stop the work on attempt 1"
    assert refused(show(way, "a"), 409)["detail"] == stands
    claim(way)
    for attempt in (0, 2):
        refused(show(way, "a", attempt), 409)
    refused(show(way, "b"), 404)
    refused(show(way, "no id"), 422)
    refused(show(way, "a", key="fleet"), 403)
    refused(show(way, "a", key="nobody"), 404)
    refused(show(way, "a", key="acme"), 404)
    way.post("/v1/tasks/a/complete", {"attempt": 1}, key="worker")
    assert refused(show(way, "a"), 409)["detail"] == "task a is COMPLETED in attempt 1; stop the work on attempt 1"
    assert demo == []


def test_claim_that_the_view_does_not_have_yet_is_waited_for(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_TRIES", 200)
    request_tasks(way, "a")
    with ThreadPoolExecutor(1) as workers:
        waiting = workers.submit(show, way, "a")
        claim(way)
        assert waiting.result().status_code == 200


@pytest.mark.parametrize("body", [{"output": 1}, {"attempt": "1", "output": 1}, {"attempt": 1}, {"attempt": 1, "x": 1}])
def test_part_that_is_none_is_refused(way: WaysIn, body: Any) -> None:
    refused(way.post("/v1/tasks/a/stream", body, key="worker"), 422)


def test_part_has_a_bound(way: WaysIn) -> None:
    request_tasks(way, "a")
    claim(way)
    assert show(way, "a", output="x" * (MOST_BYTES - 2)).status_code == 200
    assert "larger than 8 KiB" in refused(show(way, "a", output="x" * MOST_BYTES), 422)["detail"]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path, limiter=MemoryRateLimiter()) as way:
        yield way


def test_messages_of_a_tenant_are_bounded_and_those_of_another_are_not(
    limited: WaysIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ephemeral, "MOST_A_MINUTE", 2)
    request_tasks(limited, "a")
    claim(limited)
    demo = hear(limited, "demo")
    answers = [show(limited, "a") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert len(demo) == 2
    task = {"task_id": "b", "kind": "http.check"}
    limited.command("operations.RequestTask", task, key="acme")
    limited.post("/v1/tasks/claim", {"kinds": ["http.check"], "worker": "w"}, key="acme")
    assert show(limited, "b", key="acme").status_code == 200


def test_parts_are_not_counted_as_requests_of_a_key(limited: WaysIn) -> None:
    request_tasks(limited, "a")
    claim(limited)
    began = time.monotonic()
    # a key that says nothing of its limits may ask 60 times a minute
    assert {show(limited, "a").status_code for _ in range(70)} == {200}
    assert time.monotonic() - began < 60
