"""A gateway keeps a copy of a compacted topic on its own disk, and follows what is written to it."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.kafka.beside import noted, start_of
from infra.kafka.connection import (
    NO_SUCH_OFFSET,
    PARTITION_END,
    Connection,
    first_offsets,
    kafka_errors,
    last_stable_offsets,
)
from infra.sqlite.beside import BesideFile, Noted
from projections.stores import StoreUnavailable
from streams.topics import Beside, Topics

_LOG = logging.getLogger(__name__)

_AT_ONCE = 1_000
_WAIT_S = 0.2
_AGAIN_S = 1.0


class FollowedTopic:
    """The last record of each key of a compacted topic. Any thread may ask.

    Shape: `error` says why it does not go on, None where it does.
    """

    def __init__(self, connection: Connection, topics: Topics, kind: Beside, path: Path) -> None:
        """Shape: the name of `path` says of which log it is. Raises: LogUnavailable, safe to retry."""
        self.error: str | None = None
        self._name = topics.beside(kind)
        self._kind = kind
        self._moved = threading.Condition()
        self._kept = BesideFile(path)
        self._admin = connection.admin()
        self._partitions = range(topics.partitions)
        with kafka_errors():
            self._ends = last_stable_offsets(self._admin, self._name, self._partitions)
            firsts = first_offsets(self._admin, self._name, self._partitions)
            self._next = {at: self._start(at, firsts[at]) for at in self._partitions}
            self._consumer: Consumer = connection.consumer(
                f"{topics.prefix}.gateways", enable_partition_eof=True, auto_offset_reset="earliest"
            )
            self._consumer.assign([TopicPartition(self._name, *at) for at in self._next.items()])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"follow-{kind.value}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        self._kept.close()

    @property
    def is_complete(self) -> bool:
        """Return whether all is known that was there at the start."""
        with self._moved:
            return all(self._next[at] >= end for at, end in self._ends.items())

    def find(self, keys: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Raises: StoreUnavailable, safe to retry."""
        self._check_complete()
        return self._kept.find(self._kind, keys)

    def between(self, first: bytes, end: bytes) -> Mapping[bytes, bytes]:
        """Return what has a key from `first` on and before `end`. Raises: StoreUnavailable, safe to retry."""
        self._check_complete()
        return self._kept.between(self._kind, first, end)

    def wait(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds that may change with every record; False when the time ran out."""
        with self._moved:
            return self._moved.wait_for(holds, timeout_s)

    def _check_complete(self) -> None:
        if self.error is not None:
            # what is not known any more may be a revocation
            raise StoreUnavailable(f"{self._name} is not followed for now: {self.error}")
        if not self.is_complete:
            raise StoreUnavailable(f"{self._name} is not read to its end yet")

    def _start(self, partition: int, first: int) -> int:
        return start_of(self._kept.next_offset(self._kind, partition), first, self._ends[partition])

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                if self.error is not None:
                    # what was fetched and not kept is fetched again
                    self._consumer.assign([TopicPartition(self._name, *at) for at in self._next.items()])
                self._read()
            except (KafkaException, StoreUnavailable) as error:
                self.error = str(error)
                _LOG.warning("%s is not followed for now: %s", self._name, error)
                self._stopping.wait(_AGAIN_S)
            except Exception as error:  # noqa: BLE001 - whatever it is: nobody else reads who may ask
                self.error = f"{type(error).__name__}: {error}"
                _LOG.exception("%s is not followed for now", self._name)
                self._stopping.wait(_AGAIN_S)
            else:
                self.error = None

    def _read(self) -> None:
        found: dict[int, list[Noted]] = defaultdict(list)
        ends: dict[int, int] = {}
        for message in self._consumer.consume(_AT_ONCE, _WAIT_S):
            at, offset = message.partition(), message.offset()
            assert at is not None and offset is not None  # noqa: PT018, S101 - of a message that came
            if (error := message.error()) is not None:
                if error.code() not in (PARTITION_END, NO_SUCH_OFFSET):
                    raise KafkaException(error)
                ends[at] = offset
                continue
            ends[at] = offset + 1
            if record := noted(message):
                found[at].append(record)
        if not ends:
            return
        self._kept.keep(self._kind, found, ends)
        with self._moved:
            self._next |= ends
            self._moved.notify_all()
