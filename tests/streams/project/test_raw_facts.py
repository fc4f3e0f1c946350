"""Records that nobody has decoded become what they become one by one, from the embedded log and from Kafka."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.fleet.fact_records import HeartbeatRecord, LogRecord, MetricsRecord
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import PROJECTIONS
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import View
from schemas.envelope import Entry, Topic
from schemas.raw_facts import EmbeddedFacts, RawFacts
from schemas.raw_kafka_facts import KafkaFacts
from streams.ports import SystemClock
from streams.project.run import ProjectionRun
from tests.contracts.fact_columns import BUILDS, Seen
from tests.schemas import test_raw_facts as embedded
from tests.schemas import test_raw_kafka_facts as on_kafka
from tests.schemas.test_raw_facts import LINES, METRICS


class Kept(NamedTuple):
    """A log's way to keep records."""

    facts: type[RawFacts]
    row: Callable[..., Any]
    damaged: Callable[[], st.SearchStrategy[Any]]


LOGS = (
    Kept(EmbeddedFacts, embedded.row, embedded.damaged),
    Kept(KafkaFacts, on_kafka.row, on_kafka.damaged),
)
each_log = pytest.mark.parametrize("log", LOGS, ids=("embedded", "kafka"))

ODD: Sequence[Any] = (
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [0], "values": [float("nan")]}]},
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [0, 1], "values": [1.0]}]},
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [1 << 62], "values": [1.0]}]},
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [-(1 << 63)], "values": [1.0]}]},
)
VIEWS = [view for view in PROJECTIONS if view.project_raw is not None]
OF_FACTS = [view for view in PROJECTIONS if Topic.TELEMETRY in view.topics and not isinstance(view.layout, Documents)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteTimeline]:
    store = SqliteTimeline(tmp_path / "views.sqlite", OF_FACTS)
    yield store
    store.close()


def agree(log: Kept, view: Projection, store: SqliteTimeline, folder: Path, batches: Sequence[Sequence[Any]]) -> None:
    raw: Sequence[Sequence[Entry]] = [log.facts(rows, 0) for rows in batches]
    by_record = [list(batch) for batch in raw]
    assert Seen(view, store, folder).after(raw) == Seen(view, store, folder).after(by_record)


@each_log
def test_raw_records_are_what_the_records_are(log: Kept, store: SqliteTimeline, tmp_path: Path) -> None:
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(OF_FACTS), log.damaged(), st.integers(0, 4))
    def always(view: Projection, rows: Sequence[Any], cut: int) -> None:
        # some of them come a second time
        agree(log, view, store, tmp_path, [rows[: cut + 2], rows[cut:]])

    always()


@each_log
@pytest.mark.parametrize("data", ODD)
def test_what_is_unusual_is_parked_alone(log: Kept, store: SqliteTimeline, tmp_path: Path, data: Any) -> None:
    rows = [
        log.row(1, MetricsRecord.TYPE, 2, METRICS),
        log.row(2, MetricsRecord.TYPE, 2, data),
        log.row(3, HeartbeatRecord.TYPE, 2, {"heartbeats": []}),
    ]
    for view in VIEWS:
        agree(log, view, store, tmp_path, [rows])
        seen = Seen(view, store, tmp_path).after([log.facts(rows, 0)])
        parked = [line for line in seen if MetricsRecord.TYPE in line]
        assert [line.split(",")[0] for line in parked] == ["(2"] * (MetricsRecord in (view.events or ()))


@each_log
def test_records_that_are_usual_are_not_decoded(
    log: Kept, store: SqliteTimeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        log.row(1, MetricsRecord.TYPE, 2, METRICS),
        log.row(2, LogRecord.TYPE, 2, LINES),
        log.row(3, MetricsRecord.TYPE, 2, METRICS),
    ]
    decoded = counted(log, monkeypatch)
    for view in VIEWS:
        Seen(view, store, tmp_path).after([log.facts(rows, 0)])
    # for the time of the checkpoint
    assert set(decoded) == {3}


@each_log
def test_of_what_does_not_concern_a_view_nothing_is_decoded(
    log: Kept, store: SqliteTimeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (view,) = (view for view in OF_FACTS if view.name == "log_counts")
    rows = [log.row(n, MetricsRecord.TYPE, 2, METRICS) for n in (1, 2)]
    rows += [log.row(3, LogRecord.TYPE, 2, LINES), *(log.row(n, MetricsRecord.TYPE, 2, METRICS) for n in (4, 5))]
    agree(log, view, store, tmp_path, [rows])
    decoded = counted(log, monkeypatch)
    Seen(view, store, tmp_path).after([log.facts(rows, 0)])
    assert set(decoded) == {3, 5}


@each_log
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_batches_of_several_partitions_are_applied_together(log: Kept, view: Projection, tmp_path: Path) -> None:
    halves = [
        [log.row(n, *said, stream=f"device-{partition}") for n, said in enumerate(_SAID, 1)] for partition in (0, 1)
    ]
    seen = []
    for raw in (False, True):
        batches = [log.facts(rows, partition) for partition, rows in enumerate(halves)]
        [applied] = _applied(view, tmp_path, batches if raw else list(map(list, batches)))
        seen.append(applied)
    assert seen[0] == seen[1]
    assert [(at.partition, at.position) for at in seen[1][1]] == [(0, 2), (1, 2)]


_SAID = ((MetricsRecord.TYPE, 2, METRICS), (LogRecord.TYPE, 2, LINES))


def _applied(view: Projection, folder: Path, batches: Sequence[Any]) -> Any:
    """Return what a run gave to its store."""
    kept = []

    class Watched:
        def checkpoints(self, _view: View) -> Sequence[Any]:
            return ()

        def apply(self, _view: View, rows: Sequence[Any], *checkpoints: Any) -> None:
            kept.append((list(rows), list(checkpoints)))

    letters = SqliteDeadLetters(folder / "letters.sqlite")
    ProjectionRun(view, View(view.name, next(BUILDS)), Watched(), letters, SystemClock()).run(*batches)
    letters.close()
    return kept


def counted(log: Kept, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the positions of the records that are decoded from now on."""
    decoded: list[int] = []
    decode: Any = log.facts._decoded

    def count(self: RawFacts, one: Any) -> Entry:
        decoded.append(one[0])
        entry: Entry = decode(self, one)
        return entry

    monkeypatch.setattr(log.facts, "_decoded", count)
    return decoded
