"""A worker does the tasks of a real server."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from factline.client import Forbidden
from factline.worker import Failed, Postponed, Task, Worker
from schemas.envelope import Topic
from tests.streams.intake.http.test_streaming import hear
from tests.streams.intake.http.ways_in import WaysIn, ways_in


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path) as way:
        yield way


def worker_of(way: WaysIn, key: str = "worker", **more: Any) -> Worker:
    return Worker(str(way.client.base_url), key, name="w1", wait_s=0.2, **more)


def request_tasks(way: WaysIn, count: int, **more: Any) -> None:
    for n in range(count):
        body = {"task_id": f"t{n}", "kind": "double", "input": n, "backoff_s": 0, **more}
        assert way.command("operations.RequestTask", body).status_code == 200


def ended(way: WaysIn, type_: str) -> list[Mapping[str, Any]]:
    return [event.data for event in way.entries(Topic.EVENTS) if event.type == type_]


async def until(worker: Worker, done: Callable[[], bool]) -> None:
    """Work until something holds, then stop."""
    working = asyncio.create_task(worker.work())
    while not await asyncio.to_thread(done) and not working.done():  # noqa: ASYNC110 - the log has no event to wait for
        await asyncio.sleep(0.02)
    worker.stop()
    await working


def test_worker_does_the_tasks_of_its_kinds_several_at_a_time(way: WaysIn) -> None:
    request_tasks(way, 8)
    worker, at_once = worker_of(way, concurrency=4), [0, 0]

    @worker.task("double")
    async def double(task: Task) -> int:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.05)
        at_once[0] -= 1
        return int(task.input) * 2

    asyncio.run(until(worker, lambda: len(ended(way, "task.completed")) == 8))
    assert sorted(int(data["output"]) for data in ended(way, "task.completed")) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert at_once == [0, 4]


def test_function_that_fails_fails_its_attempt_and_the_next_may_do_it(way: WaysIn) -> None:
    request_tasks(way, 1)
    worker = worker_of(way)

    @worker.task("double")
    def double(task: Task) -> int:
        if task.attempt == 1:
            raise RuntimeError("not yet")
        return 7

    asyncio.run(until(worker, lambda: bool(ended(way, "task.completed"))))
    assert [data["error"] for data in ended(way, "task.failed")] == ["RuntimeError: not yet"]
    assert [data["attempt"] for data in ended(way, "task.completed")] == [2]


def test_failure_that_no_retry_helps_ends_the_task(way: WaysIn) -> None:
    request_tasks(way, 1)
    worker = worker_of(way)

    @worker.task("double")
    async def double(task: Task) -> int:
        raise Failed(f"{task.id} is impossible", retryable=False)

    asyncio.run(until(worker, lambda: bool(ended(way, "task.failed"))))
    [data] = ended(way, "task.failed")
    assert (data["error"], data["retryable"], data["retry_at"]) == ("t0 is impossible", False, None)


def test_attempt_that_was_not_made_is_postponed_and_does_not_count(way: WaysIn) -> None:
    request_tasks(way, 1, attempts=1)
    worker = worker_of(way)

    @worker.task("double")
    async def double(task: Task) -> int:
        if task.attempt == 1:
            raise Postponed("the line is busy", retry_after_s=0.2)
        return 7

    asyncio.run(until(worker, lambda: bool(ended(way, "task.completed"))))
    assert [data["reason"] for data in ended(way, "task.postponed")] == ["the line is busy"]
    assert [data["attempt"] for data in ended(way, "task.completed")] == [2]
    assert not ended(way, "task.failed")


def test_worker_sends_heartbeats_and_stops_what_is_cancelled(way: WaysIn) -> None:
    request_tasks(way, 1, heartbeat_s=1)
    worker, said = worker_of(way), []

    @worker.task("double")
    async def double(task: Task) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            said.append(task.id)
            raise

    def cancelled() -> bool:
        if ended(way, "task.heartbeat") and not ended(way, "task.cancelled"):
            way.command("operations.CancelTask", {"task_id": "t0"})
        return bool(said)

    asyncio.run(until(worker, cancelled))
    assert said == ["t0"]
    assert not ended(way, "task.failed")


def test_worker_that_is_stopped_finishes_what_goes_on_and_gives_back_what_takes_too_long(way: WaysIn) -> None:
    request_tasks(way, 2)
    worker, begun = worker_of(way, stop_s=0.5), []

    @worker.task("double")
    async def double(task: Task) -> int:
        begun.append(task.id)
        await asyncio.sleep(0.1 if task.id == "t0" else 60)
        return 1

    started = time.monotonic()
    asyncio.run(until(worker, lambda: len(begun) == 2))
    assert time.monotonic() - started < 30
    assert len(ended(way, "task.completed")) == 1
    assert [data["error"] for data in ended(way, "task.failed")] == ["the worker was stopped"]


def test_output_that_is_none_fails_its_attempt(way: WaysIn) -> None:
    request_tasks(way, 2, attempts=1)
    worker = worker_of(way)

    @worker.task("double")
    def double(task: Task) -> object:
        return {1} if task.id == "t0" else "x" * 70_000

    asyncio.run(until(worker, lambda: len(ended(way, "task.failed")) == 2))
    no_json, too_large = sorted((data["error"] for data in ended(way, "task.failed")), reverse=True)
    assert no_json == "TypeError: set has no JSON form"
    assert too_large.startswith("Invalid: ")


def test_worker_that_is_stopped_with_all_hands_full_waits_no_longer_than_it_may(way: WaysIn) -> None:
    request_tasks(way, 1)
    worker, begun = worker_of(way, concurrency=1, stop_s=0.2), []

    @worker.task("double")
    async def double(task: Task) -> None:
        begun.append(task.id)
        await asyncio.sleep(60)

    started = time.monotonic()
    asyncio.run(until(worker, lambda: bool(begun)))
    assert time.monotonic() - started < 30
    assert [data["error"] for data in ended(way, "task.failed")] == ["the worker was stopped"]


@pytest.mark.parametrize("in_thread", [True, False])
def test_parts_of_an_output_are_published_in_their_order_before_the_task_is_done(
    way: WaysIn, *, in_thread: bool
) -> None:
    request_tasks(way, 1)
    worker, heard = worker_of(way), hear(way, "demo")

    def publish(task: Task) -> int:
        for n in range(20):
            task.publish({"n": n})
            # neither is taken, and neither is in the way of others
            task.publish({1} if n % 2 else "x" * 10_000)
        return 7

    async def publish_here(task: Task) -> int:
        return publish(task)

    worker.task("double")(publish if in_thread else publish_here)
    asyncio.run(until(worker, lambda: bool(ended(way, "task.completed"))))
    assert [message.data for message in heard] == [{"attempt": 1, "output": {"n": n}} for n in range(20)]
    assert [data["output"] for data in ended(way, "task.completed")] == ["7"]


@pytest.mark.parametrize("status", [404, 409, 429, 503])
def test_parts_that_are_not_taken_harm_no_task(status: int) -> None:
    said: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(request.url.path.rpartition("/")[2])
        return httpx.Response(status if said[-1] == "stream" else 200, json={})

    worker = worker_at(answer)

    @worker.task("double")
    async def double(task: Task) -> int:
        task.publish(1)
        await asyncio.sleep(0.05)
        task.publish(2)
        return 2

    asyncio.run(until(worker, lambda: "complete" in said))
    # one that is refused for good is the last one
    assert said == [*["stream"] * (2 if status in (429, 503) else 1), "complete"]


def worker_at(answer: Callable[[httpx.Request], httpx.Response]) -> Worker:
    """Return a worker of a server that has one task, and answers else as it is told."""
    rows = [{"task_id": "t0", "kind": "double", "attempt": 1, "input": 1, "heartbeat_s": None}]

    async def all_of(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        if request.url.path == "/v1/tasks/claim":
            return httpx.Response(200, json={"rows": [rows.pop()] if rows else []})
        return answer(request)

    return Worker("http://127.0.0.1", "ak_1.sk_1", stop_s=0, transport=httpx.MockTransport(all_of))


def test_answer_is_sent_until_it_is_taken_and_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factline.worker._FIRST_PAUSE_S", 0.01)
    said: list[httpx.Request] = []
    expired = httpx.Response(504, json={"kind": "expired", "detail": "the deadline was over"})
    answers = iter([expired, httpx.Response(503), httpx.Response(200, json={})])

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(request)
        return next(answers)

    worker = worker_at(answer)
    worker.task("double")(lambda task: task.input * 2)
    asyncio.run(until(worker, lambda: len(said) == 3))
    assert {request.url.path for request in said} == {"/v1/tasks/t0/complete"}
    assert {request.headers["Idempotency-Key"] for request in said} == {"t0/1/complete"}


def test_worker_stops_also_where_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factline.worker._LAST_WORD_S", 0.1)
    said = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(request.url.path)
        raise httpx.ConnectError("refused")

    worker = worker_at(answer)
    worker.task("double")(lambda task: task.input * 2)
    started = time.monotonic()
    asyncio.run(until(worker, lambda: bool(said)))
    assert time.monotonic() - started < 30


def test_worker_without_a_function_or_a_right_says_so(way: WaysIn) -> None:
    with pytest.raises(ValueError, match="has no function"):
        asyncio.run(worker_of(way).work())
    refused = worker_of(way, "fleet")
    refused.task("double")(lambda task: task.input)
    with pytest.raises(Forbidden, match="tasks:write") as error:
        asyncio.run(refused.work())
    assert error.value.status == 403
