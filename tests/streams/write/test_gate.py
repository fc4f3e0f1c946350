import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import TenantId, Topic
from streams.intake.http.telemetry import Parsed, TelemetryGate
from streams.ports import FactSubmission, LogFull, LogUnavailable, OutcomeUnknown, Overloaded, Reply, Submission
from streams.write import gate as command_gate
from streams.write.gate import CommandGate
from streams.write.writer import Writer
from tests.examples.fleet import LOG
from tests.examples.moments import HAPPENED_AT
from tests.streams.kit import TESTER, accepted, register, register_tenant, tag
from tests.streams.write.saga import HOUR, RESTING, World
from tests.waiting import eventually

DEMO = TenantId("demo")


class Slow:
    """A writer that waits until it is let go, and can fail."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.go = threading.Event()
        self.failure: Exception | None = None
        self.batches: list[int] = []

    def write(self, submissions: Sequence[Submission]) -> list[Reply]:
        assert self.go.wait(10)
        self.batches.append(len(submissions))
        if self.failure:
            raise self.failure
        return self._writer.write(submissions)


@pytest.fixture
def slow(writer: Writer) -> Slow:
    return Slow(writer)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def gate(slow: Slow, executor: ThreadPoolExecutor) -> Callable[..., CommandGate]:
    return lambda **bounds: CommandGate(slow, executor, **bounds)  # type: ignore[arg-type]


async def _waiting(*calls: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Start calls and let each of them get as far as it can."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0.02)
    return tasks


def test_commands_that_wait_are_written_together(slow: Slow, gate: Callable[..., CommandGate]) -> None:
    async def scenario() -> None:
        tasks = await _waiting(*(gate_.execute(register(f"web-{n}")) for n in range(100)))
        slow.go.set()
        assert all(accepted(reply) for reply in await asyncio.gather(*tasks))

    gate_ = gate()
    asyncio.run(scenario())
    assert slow.batches in ([1, 99], [100])


def test_batches_are_bounded(slow: Slow, gate: Callable[..., CommandGate]) -> None:
    async def scenario() -> None:
        gate_ = gate()
        tasks = await _waiting(*(gate_.execute(register(f"web-{n}")) for n in range(1_100)))
        slow.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert max(slow.batches) == command_gate.MAX_BATCH
    assert sum(slow.batches) == 1_100


def test_full_queue_refuses_one_more_and_loses_none(slow: Slow, gate: Callable[..., CommandGate]) -> None:
    async def scenario() -> None:
        gate_ = gate(max_waiting=3)
        # the first is being written, three wait
        tasks = await _waiting(gate_.execute(register("web-0")))
        tasks += await _waiting(*(gate_.execute(register(f"web-{n}")) for n in range(1, 4)))
        with pytest.raises(Overloaded) as overloaded:
            await gate_.execute(register("web-4"))
        assert overloaded.value.retry_after_s >= 1
        slow.go.set()
        assert all(accepted(reply) for reply in await asyncio.gather(*tasks))
        assert accepted(await gate_.execute(register("web-4")))

    asyncio.run(scenario())


def test_command_of_a_caller_that_left_is_decided_and_answers_the_retry(
    slow: Slow, gate: Callable[..., CommandGate], log: SqliteEventLog
) -> None:
    async def scenario() -> Reply:
        gate_ = gate()
        [leaving] = await _waiting(gate_.execute(register("web-1", id_="once")))
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        slow.go.set()
        return await gate_.execute(register("web-1", id_="once"))

    before = log.end(Topic.EVENTS, 0)
    reply = asyncio.run(scenario())
    assert accepted(reply)
    assert reply.repeated
    assert log.end(Topic.EVENTS, 0) == before + 1


@pytest.mark.parametrize("failure", [LogFull("full"), LogUnavailable("gone"), ValueError("a fault")])
def test_every_caller_of_a_failed_batch_hears_of_it_and_the_next_batch_goes_on(
    slow: Slow, gate: Callable[..., CommandGate], failure: Exception
) -> None:
    async def scenario() -> None:
        gate_ = gate()
        slow.failure = failure
        tasks = await _waiting(*(gate_.execute(register(f"web-{n}", id_=f"c-{n}")) for n in range(5)))
        tasks[3].cancel()
        slow.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for n, error in enumerate(found) if n != 3] == [
            LogFull if isinstance(failure, LogFull) else LogUnavailable
        ] * 4
        slow.failure = None
        assert accepted(await gate_.execute(register("web-1", id_="c-1")))

    asyncio.run(scenario())


def test_drained_gate_has_answered_everything(slow: Slow, gate: Callable[..., CommandGate]) -> None:
    async def scenario() -> None:
        gate_ = gate()
        tasks = await _waiting(gate_.execute(register("web-1")), gate_.execute(tag("web-1", "a")))
        slow.go.set()
        await gate_.drain()
        assert all(task.done() or not task.cancelled() for task in tasks)
        assert all(accepted(reply) for reply in await asyncio.gather(*tasks))

    asyncio.run(scenario())


def test_timers_fire_by_themselves_and_not_after_the_end(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    world = World(tmp_path, RESTING)

    async def scenario() -> None:
        gate = CommandGate(world.writer, executor)
        gate.start()
        await gate.execute(register_tenant("demo"))
        await asyncio.gather(*(gate.execute(register(f"web-{n}")) for n in range(3)))
        world.hands.at += HOUR
        await asyncio.to_thread(eventually, lambda: "device.retired" in world.types("device-web-2"))
        await gate.execute(register("late"))
        await gate.drain()
        world.hands.at += HOUR
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert [world.types(f"device-web-{n}")[-1] for n in range(3)] == ["device.retired"] * 3
    assert world.types("device-late") == ["device.registered"]
    world.log.close()


def test_timers_that_cannot_fire_are_tried_again_and_commands_go_on(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, RESTING)
    world.writer.write([register_tenant("demo"), register("web-1")])
    monkeypatch.setattr(command_gate, "_LOOK_S", 0.01)
    tick, failures = world.writer.tick, [LogUnavailable("full"), LogUnavailable("full")]

    def fails_twice() -> int:
        if failures:
            raise failures.pop()
        return tick()

    monkeypatch.setattr(world.writer, "tick", fails_twice)

    async def scenario() -> None:
        gate = CommandGate(world.writer, executor)
        world.hands.at += HOUR
        gate.start()
        assert accepted(await gate.execute(register("web-2")))
        await asyncio.to_thread(eventually, lambda: "device.retired" in world.types("device-web-1"))
        await gate.drain()

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert world.types("resting-web-1").count("timer.fired") == 1
    world.log.close()


# --- telemetry -------------------------------------------------------------------------------------------------------


def _parse(body: bytes) -> Parsed:
    return Parsed([FactSubmission("web-1", HAPPENED_AT, LOG, body[:40].decode())], [])


def test_bodies_that_wait_for_the_log_are_bounded(log: SqliteEventLog, executor: ThreadPoolExecutor) -> None:
    go = threading.Event()

    async def scenario() -> None:
        gate = TelemetryGate(log, executor, max_waiting_bytes=100)
        executor.submit(go.wait, 10)
        tasks = await _waiting(*(gate.take(DEMO, str(n).encode() * 40, _parse, TESTER) for n in range(2)))
        with pytest.raises(Overloaded):
            await gate.take(DEMO, b"x" * 40, _parse, TESTER)
        go.set()
        assert [reply.accepted for reply, _ in await asyncio.gather(*tasks)] == [1, 1]
        reply, _ = await gate.take(DEMO, b"x" * 40, _parse, TESTER)
        assert reply.accepted == 1

    asyncio.run(scenario())
    assert log.end(Topic.TELEMETRY, 0) == 3


def test_body_larger_than_the_bound_is_taken_when_nothing_waits(
    log: SqliteEventLog, executor: ThreadPoolExecutor
) -> None:
    gate = TelemetryGate(log, executor, max_waiting_bytes=10)
    reply, _ = asyncio.run(gate.take(DEMO, b"x" * 40, _parse, TESTER))
    assert reply.accepted == 1


def test_facts_of_a_caller_that_left_give_their_bytes_back(log: SqliteEventLog, executor: ThreadPoolExecutor) -> None:
    go = threading.Event()

    async def scenario() -> None:
        gate = TelemetryGate(log, executor, max_waiting_bytes=50)
        executor.submit(go.wait, 10)
        [leaving] = await _waiting(gate.take(DEMO, b"a" * 40, _parse, TESTER))
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        go.set()
        reply, _ = await gate.take(DEMO, b"b" * 40, _parse, TESTER)
        assert reply.accepted == 1

    asyncio.run(scenario())


def test_requests_that_wait_for_the_log_are_bounded_however_small_they_are(
    log: SqliteEventLog, executor: ThreadPoolExecutor
) -> None:
    go = threading.Event()

    async def scenario() -> None:
        gate = TelemetryGate(log, executor, max_waiting=1)
        executor.submit(go.wait, 10)
        tasks = await _waiting(gate.take(DEMO, b"", _parse, TESTER))
        with pytest.raises(Overloaded):
            await gate.take(DEMO, b"", _parse, TESTER)
        go.set()
        await asyncio.gather(*tasks)
        await gate.take(DEMO, b"", _parse, TESTER)

    asyncio.run(scenario())


def test_facts_that_had_no_turn_in_time_are_answered_and_not_taken_later(
    log: SqliteEventLog, executor: ThreadPoolExecutor
) -> None:
    go = threading.Event()

    async def scenario() -> None:
        gate = TelemetryGate(log, executor, timeout_s=0.05)
        executor.submit(go.wait, 10)
        with pytest.raises(OutcomeUnknown, match="again"):
            await gate.take(DEMO, b"late", _parse, TESTER)
        assert not gate.busy()
        go.set()

    asyncio.run(scenario())
    executor.submit(lambda: None).result()
    assert log.end(Topic.TELEMETRY, 0) == 0
