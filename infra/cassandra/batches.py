"""This cuts the writes of many partitions into batches that a server takes without a warning."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cassandra.query import BatchStatement, BatchType, BoundStatement

BATCH_ROWS = 100
BATCH_BYTES = 1 << 20
# A server warns of more than 10 partitions in a batch, and of 5 KiB where there is more than one; it refuses 50 KiB.
BATCH_PARTITIONS = 10
SHARED_BYTES = 4 << 10
# What a server counts for a value besides its bytes, about.
VALUE_BYTES = 32


def bound(insert: Any, values: Sequence[bytes]) -> Any:
    """Return a prepared insert with values as they are sent: the driver's own way takes eight times as long."""
    statement = BoundStatement(insert)
    statement.values = values
    return statement


class Sent(NamedTuple):
    """A statement, and how many writes it carries."""

    statement: Any
    writes: int


def batches(partitions: Iterable[Sequence[Any]], replicas: Callable[[Any], Hashable]) -> Iterator[Sent]:
    """Yield unlogged batches: of partitions on the same replicas, because each statement costs as much as ten rows."""
    filling: dict[Hashable, _Batch] = {}
    for writes in partitions:
        home, begins = replicas(writes[0]), True
        batch = filling.setdefault(home, _Batch())
        for write in writes:
            size = sum(map(len, write.values)) + VALUE_BYTES * len(write.values)
            if not batch.add(write, size, begins=begins):
                yield batch.sent()
                batch = filling[home] = _Batch()
                batch.add(write, size, begins=True)
            begins = False
    for batch in filling.values():
        yield batch.sent()


class _Batch:
    """Writes on their way to the same replicas."""

    def __init__(self) -> None:
        self._writes: list[Any] = []
        self._partitions = 0
        self._bytes = 0

    def add(self, write: Any, size: int, *, begins: bool) -> bool:
        """Add a write, the first of its partition or not; False if there is no room."""
        partitions = self._partitions + (begins or not self._writes)
        full = len(self._writes) == BATCH_ROWS or partitions > BATCH_PARTITIONS
        room = BATCH_BYTES if partitions == 1 else SHARED_BYTES
        if full or (self._writes and self._bytes + size > room):
            return False
        self._writes.append(write)
        self._partitions, self._bytes = partitions, self._bytes + size
        return True

    def sent(self) -> Sent:
        if len(self._writes) == 1:
            return Sent(self._writes[0], 1)
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.is_idempotent = True
        for write in self._writes:
            batch.add(write)
        return Sent(batch, len(self._writes))
