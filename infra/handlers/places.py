"""Handlers get their places here: what goes to webhook endpoints has its own, and holds nothing else up."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from domain.integration.processes import MAX_ENDPOINTS
from infra.handlers.kinds import DELIVER

if TYPE_CHECKING:
    from factline.worker import Worker
    from infra.handlers.web import Handler

DELIVERIES = MAX_ENDPOINTS
"""An endpoint has one delivery at a time, so each has a place by itself: a slow one holds no other endpoint up."""

WorkerOf = Callable[[Mapping[str, "Handler"], int], "Worker"]
"""Gives a worker with these handlers, which does so many tasks at a time."""


def workers_of(handlers: "Mapping[str, Handler]", concurrency: int, worker_of: WorkerOf) -> "Sequence[Worker]":
    """Return the workers of one tenant: for deliveries, and for all else with so many places."""
    deliveries = {kind: handler for kind, handler in handlers.items() if kind == DELIVER}
    others = {kind: handler for kind, handler in handlers.items() if kind != DELIVER}
    groups = ((deliveries, DELIVERIES), (others, concurrency))
    return [worker_of(of, places) for of, places in groups if of]


async def work(workers: "Sequence[Worker]") -> None:
    """Work until all are stopped. Raises: what the first one raises, which stops the others."""

    async def one(worker: "Worker") -> None:
        try:
            await worker.work()
        finally:
            stop(workers)

    ended = await asyncio.gather(*(one(worker) for worker in workers), return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error


def stop(workers: "Sequence[Worker]") -> None:
    for worker in workers:
        worker.stop()
