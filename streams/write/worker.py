"""In the distributed profile a worker takes the commands of its partitions and gives them to the writer."""

import logging
import time
from collections.abc import Sequence

from domain.rejection import Kind
from schemas.envelope import StreamId
from schemas.payload import BadPayload
from streams.ports import Batch, LogUnavailable, Refusal, Reply, Submission
from streams.write.messages import BadCommand, decode_asked
from streams.write.outcomes import Inquiry
from streams.write.turn import CommandQueue, Incoming, Turn, WriterLost
from streams.write.writer import Writer

_LOG = logging.getLogger(__name__)

MAX_BATCH = 2_000
"""Commands decided in one transaction: beyond this the commit's cost no longer shows."""

_Read = Submission | Inquiry | Reply

_WAIT_S = 0.5
_PAUSE_S = 0.2


class CommandWorker:
    """Moves commands from a queue through the writer, whose events are committed with the turn that caused them.

    Shape: `refused_unread` counts the messages that were no commands, `decided` all that were answered. `turned_at` is
    when the last turn ended, on the monotonic clock; `error` says why the log did not take that turn, if it did not.
    """

    def __init__(self, queue: CommandQueue, writer: Writer, *, max_batch: int = MAX_BATCH) -> None:
        self.refused_unread = 0
        self.decided = 0
        self.turned_at: float | None = None
        self.error: str | None = None
        self._queue = queue
        self._writer = writer
        self._max_batch = self._limit = max_batch
        self._ownership = queue.ownership
        self._stopping = False

    def stop(self) -> None:
        """End `run` after the turn at hand; may be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Decide commands until told to stop. Raises: WriterLost."""
        while not self._stopping:
            try:
                self.decided += self.turn(_WAIT_S)
                self.turned_at, self.error = time.monotonic(), None
            except LogUnavailable as error:
                self.error = str(error)
                _LOG.warning("the batch was not kept and is taken again: %s", error)
                time.sleep(_PAUSE_S)

    def turn(self, timeout_s: float) -> int:
        """Decide what waits, and fire timers that are due; return how many commands that were.

        Raises: WriterLost; LogUnavailable, safe to retry.
        """
        with self._queue.take(limit=self._limit, timeout_s=min(timeout_s, self._writer.wait_s())) as turn:
            if self._queue.ownership != self._ownership:
                self._ownership = self._queue.ownership
                self._writer.forget()
            if turn.incoming:
                self._decide(turn)
        # in a transaction of its own, so that what is wrong with either is not the other's
        self._writer.tick()
        return len(turn.incoming)

    def _decide(self, turn: Turn) -> None:
        """Decide a turn; one that fails is given up, and its commands come again, half as many at a time.

        So the command that makes the writer itself fail is soon alone, and is refused: nothing may block a partition.
        """
        read = [self._read(message) for message in turn.incoming]
        asked = [one for one in read if not isinstance(one, Reply)]
        try:
            self._writer.write(
                asked, lambda batch: turn.commit(batch._replace(replies=_all_replies(read, batch.replies)))
            )
        except WriterLost:
            raise
        except LogUnavailable:
            # it may be too much for the time that a transaction has
            self._limit = max(1, len(read) // 2)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it may not stop the partition
            _LOG.exception("deciding a batch of %d failed", len(read))
            if len(read) > 1:
                self._limit = len(read) // 2
                return
            self._refuse(turn, read, error)
        self._limit = min(self._max_batch, 2 * self._limit)
        self._count(turn.incoming, read)

    def _refuse(self, turn: Turn, read: Sequence[_Read], error: Exception) -> None:
        refusal = Refusal(Kind.NOT_NOW, "the command failed inside; the worker's log says why")
        if isinstance(error, BadPayload):
            refusal = Refusal(Kind.INVALID, "an event of the command does not fit into the log: it is too large")
        failed = [Reply(one.command_id, "refused", StreamId("?"), 0, refusal=refusal) for one in read]
        turn.commit(Batch((), _all_replies(read, failed)))

    def _read(self, message: Incoming) -> _Read:
        """Return what a message asks, or the answer to a message that is none."""
        try:
            return decode_asked(message.raw, partition=message.partition, partitions=self._queue.partitions)
        except BadCommand as bad:
            return bad.reply

    def _count(self, incoming: Sequence[Incoming], read: Sequence[_Read]) -> None:
        unread = [(message, one) for message, one in zip(incoming, read, strict=True) if isinstance(one, Reply)]
        if not unread:
            return
        self.refused_unread += len(unread)
        message, reply = unread[0]
        _LOG.warning(
            "%d messages were refused unread, %d since the start; the first is at offset %d of partition %d: %s",
            len(unread),
            self.refused_unread,
            message.offset,
            message.partition,
            reply.refusal and reply.refusal.reason,
        )


def _all_replies(read: Sequence[_Read], decided: Sequence[Reply]) -> Sequence[Reply]:
    """Return the reply to each message: those that were refused unread have theirs, the others come in order."""
    replies = iter(decided)
    return [one if isinstance(one, Reply) else next(replies) for one in read]
