"""All projectors of a process read the log through this, so that each record is decoded only once."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from schemas.envelope import Entry, StreamId, TenantId, Topic
from streams.ports import LogReader

_KEPT_READS = 3


class SharedLog:
    """LogReader that remembers its last few reads of each topic.

    Shape: reads of followers meet where they end on the same multiples of a step: see `until_step`.
    """

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._reads: dict[Topic, OrderedDict[tuple[int, int, int], Sequence[Entry]]] = {
            topic: OrderedDict() for topic in Topic
        }

    @property
    def partitions(self) -> int:
        return self._log.partitions

    def end(self, topic: Topic, partition: int) -> int:
        return self._log.end(topic, partition)

    def ends(self, topic: Topic) -> Sequence[int]:
        return self._log.ends(topic)

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        key, reads = (partition, after, limit), self._reads[topic]
        # the lock is held while reading: threads that want the same records wait for one to decode them
        with self._lock:
            if (found := reads.get(key)) is not None:
                return found
            entries = self._log.read(topic, partition, after=after, limit=limit)
            # a read that met the end of the log would hide what is written next
            if len(entries) >= limit:
                reads[key] = entries
                while len(reads) > _KEPT_READS:
                    reads.popitem(last=False)
            return entries

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        return self._log.wait(ends, timeout_s)

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        return self._log.read_stream(tenant_id, stream, after=after, limit=limit)

    def tenants(self, partition: int) -> Sequence[TenantId]:
        return self._log.tenants(partition)


def until_step(after: int, step: int) -> int:
    """Return how many records to read after a position so that the read ends on a multiple of `step`."""
    return step - after % step
