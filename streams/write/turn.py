"""These ports say how a worker takes commands in a turn, which is committed or given up."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from streams.ports import Batch


class WriterLost(Exception):  # noqa: N818
    """This process may not or cannot write any more; end it and start again: it goes on where the log ends."""


class Incoming(NamedTuple):
    """A command message, not looked at yet.

    Shape: `offset` is its place in its partition; `raw` is b"" where it has no value.
    """

    partition: int
    offset: int
    raw: bytes


class Turn(Protocol):
    """Commands that were taken together, and are done together."""

    @property
    def incoming(self) -> Sequence[Incoming]:
        """Return what was taken; () if nothing came in time, and then there is nothing to commit."""

    def commit(self, batch: Batch) -> None:
        """Make durable, all of it or nothing: the events, the replies, and that these commands are done.

        Shape: one reply for each of `incoming`, in their order.
        Raises: LogUnavailable, nothing was kept; WriterLost.
        """


class CommandQueue(Protocol):
    """The commands of the partitions this process owns."""

    @property
    def partitions(self) -> int:
        """Return the number of partitions, of all owners."""

    @property
    def ownership(self) -> int:
        """Return a number that is another one whenever this process has gained, lost or read again a partition."""

    def take(self, *, limit: int, timeout_s: float) -> AbstractContextManager[Turn]:
        """Hold a turn with what waits, at most `limit`, for the length of a `with` block.

        Shape: a block that ends without a commit, well or not, gives the turn up: its commands come again.
        Raises: WriterLost; LogUnavailable, safe to retry.
        """
