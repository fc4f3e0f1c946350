"""Writers on Kafka are killed in and after each transaction of every process, and others go on after them."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from infra.engines.kafka import Kafka
from infra.kafka.event_log import KafkaEventLog
from infra.sqlite.event_log import SqliteEventLog
from streams.ports import Batch
from tests.cluster import Cluster
from tests.streams.write.stories import STORIES, Killed, Log, Teller, told


@dataclass(slots=True)
class Steps:
    """What came of the stories. Shape: compared with the events and answers of a writer that nobody killed."""

    kills: int = 0
    commands: int = 0
    facts: int = 0
    lost: int = 0
    doubled: int = 0
    differences: int = 0
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(kafka: Kafka, *, folder: Path, say: Callable[[str], None], names: Collection[str] = tuple(STORIES)) -> Steps:
    """Tell stories to writers that are killed, each to a cluster of its own."""
    steps = Steps()
    for name in names:
        say(f"the story of {name}")
        at = folder / name
        at.mkdir(parents=True)
        whole = Teller(lambda hands, at=at: SqliteEventLog(at, hands)).tell(told(name))  # type: ignore[misc]
        cluster = Cluster(kafka.bootstrap, partitions=1)
        killed = Teller(
            lambda _, at=at, cluster=cluster: cluster.open(at / "kafka"),  # type: ignore[misc]
            is_killed=True,
            broken_off=_broken_off,
        )
        found = killed.tell(told(name))
        wanted, there = (Counter((event[0], event[2]) for event in each.events) for each in (whole, found))
        steps.kills += killed.kills
        steps.commands += len(whole.answers)
        steps.lost += (wanted - there).total()
        steps.doubled += (there - wanted).total()
        steps.differences += sum(one != other for one, other in zip(found.events, whole.events, strict=False))
        if found != whole:
            steps.failures.append(f"{name} did not go as it does where nobody is killed")
    return steps


def _broken_off(log: Log, append: Callable[[Batch], None], batch: Batch) -> None:
    """Produce all of a batch, and leave its transaction open: what a writer that is killed leaves behind."""

    def killed() -> None:
        raise Killed

    cast("KafkaEventLog", log)._transactions.commit = killed  # type: ignore[method-assign]
    append(batch)
