"""In the embedded profile commands wait in this bounded queue, and the writer gets all that waits at once."""

import asyncio
from collections import deque
from concurrent.futures import Executor
from typing import NamedTuple

from streams.ports import LogDamaged, LogUnavailable, Overloaded, Reply, Submission
from streams.write.writer import Writer

MAX_WAITING = 10_000
"""Commands that may wait; one more is answered 503, because memory is not a queue."""

MAX_BATCH = 500
"""Commands decided in one transaction: beyond this the commit's cost no longer shows."""


class _Waiting(NamedTuple):
    submission: Submission
    answer: "asyncio.Future[Reply]"


class CommandGate:
    """Collects the commands of many callers into batches for the one writer.

    Belongs to one event loop. `executor` must have one thread, which is then the only one that writes.
    """

    def __init__(self, writer: Writer, executor: Executor, *, max_waiting: int = MAX_WAITING) -> None:
        self._writer = writer
        self._executor = executor
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def execute(self, submission: Submission) -> Reply:
        """Return the reply once it is durable.

        Raises: Overloaded, nothing was taken; LogUnavailable, nothing was kept: both safe to retry under the same id.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append(_Waiting(submission, answer))
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        # a caller that leaves cancels its answer, not the command: a retry under the same id gets that answer
        return await answer

    async def drain(self) -> None:
        """Wait until nothing is queued or being written."""
        while self._writing is not None:
            await asyncio.shield(self._writing)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                try:
                    replies = await loop.run_in_executor(
                        self._executor, self._writer.write, [waiting.submission for waiting in batch]
                    )
                except Exception as error:  # noqa: BLE001 - every caller of the batch must hear of it
                    _fail(batch, error)
                else:
                    for waiting, reply in zip(batch, replies, strict=True):
                        if not waiting.answer.done():
                            waiting.answer.set_result(reply)
        finally:
            self._writing = None


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(
                error if isinstance(error, LogUnavailable | LogDamaged) else LogUnavailable(str(error))
            )
            waiting.answer.exception()  # seen: a caller that left must not make asyncio complain
