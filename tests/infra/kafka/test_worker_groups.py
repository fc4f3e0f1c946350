"""What the broker knows of the workers that keep no view: how many run, and what they have not read yet."""

from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition

from infra.kafka.worker_groups import KafkaWorkerGroups
from schemas.envelope import Topic
from streams.ports import LogUnavailable, WorkerGroup
from tests.cluster import Cluster, until

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka


def ask(groups: KafkaWorkerGroups) -> Sequence[WorkerGroup]:
    """Ask until the broker has found out who coordinates a group that nobody asked for before."""
    found: list[Sequence[WorkerGroup]] = []

    def is_answered() -> bool:
        with suppress(LogUnavailable):
            found.append(groups.groups())
        return bool(found)

    until(is_answered, 60)
    return found[-1]


def test_workers_are_counted_and_so_is_what_waits_for_them(kafka: "Kafka") -> None:
    cluster = Cluster(kafka.bootstrap)
    groups = KafkaWorkerGroups(cluster.connection, cluster.topics)
    for _ in range(3):
        cluster.send_raw(b"a command", cluster.home)
    commands, correlate = ask(groups)
    assert (commands.kind, commands.running, commands.waiting) == ("commands", 0, 3)
    assert (correlate.kind, correlate.running, correlate.waiting, correlate.read) == ("correlate", 0, None, {})
    with closing(cluster.connection.consumer(cluster.topics.writers)) as writer:
        writer.subscribe([cluster.topics.commands])

        def is_counted() -> bool:
            writer.poll(0.1)
            return ask(groups)[0].running == 1

        until(is_counted, 60)
        writer.commit(offsets=[TopicPartition(cluster.topics.commands, cluster.home, 2)], asynchronous=False)
        assert groups.waiting() == 1
    with closing(cluster.connection.consumer(cluster.topics.correlators)) as correlator:
        # the mark of a commit is the position that it reached
        place = TopicPartition(cluster.topics.events, cluster.home, 9, "7")
        correlator.commit(offsets=[place], asynchronous=False)
    assert ask(groups)[1].read == {(Topic.EVENTS, cluster.home): 7}
