"""A worker's sink reads many records of facts at once, and one by one where one of them is unusual."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from faust.types import TP

from domain.fleet.fact_records import MetricsRecord
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.timeline import SqliteTimeline
from projections.fleet import device_logs, device_metrics
from projections.rows import View
from schemas.envelope import TenantId
from schemas.raw_kafka_facts import MANY, KafkaFacts
from streams.faust.apps import ProjectionSink
from streams.ports import SystemClock
from streams.topics import Topics
from tests.schemas.test_raw_facts import METRICS
from tests.schemas.test_raw_kafka_facts import row
from tests.streams.faust.test_sink import AnyLog, Delivered

TOPICS = Topics("factline", 2)
PLACES = [TP(TOPICS.telemetry, partition) for partition in range(2)]
METRICS_VIEW = View("device_metrics", 1)
PROJECTIONS = (device_metrics.PROJECTION, device_logs.PROJECTION)
READINGS = 2
"""A record of METRICS has so many."""

DAMAGED = 7


class Worker:
    def __init__(self, folder: Path) -> None:
        self.store = SqliteTimeline(folder / "timeline.sqlite", PROJECTIONS)
        self.letters = SqliteDeadLetters(folder / "letters.sqlite")
        self.sink = ProjectionSink(
            PROJECTIONS,
            topics=TOPICS,
            log=cast("Any", AnyLog()),
            store=self.store,
            dead_letters=self.letters,
            clock=SystemClock(),
        )
        self.sink.starts(dict.fromkeys(PLACES))

    def rows(self) -> int:
        return sum(1 for tenant in ("acme", "bolt") for _ in self.store.scan(METRICS_VIEW, TenantId(tenant)))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    with closing(worker.store), closing(worker.letters):
        yield worker


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of the records that were decoded by themselves."""
    found: list[int] = []
    decode = KafkaFacts._decoded

    def counted(self: KafkaFacts, one: Any) -> Any:
        found.append(one[0])
        return decode(self, one)

    monkeypatch.setattr(KafkaFacts, "_decoded", counted)
    return found


def delivered(tp: TP, tenant: str, *, damaged: int | None = None) -> Sequence[Any]:
    rows = [
        row(n, MetricsRecord.TYPE, 2, METRICS, tenant=tenant, stream=f"device-{tp.partition}-{n}")
        for n in range(1, MANY + 1)
    ]
    return [
        Delivered(
            tp.topic,
            tp.partition,
            record.offset,
            0,
            0,
            record.key or b"",
            b"" if position == damaged else record.value or b"",
            record.headers,
        )
        for position, record, _ in rows
    ]


def both(*, damaged: int | None = None) -> dict[TP, Sequence[Any]]:
    return {PLACES[0]: delivered(PLACES[0], "acme", damaged=damaged), PLACES[1]: delivered(PLACES[1], "bolt")}


def test_usual_records_of_all_partitions_are_not_decoded_one_by_one(worker: Worker, decoded: list[int]) -> None:
    assert worker.sink.apply(both()) == dict.fromkeys(PLACES, f"{MANY}@one/1")
    assert worker.rows() == 2 * MANY * READINGS
    # the first and the last of a batch say where it begins and when it was recorded
    assert set(decoded) == {1, MANY}
    assert [(at.partition, at.position) for at in worker.store.checkpoints(METRICS_VIEW)] == [(0, MANY), (1, MANY)]


def test_of_a_batch_with_poison_that_record_alone_is_parked(worker: Worker) -> None:
    worker.sink.apply(both(damaged=DAMAGED))
    assert worker.rows() == (2 * MANY - 1) * READINGS
    letters = list(worker.letters.letters(METRICS_VIEW.table))
    assert [(letter.partition, letter.position, letter.tenant_id) for letter in letters] == [(0, DAMAGED, "acme")]


def test_a_batch_that_comes_again_has_its_effect_once(worker: Worker, decoded: list[int]) -> None:
    batches = both()
    half = {tp: records[: MANY // 2] for tp, records in batches.items()}
    worker.sink.apply(half)
    before = len(decoded)
    worker.sink.apply(batches)
    worker.sink.apply(batches)
    assert worker.rows() == 2 * MANY * READINGS
    assert list(worker.letters.letters(METRICS_VIEW.table)) == []
    # many are left of both together, although not of each
    assert set(decoded[before:]) == {MANY // 2 + 1, MANY}


def test_few_records_are_read_one_by_one(worker: Worker, decoded: list[int]) -> None:
    worker.sink.apply({tp: records[: MANY // 2 - 1] for tp, records in both().items()})
    assert worker.rows() == 2 * (MANY // 2 - 1) * READINGS
    assert set(decoded) == set(range(1, MANY // 2))
