"""Claims that come together are decided together: each task is given once, and who came first is served first."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from domain.operations.task import ClaimTask
from projections.readers import DocumentsReader
from projections.rows import Document
from read_api.edge.auth import Caller
from schemas.envelope import StreamId, TenantId
from streams.intake.http import claims as claims_module
from streams.intake.http.claims import Claims, Wanted
from streams.intake.http.commands import BatchGate
from streams.ports import LogUnavailable, Reply, Submission

ACME = Caller(TenantId("acme"), "worker", ("*",))


class View:
    """A view of tasks that does not know yet what was claimed."""

    def __init__(self, *ids: str) -> None:
        self._documents = [
            Document(
                TenantId("acme"),
                id_,
                1,
                {"kind": "a", "ready_at": f"2026-01-01T00:00:{n:02}Z", "attempt": 0, "input": "1", "timeout_s": 1},
            )
            for n, id_ in enumerate(ids)
        ]

    def find(self, *_: Any, filters: Any, after: tuple[str, str] | None, limit: int, **__: Any) -> Sequence[Document]:
        found = [
            one
            for one in self._documents
            if one.fields["kind"] == filters["kind"] and (not after or (one.fields["ready_at"], one.id) > after)
        ]
        return found[:limit]


class Gate:
    """Says yes to every claim, once it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def execute_many(self, given: Sequence[Submission]) -> Sequence[Reply]:
        claimed = [cast("ClaimTask", one.command).task_id for one in given]
        self.batches.append(claimed)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return [Reply(one.command_id, "accepted", StreamId("task-x"), 2) for one in given]


def claims_of(gate: Gate, *tasks: str) -> Claims:
    return Claims(cast("BatchGate", gate), cast("DocumentsReader", View(*tasks)))


async def never() -> bool:
    return False


def asking(claims: Claims, worker: str, **more: Any) -> "asyncio.Task[Sequence[dict[str, Any]]]":
    return asyncio.create_task(claims.claim(ACME, Wanted(kinds=("a",), worker=worker, **more), never))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0.01)


def ids(given: "asyncio.Task[Sequence[dict[str, Any]]]") -> list[str]:
    return [row["task_id"] for row in given.result()]


def test_claims_that_wait_for_one_are_decided_together_after_it() -> None:
    async def scenario() -> None:
        gate = Gate()
        claims = claims_of(gate, "t0", "t1", "t2", "t3", "t4", "t5")
        first = asking(claims, "w0")
        await settled()
        others = [asking(claims, f"w{n}", max=n) for n in (1, 2, 3)]
        await settled()
        gate.go.set()
        await asyncio.gather(first, *others)
        assert gate.batches == [["t0"], ["t1", "t2", "t3", "t4", "t5"]]
        assert [ids(one) for one in (first, *others)] == [["t0"], ["t1"], ["t2", "t3"], ["t4", "t5"]]

    asyncio.run(scenario())


def test_claim_of_a_worker_that_is_gone_takes_nothing_that_comes_while_it_pauses() -> None:
    async def gone() -> bool:
        return True

    async def scenario() -> None:
        gate = Gate()
        gate.go.set()
        assert await claims_of(gate).claim(ACME, Wanted(kinds=("a",), worker="w", wait_s=5), gone) == ()
        assert gate.batches == []

    asyncio.run(scenario())


def test_claim_that_is_given_up_while_it_waits_takes_nothing() -> None:
    async def scenario() -> None:
        gate = Gate()
        claims = claims_of(gate, "t0", "t1")
        first = asking(claims, "w0")
        await settled()
        gone, last = asking(claims, "w1"), asking(claims, "w2")
        await settled()
        gone.cancel()
        gate.go.set()
        assert ids(await _done(first)) == ["t0"]
        assert ids(await _done(last)) == ["t1"]

    asyncio.run(scenario())


def test_all_who_asked_together_are_told_of_a_failure_and_the_next_are_served() -> None:
    async def scenario() -> None:
        gate = Gate()
        claims = claims_of(gate, "t0", "t1")
        gate.error = LogUnavailable("the disk is full")
        asked = [asking(claims, "w0"), asking(claims, "w1")]
        gate.go.set()
        assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [LogUnavailable] * 2
        gate.error = None
        assert ids(await _done(asking(claims, "w0"))) == ["t0"]

    asyncio.run(scenario())


def test_more_than_the_writer_decides_at_once_waits_for_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "_TOGETHER", 3)

    async def scenario() -> None:
        gate = Gate()
        gate.go.set()
        claims = claims_of(gate, *(f"t{n}" for n in range(6)))
        asked = [asking(claims, f"w{n}", max=2) for n in range(3)]
        await asyncio.gather(*asked)
        assert gate.batches == [["t0", "t1"], ["t2", "t3"], ["t4", "t5"]]

    asyncio.run(scenario())


async def _done(one: "asyncio.Task[Sequence[dict[str, Any]]]") -> "asyncio.Task[Sequence[dict[str, Any]]]":
    await asyncio.wait([one], timeout=5)
    return one
