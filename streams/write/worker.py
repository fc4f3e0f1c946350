"""The distributed way to the writer: takes what waits for its partitions, decides it, answers after the commit."""

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from domain.rejection import Kind
from schemas.envelope import StreamId
from streams.ports import LogUnavailable, Refusal, Reply, Submission
from streams.write.messages import BadCommand, decode_submission
from streams.write.writer import Writer

_LOG = logging.getLogger(__name__)

MAX_BATCH = 2_000
"""Commands decided in one transaction: beyond this the commit's cost no longer shows."""

_WAIT_S = 0.5
_PAUSE_S = 0.2


class WriterLost(Exception):  # noqa: N818
    """This process may not or cannot write any more; end it and start again: it goes on where the log ends."""


class Incoming(NamedTuple):
    """A command message, not looked at yet."""

    partition: int
    raw: bytes


class CommandQueue(Protocol):
    """The commands of the partitions this process owns, and the turn of those that were taken and not yet decided."""

    @property
    def partitions(self) -> int:
        """Return the number of partitions, of all owners."""

    @property
    def ownership(self) -> int:
        """Return a number that is another one whenever this process has gained, lost or read again a partition."""

    def take(self, *, limit: int, timeout_s: float) -> Sequence[Incoming]:
        """Begin a turn with what waits, at most `limit`; () if nothing came in time.

        Shape: a turn that was not appended is over; its commands come again.
        Raises: WriterLost; LogUnavailable, safe to retry.
        """

    def refuse(self, index: int, reply: Reply) -> None:
        """Answer one command of the turn; the batch that is appended answers the others, in order."""


class CommandWorker:
    """Moves commands from a queue through the writer. The writer's log is the queue: it ends the turn it began."""

    def __init__(self, queue: CommandQueue, writer: Writer, *, max_batch: int = MAX_BATCH) -> None:
        self._queue = queue
        self._writer = writer
        self._max_batch = max_batch
        self._ownership = queue.ownership
        self._one_by_one = 0
        self._stopping = False

    def stop(self) -> None:
        """End `run` after the turn at hand; may be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Decide commands until told to stop. Raises: WriterLost."""
        while not self._stopping:
            try:
                self.turn(_WAIT_S)
            except LogUnavailable as error:
                _LOG.warning("the batch was not kept and is taken again: %s", error)
                time.sleep(_PAUSE_S)

    def turn(self, timeout_s: float) -> int:
        """Decide what waits; return how many commands that were. Raises: WriterLost; LogUnavailable, safe to retry."""
        limit = 1 if self._one_by_one else self._max_batch
        incoming = self._queue.take(limit=limit, timeout_s=timeout_s)
        if self._queue.ownership != self._ownership:
            self._ownership = self._queue.ownership
            self._writer.forget()
        if incoming:
            self._decide(incoming)
        return len(incoming)

    def _decide(self, incoming: Sequence[Incoming]) -> None:
        try:
            self._writer.write(self._submissions(incoming))
        except (LogUnavailable, WriterLost):
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it may not stop the partition
            _LOG.exception("deciding a batch of %d failed", len(incoming))
            self._isolate(incoming)
        else:
            self._one_by_one = max(0, self._one_by_one - len(incoming))

    def _isolate(self, incoming: Sequence[Incoming]) -> None:
        """Find the command that makes the writer itself fail, and go on without it: nothing may block a partition."""
        if len(incoming) > 1:
            self._one_by_one = len(incoming)
            return
        self._one_by_one = max(0, self._one_by_one - 1)
        refusal = Refusal(Kind.NOT_NOW, "the command failed inside; the worker's log says why")
        for submission in self._submissions(incoming):
            self._queue.refuse(0, Reply(submission.command_id, "refused", StreamId("?"), 0, refusal=refusal))
        self._writer.write(())

    def _submissions(self, incoming: Sequence[Incoming]) -> list[Submission]:
        submissions = []
        for index, (partition, raw) in enumerate(incoming):
            try:
                submissions.append(decode_submission(raw, partition=partition, partitions=self._queue.partitions))
            except BadCommand as bad:
                _LOG.warning("command refused unread: %s", bad)
                self._queue.refuse(index, bad.reply)
        return submissions
