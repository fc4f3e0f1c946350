"""In the distributed profile a worker takes the commands of its partitions and gives them to the writer."""

import logging
import time
from collections.abc import Sequence

from domain.rejection import Kind
from schemas.envelope import StreamId
from streams.ports import Batch, LogUnavailable, Refusal, Reply, Submission
from streams.write.messages import BadCommand, decode_submission
from streams.write.turn import CommandQueue, Incoming, Turn, WriterLost
from streams.write.writer import Writer

_LOG = logging.getLogger(__name__)

MAX_BATCH = 2_000
"""Commands decided in one transaction: beyond this the commit's cost no longer shows."""

_WAIT_S = 0.5
_PAUSE_S = 0.2


class CommandWorker:
    """Moves commands from a queue through the writer, whose events are committed with the turn that caused them."""

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
        with self._queue.take(limit=limit, timeout_s=timeout_s) as turn:
            if self._queue.ownership != self._ownership:
                self._ownership = self._queue.ownership
                self._writer.forget()
            if turn.incoming:
                self._decide(turn)
            return len(turn.incoming)

    def _decide(self, turn: Turn) -> None:
        incoming = turn.incoming
        try:
            read = [self._read(message) for message in incoming]
            submissions = [one for one in read if isinstance(one, Submission)]
            self._writer.write(
                submissions, lambda batch: turn.commit(batch._replace(replies=_all_replies(read, batch.replies)))
            )
        except (LogUnavailable, WriterLost):
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it may not stop the partition
            _LOG.exception("deciding a batch of %d failed", len(incoming))
            self._isolate(turn)
        else:
            self._one_by_one = max(0, self._one_by_one - len(incoming))

    def _isolate(self, turn: Turn) -> None:
        """Find the command that makes the writer itself fail, and go on without it: nothing may block a partition."""
        if len(turn.incoming) > 1:
            # the turn is given up, and its commands come again one at a time
            self._one_by_one = len(turn.incoming)
            return
        self._one_by_one = max(0, self._one_by_one - 1)
        read = [self._read(message) for message in turn.incoming]
        refusal = Refusal(Kind.NOT_NOW, "the command failed inside; the worker's log says why")
        failed = [Reply(one.command_id, "refused", StreamId("?"), 0, refusal=refusal) for one in read]
        turn.commit(Batch((), _all_replies(read, failed)))

    def _read(self, message: Incoming) -> Submission | Reply:
        """Return the command of a message, or the answer to a message that is none."""
        try:
            return decode_submission(message.raw, partition=message.partition, partitions=self._queue.partitions)
        except BadCommand as bad:
            _LOG.warning("command refused unread: %s", bad)
            return bad.reply


def _all_replies(read: Sequence[Submission | Reply], decided: Sequence[Reply]) -> Sequence[Reply]:
    """Return the reply to each message: those that were refused unread have theirs, the others come in order."""
    replies = iter(decided)
    return [one if isinstance(one, Reply) else next(replies) for one in read]
