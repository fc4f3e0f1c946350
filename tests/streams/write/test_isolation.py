"""The worker's loop without a broker: one command that makes the writer itself fail is found among many."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from streams.ports import Batch, LogUnavailable, Reply, Submission
from streams.write.messages import encode_submission
from streams.write.outcomes import Inquiry
from streams.write.turn import Incoming, Turn
from streams.write.worker import CommandWorker
from streams.write.writer import Writer
from tests.streams.kit import register

COMMANDS = 1_000


class Queue:
    """A CommandQueue of one partition. Shape: `turns` is how many were taken, `replies` what was committed."""

    partitions = 1
    ownership = 0

    def __init__(self, submissions: Sequence[Submission]) -> None:
        self.waiting = [Incoming(0, n, encode_submission(one)) for n, one in enumerate(submissions)]
        self.replies: list[Reply] = []
        self.turns = 0

    @contextmanager
    def take(self, *, limit: int, timeout_s: float) -> Iterator[Turn]:
        del timeout_s
        self.turns += 1
        yield QueueTurn(self, self.waiting[:limit])


class QueueTurn:
    def __init__(self, queue: Queue, incoming: Sequence[Incoming]) -> None:
        self.incoming = incoming
        self._queue = queue

    def commit(self, batch: Batch) -> None:
        assert len(batch.replies) == len(self.incoming)
        self._queue.replies += batch.replies
        del self._queue.waiting[: len(self.incoming)]


class Fails(Writer):
    """A writer that accepts everything, and fails itself on the batches that `fails_on` names."""

    def __init__(self, fails_on: Callable[[Sequence[Submission]], Exception | None]) -> None:
        self._fails_on = fails_on

    def wait_s(self) -> float:
        return math.inf

    def tick(self) -> int:
        return 0

    def write(
        self, asked: Sequence[Submission | Inquiry], commit: Callable[[Batch], None] | None = None
    ) -> list[Reply]:
        submissions = [one for one in asked if isinstance(one, Submission)]
        if error := self._fails_on(submissions):
            raise error
        replies = [Reply(one.command_id, "accepted", one.command.stream, 1) for one in submissions]
        assert commit is not None
        commit(Batch((), replies))
        return replies


def work(queue: Queue, writer: Writer) -> None:
    worker = CommandWorker(queue, writer)
    while queue.waiting:
        try:
            worker.turn(0)
        except LogUnavailable:
            assert queue.turns < COMMANDS


def test_one_bad_command_among_a_thousand_is_refused_alone_after_few_turns() -> None:
    for at in (0, 1, 333, COMMANDS - 1):
        queue = Queue([register("web", id_=f"c-{n}") for n in range(COMMANDS)])
        work(queue, Fails(lambda batch, at=at: ZeroDivisionError() if _has(batch, f"c-{at}") else None))  # type: ignore[misc]
        assert [reply.command_id for reply in queue.replies] == [f"c-{n}" for n in range(COMMANDS)]
        assert [n for n, reply in enumerate(queue.replies) if reply.outcome == "refused"] == [at]
        assert queue.turns < 40


def test_a_batch_that_the_log_does_not_take_comes_again_in_smaller_parts() -> None:
    queue = Queue([register("web", id_=f"c-{n}") for n in range(COMMANDS)])
    work(queue, Fails(lambda batch: LogUnavailable("too much for its time") if len(batch) > 100 else None))
    assert [reply.outcome for reply in queue.replies] == ["accepted"] * COMMANDS
    assert queue.turns < 60


def _has(batch: Sequence[Submission], id_: str) -> bool:
    return any(submission.command_id == id_ for submission in batch)
