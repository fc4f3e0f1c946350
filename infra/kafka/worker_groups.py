"""The broker says of the workers that keep no view how many there are, and how far they are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.kafka.connection import Connection, first_offsets, high_watermarks, kafka_errors
from schemas.envelope import Topic
from streams.ports import LogUnavailable, WorkerGroup
from streams.topics import Topics

_ASK_S = 1.0

COMMANDS, CORRELATE = "commands", "correlate"


class KafkaWorkerGroups:
    """Asks for the consumer groups of the command workers and of those that correlate; any thread may ask."""

    def __init__(self, connection: Connection, topics: Topics) -> None:
        self._connection = connection
        self._admin: AdminClient = connection.admin()
        self._topics = topics

    def groups(self) -> Sequence[WorkerGroup]:
        """Return both groups. Raises: LogUnavailable, safe to retry."""
        with self._asking():
            running = self._running([self._topics.writers, self._topics.correlators])
            return (
                WorkerGroup(COMMANDS, running[self._topics.writers], {}, self._waiting()),
                WorkerGroup(CORRELATE, running[self._topics.correlators], self._read(), None),
            )

    def waiting(self) -> int:
        """Return how many commands are not decided yet. Raises: LogUnavailable, safe to retry."""
        with self._asking():
            return self._waiting()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with kafka_errors():
                yield
        except LogUnavailable:
            # after a broker's restart a client may go on asking in vain where a group is: a new one finds it
            self._admin = self._connection.admin()
            raise

    def _running(self, groups: list[str]) -> Mapping[str, int]:
        found = self._admin.describe_consumer_groups(groups, request_timeout=_ASK_S)
        return {group: len(future.result(_ASK_S).members) for group, future in found.items()}

    def _waiting(self) -> int:
        topic, partitions = self._topics.commands, range(self._topics.partitions)
        decided = {place.partition: place.offset for place in self._committed(self._topics.writers, topic)}
        ends = high_watermarks(self._admin, topic, partitions)
        # old commands are deleted: what is gone waits for nobody
        first = first_offsets(self._admin, topic, partitions)
        return sum(max(0, ends[number] - max(decided.get(number, 0), first[number])) for number in partitions)

    def _read(self) -> Mapping[tuple[Topic, int], int]:
        """Return the positions that are in the marks of the commits: offsets of events count markers too."""
        return {
            (topic, place.partition): int(place.metadata)
            for topic in Topic
            for place in self._committed(self._topics.correlators, self._topics.of(topic))
            if place.metadata
        }

    def _committed(self, group: str, topic: str) -> Sequence[TopicPartition]:
        places = [TopicPartition(topic, partition) for partition in range(self._topics.partitions)]
        asked = ConsumerGroupTopicPartitions(group, places)
        found = self._admin.list_consumer_group_offsets([asked], request_timeout=_ASK_S)[group].result(_ASK_S)
        return [place for place in found.topic_partitions if place.offset >= 0]
