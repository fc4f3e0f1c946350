"""In the embedded profile commands wait in this bounded queue, and the writer gets all that waits at once."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import NamedTuple

from streams.ports import LogDamaged, LogUnavailable, Overloaded, Reply, Submission
from streams.write.outcomes import Inquiry
from streams.write.writer import Writer

MAX_WAITING = 10_000
"""Commands that may wait; one more is answered 503, because memory is not a queue."""

MAX_BATCH = 500
"""Commands decided in one transaction, or those of one request: beyond this the commit's cost no longer shows."""


_BUSY = 100
"""So many waiting commands are a burst: views let it pass."""


_LOOK_S = 1.0
"""How long the timers of processes are left alone at most: the clock may be set forward meanwhile."""

_LOG = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """Commands of one caller, and where their replies go."""

    asked: Sequence[Submission | Inquiry]
    answers: "asyncio.Future[Sequence[Reply]]"


class CommandGate:
    """Collects the commands of many callers into batches for the one writer, and wakes it when a timer is due.

    Belongs to one event loop. `executor` must have one thread, which is then the only one that writes.
    """

    def __init__(self, writer: Writer, executor: Executor, *, max_waiting: int = MAX_WAITING) -> None:
        self._writer = writer
        self._executor = executor
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._count = 0
        self._writing: asyncio.Task[None] | None = None
        self._clock_hand: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Let the writer's timers fire from now on, until `drain`."""
        self._look_at_timers()

    def busy(self) -> bool:
        """Say if there is more than the writer takes at once; safe to ask from any thread."""
        return self._count > _BUSY

    async def execute(self, submission: Submission) -> Reply:
        """Return the reply once it is durable.

        Raises: Overloaded, nothing was taken; LogUnavailable, nothing was kept: both safe to retry under the same id.
        """
        return (await self._answered([submission]))[0]

    async def execute_many(self, submissions: Sequence[Submission]) -> Sequence[Reply]:
        """Return the replies, in order, once all are durable. Raises: as `execute`, for all of them."""
        return await self._answered(submissions)

    async def outcome(self, inquiry: Inquiry) -> Reply:
        """Return what `streams.write.outcomes.outcome` says. Raises: as `execute`."""
        return (await self._answered([inquiry]))[0]

    async def _answered(self, asked: Sequence[Submission | Inquiry]) -> Sequence[Reply]:
        if self._count + len(asked) > self._max_waiting:
            raise Overloaded
        answers: asyncio.Future[Sequence[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(asked, answers))
        self._count += len(asked)
        self._wake()
        # a caller that leaves cancels its answer, not the command: a retry under the same id gets that answer
        return await answers

    async def drain(self) -> None:
        """Wait until nothing is queued or being written; timers do not fire any more."""
        if self._clock_hand is not None:
            self._clock_hand.cancel()
            self._clock_hand = None
        while self._writing is not None:
            await asyncio.shield(self._writing)

    def _wake(self) -> None:
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_all())

    def _look_at_timers(self) -> None:
        wait_s = self._writer.wait_s()
        if wait_s <= 0:
            self._wake()
        # what is due is done by then, or has failed and is tried again
        next_s = min(_LOOK_S, wait_s) if wait_s > 0 else _LOOK_S
        self._clock_hand = asyncio.get_running_loop().call_later(next_s, self._look_at_timers)

    async def _write_all(self) -> None:
        try:
            while True:
                if self._waiting:
                    await self._write(self._take())
                # between two batches, so that neither commands nor timers hold up the others
                is_due = self._clock_hand is not None and await self._tick()
                if not (self._waiting or is_due):
                    return
        finally:
            self._writing = None

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        taken = 0
        while self._waiting and taken < MAX_BATCH:
            batch.append(self._waiting.popleft())
            taken += len(batch[-1].asked)
        self._count -= taken
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        asked = [one for waiting in batch for one in waiting.asked]
        loop = asyncio.get_running_loop()
        try:
            replies = iter(await loop.run_in_executor(self._executor, self._writer.write, asked))
        except Exception as error:  # noqa: BLE001 - every caller of the batch must hear of it
            _fail(batch, error)
        else:
            for waiting in batch:
                own = list(islice(replies, len(waiting.asked)))
                if not waiting.answers.done():
                    waiting.answers.set_result(own)

    async def _tick(self) -> bool:
        """Do some of what is due; return whether there is more."""
        if self._writer.wait_s() > 0:
            return False
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._writer.tick)
        except Exception as error:  # noqa: BLE001 - nobody waits for it; it is tried again soon
            _LOG.warning("timers that are due did not fire yet: %s", error)
            return False
        return self._writer.wait_s() <= 0


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answers.done():
            waiting.answers.set_exception(
                error if isinstance(error, LogUnavailable | LogDamaged) else LogUnavailable(str(error))
            )
            waiting.answers.exception()  # seen: a caller that left must not make asyncio complain
