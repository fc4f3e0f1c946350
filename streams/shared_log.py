"""All projectors of a process read the log through this, so that each record is decoded only once."""

import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.envelope import Entry, StreamId, TenantId, Topic
from streams.viewed_log import ViewedLog

_KEPT_ENTRIES = 15_000
"""Of each partition, 30 MB of readings: what followers of different pace are apart."""


class _Stretch(NamedTuple):
    """Entries that follow each other, and the position after which they begin."""

    after: int
    entries: list[Entry]

    @property
    def end(self) -> int:
        return self.entries[-1].position if self.entries else self.after


class SharedLog:
    """ViewedLog that remembers the entries it read last, of each partition."""

    def __init__(self, log: ViewedLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._kept: dict[tuple[Topic, int], _Stretch] = {}

    @property
    def partitions(self) -> int:
        return self._log.partitions

    def end(self, topic: Topic, partition: int) -> int:
        return self._log.end(topic, partition)

    def ends(self, topic: Topic) -> Sequence[int]:
        return self._log.ends(topic)

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        kept = self._kept.get((topic, partition))
        if kept is not None and after < kept.after:
            # one that is far behind the others goes alone, and takes nothing from them
            return self._log.read(topic, partition, after=after, limit=limit)
        # the lock is held while reading: threads that want the same records wait for one to decode them
        with self._lock:
            kept = self._kept.get((topic, partition))
            if kept is None or not kept.after <= after <= kept.end:
                kept = _Stretch(after, [])
            entries = kept.entries
            at = bisect_right(entries, after, key=_position)
            if len(entries) - at < limit and self._log.end(topic, partition) > kept.end:
                entries += self._log.read(topic, partition, after=kept.end, limit=limit - (len(entries) - at))
            found = entries[at : at + limit]
            if more := max(0, len(entries) - _KEPT_ENTRIES):
                kept = _Stretch(entries[more - 1].position, entries[more:])
            self._kept[topic, partition] = kept
            return found

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        return self._log.wait(ends, timeout_s)

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        return self._log.read_stream(tenant_id, stream, after=after, limit=limit)

    def tenants(self, partition: int) -> Sequence[TenantId]:
        return self._log.tenants(partition)

    def identities(self) -> Mapping[Topic, str]:
        return self._log.identities()

    def starts(self, topic: Topic) -> Sequence[int]:
        return self._log.starts(topic)


def _position(entry: Entry) -> int:
    return entry.position
