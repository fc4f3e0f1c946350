"""The chain of a partition's delivered batches is the only place that knows how far a commit may go."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol


class Batch(Protocol):
    """Shape: `acked` only ever turns True; `mark` is what the commit that covers the batch says of it."""

    offset: int
    acked: bool
    mark: str

    @property
    def records(self) -> int: ...


class Chain:
    """The batches of one partition in the order of the log, from its assignment until it is taken away.

    Shape: every offset is the next one to read: `next_offset` for this process, `committed` for the group. `end` is
    where the partition ends for a reader of committed transactions, None until the broker said so.
    """

    def __init__(self, next_offset: int, committed: int | None, mark: str) -> None:
        self._begin = self.next_offset = next_offset
        self.committed = committed
        self.end: int | None = None
        self.broken = False
        self._mark = mark
        self._batches: deque[Batch] = deque()

    def __contains__(self, batch: object) -> bool:
        return not self.broken and any(held is batch for held in self._batches)

    @property
    def in_hand(self) -> int:
        """Return the number of records that were delivered and are not acknowledged."""
        self._settle()
        return sum(batch.records for batch in self._batches)

    @property
    def lag(self) -> int:
        """Return how many offsets the group has not committed; 0 at the end, whatever markers stand there."""
        reached = self._begin if self.committed is None else self.committed
        return 0 if self.end is None else max(0, self.end - reached)

    @property
    def is_at_end(self) -> bool:
        return self.end is not None and self.next_offset >= self.end

    def add(self, batches: Sequence[Batch], next_offset: int) -> None:
        """Take what was read up to `next_offset`, before any of it is delivered: what is then not delivered holds."""
        self._batches.extend(batches)
        self.next_offset = next_offset

    def give_up(self) -> None:
        """Deliver nothing more: a batch will not be acknowledged, and what follows it must not be applied first."""
        self.broken = True

    def committable(self) -> tuple[int, str] | None:
        """Return the end of the acknowledged prefix with its mark, or None where the group has it already.

        Shape: without an unacknowledged batch that is all that was read, markers and aborted records included.
        """
        self._settle()
        offset = self._batches[0].offset if self._batches else self.next_offset
        if self.committed is not None and offset <= self.committed:
            return None
        return offset, self._mark

    def _settle(self) -> None:
        while self._batches and self._batches[0].acked:
            self._mark = self._batches.popleft().mark
