"""In the embedded profile commands wait in this bounded queue, and the writer gets all that waits at once."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import NamedTuple

from streams.ports import LogDamaged, LogUnavailable, Overloaded, Reply, Submission
from streams.write.writer import Writer

MAX_WAITING = 10_000
"""Commands that may wait; one more is answered 503, because memory is not a queue."""

MAX_BATCH = 500
"""Commands decided in one transaction, or those of one request: beyond this the commit's cost no longer shows."""


_BUSY = 100
"""So many waiting commands are a burst: views let it pass."""


class _Waiting(NamedTuple):
    """Commands of one caller, and where their replies go."""

    submissions: Sequence[Submission]
    answers: "asyncio.Future[Sequence[Reply]]"


class CommandGate:
    """Collects the commands of many callers into batches for the one writer.

    Belongs to one event loop. `executor` must have one thread, which is then the only one that writes.
    """

    def __init__(self, writer: Writer, executor: Executor, *, max_waiting: int = MAX_WAITING) -> None:
        self._writer = writer
        self._executor = executor
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._count = 0
        self._writing: asyncio.Task[None] | None = None

    def busy(self) -> bool:
        """Say if there is more than the writer takes at once; safe to ask from any thread."""
        return self._count > _BUSY

    async def execute(self, submission: Submission) -> Reply:
        """Return the reply once it is durable.

        Raises: Overloaded, nothing was taken; LogUnavailable, nothing was kept: both safe to retry under the same id.
        """
        return (await self.execute_many([submission]))[0]

    async def execute_many(self, submissions: Sequence[Submission]) -> Sequence[Reply]:
        """Return the replies, in order, once all are durable. Raises: as `execute`, for all of them."""
        if self._count + len(submissions) > self._max_waiting:
            raise Overloaded
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[Sequence[Reply]] = loop.create_future()
        self._waiting.append(_Waiting(submissions, answers))
        self._count += len(submissions)
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        # a caller that leaves cancels its answer, not the command: a retry under the same id gets that answer
        return await answers

    async def drain(self) -> None:
        """Wait until nothing is queued or being written."""
        while self._writing is not None:
            await asyncio.shield(self._writing)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._take()
                submissions = [one for waiting in batch for one in waiting.submissions]
                try:
                    replies = iter(await loop.run_in_executor(self._executor, self._writer.write, submissions))
                except Exception as error:  # noqa: BLE001 - every caller of the batch must hear of it
                    _fail(batch, error)
                else:
                    for waiting in batch:
                        own = list(islice(replies, len(waiting.submissions)))
                        if not waiting.answers.done():
                            waiting.answers.set_result(own)
        finally:
            self._writing = None

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        taken = 0
        while self._waiting and taken < MAX_BATCH:
            batch.append(self._waiting.popleft())
            taken += len(batch[-1].submissions)
        self._count -= taken
        return batch


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answers.done():
            waiting.answers.set_exception(
                error if isinstance(error, LogUnavailable | LogDamaged) else LogUnavailable(str(error))
            )
            waiting.answers.exception()  # seen: a caller that left must not make asyncio complain
