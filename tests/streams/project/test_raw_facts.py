"""Records that nobody has decoded become what they become one by one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.fleet.fact_records import HeartbeatRecord, LogRecord, MetricsRecord
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import PROJECTIONS
from projections.projection import Projection
from schemas.envelope import Entry
from schemas.raw_facts import RawFacts
from tests.contracts.fact_columns import Seen
from tests.schemas.test_raw_facts import LINES, METRICS, Row, damaged, row

ODD: Sequence[Any] = (
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [0], "values": [float("nan")]}]},
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [0, 1], "values": [1.0]}]},
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [1 << 62], "values": [1.0]}]},
    {"series": [{"metric": "cpu", "unit": "%", "after_us": [-(1 << 63)], "values": [1.0]}]},
)
VIEWS = [view for view in PROJECTIONS if view.project_raw is not None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteTimeline]:
    store = SqliteTimeline(tmp_path / "views.sqlite", VIEWS)
    yield store
    store.close()


def agree(view: Projection, store: SqliteTimeline, folder: Path, batches: Sequence[Sequence[Row]]) -> None:
    raw: Sequence[Sequence[Entry]] = [RawFacts(rows, 0) for rows in batches]
    by_record = [list(batch) for batch in raw]
    assert Seen(view, store, folder).after(raw) == Seen(view, store, folder).after(by_record)


def test_raw_records_are_what_the_records_are(store: SqliteTimeline, tmp_path: Path) -> None:
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(VIEWS), damaged(), st.integers(0, 4))
    def always(view: Projection, rows: Sequence[Row], cut: int) -> None:
        # some of them come a second time
        agree(view, store, tmp_path, [rows[: cut + 2], rows[cut:]])

    always()


@pytest.mark.parametrize("data", ODD)
def test_what_is_unusual_is_parked_alone(store: SqliteTimeline, tmp_path: Path, data: Any) -> None:
    rows = [
        row(1, MetricsRecord.TYPE, 2, METRICS),
        row(2, MetricsRecord.TYPE, 2, data),
        row(3, HeartbeatRecord.TYPE, 2, {"heartbeats": []}),
    ]
    for view in VIEWS:
        agree(view, store, tmp_path, [rows])
        parked = [line for line in Seen(view, store, tmp_path).after([RawFacts(rows, 0)]) if MetricsRecord.TYPE in line]
        assert [line.split(",")[0] for line in parked] == ["(2"] * (MetricsRecord in (view.events or ()))


def test_records_that_are_usual_are_not_decoded(
    store: SqliteTimeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        row(1, MetricsRecord.TYPE, 2, METRICS),
        row(2, LogRecord.TYPE, 2, LINES),
        row(3, MetricsRecord.TYPE, 2, METRICS),
    ]
    decoded: list[int] = []
    decode = RawFacts._decoded

    def counted(self: RawFacts, one: Row) -> Entry:
        decoded.append(one[0])
        return decode(self, one)

    monkeypatch.setattr(RawFacts, "_decoded", counted)
    for view in VIEWS:
        Seen(view, store, tmp_path).after([RawFacts(rows, 0)])
    # for the time of the checkpoint
    assert set(decoded) == {3}
