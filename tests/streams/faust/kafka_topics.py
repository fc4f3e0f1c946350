"""Topics for tests, with numbers in them: each partition counts from 1, without a hole."""

import itertools
import logging
import os
from collections.abc import Mapping
from typing import Any, Self

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
)

_LOG = logging.getLogger(__name__)
_SERIAL = itertools.count()
ASK_S = 20


class NumberedTopic:
    """Shape: `written` is the last number of each partition; what was aborted carries no number."""

    def __init__(self, bootstrap: str, *, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.name = f"numbers-{os.getpid()}-{next(_SERIAL)}"
        self.group = f"{self.name}-group"
        self.written = dict.fromkeys(range(partitions), 0)
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._admin.create_topics([NewTopic(self.name, partitions, 1)])[self.name].result(ASK_S)
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": self.name}, logger=_LOG)
        self._producer.init_transactions()

    @property
    def total(self) -> int:
        return sum(self.written.values())

    def write(self, records: int, *, in_transaction: int = 200) -> Self:
        """Write so many to each partition, all partitions in each transaction."""
        for begin in range(0, records, in_transaction):
            self._producer.begin_transaction()
            for partition, number in self.written.items():
                last = number + min(in_transaction, records - begin)
                for value in range(number + 1, last + 1):
                    self._produce(partition, str(value))
                self.written[partition] = last
            self._producer.commit_transaction()
        return self

    def abort(self, records: int) -> Self:
        self._producer.begin_transaction()
        for partition in self.written:
            for _ in range(records):
                self._produce(partition, "aborted")
        self._producer.flush()
        self._producer.abort_transaction()
        return self

    def _produce(self, partition: int, value: str) -> None:
        self._producer.produce(self.name, value, partition=partition)
        self._producer.poll(0)

    def committed(self) -> Mapping[int, int]:
        """Return the group's committed offset of each partition that has one."""
        wanted = [ConsumerGroupTopicPartitions(self.group)]
        found: Any = self._admin.list_consumer_group_offsets(wanted)[self.group].result(ASK_S)
        return {place.partition: place.offset for place in found.topic_partitions if place.offset >= 0}

    def ends(self) -> Mapping[int, int]:
        """Return where each partition ends for a reader of committed transactions."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "ends", "isolation.level": "read_committed"}
        )
        places = [TopicPartition(self.name, partition) for partition in self.written]
        found = {place.partition: consumer.get_watermark_offsets(place, ASK_S) for place in places}
        consumer.close()
        return {partition: marks[1] for partition, marks in found.items() if marks}
