"""A view of facts that is projected in columns is what it is row by row: subclass FactColumnsContract."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from math import nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.fleet.fact_records import HeartbeatRecord, LogRecord, MetricsRecord
from infra.sqlite.dead_letters import SqliteDeadLetters
from projections.catalog import of_role
from projections.projection import Projection
from projections.rows import Role, View
from projections.stores import ViewWriter
from schemas.envelope import UNKNOWN_TYPE, Actor, ActorType, Entry, Envelope, StreamId, TenantId, Topic, Undecodable
from streams.newer import NeedsUpdate
from streams.ports import SystemClock
from streams.project.run import ProjectionRun

EXAMPLES = 60
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY_US = 86_400_000_000
BUILDS = count(1)

_tenants = st.sampled_from(["acme", "bolt"])
_streams = st.sampled_from(["device-1", "device-2", "device-gateway"])
_instants = st.sampled_from([NOON, NOON + timedelta(hours=11, minutes=59), NOON + timedelta(microseconds=1)])
_after = st.sampled_from([0, 1, 2, 59_000_000, 60_000_000_000, DAY_US, -1])
_numbers = st.sampled_from([0.0, -0.0, 0.1, 1e300, -5e-324]) | st.floats(allow_nan=False, allow_infinity=False)
_texts = st.sampled_from(["", "cpu °C", "üñ 漢 🚀 'quoted' \\ {}"])
_maybe = st.none() | st.sampled_from(["sshd", "web-1"])

_readings = st.lists(st.tuples(_after, _numbers), max_size=4).map(
    lambda some: {"after_us": [after for after, _ in some], "values": [number for _, number in some]}
)
_series = st.builds(
    lambda metric, unit, readings: {"metric": metric, "unit": unit, **readings},
    st.sampled_from(["cpu", "ram"]),
    st.sampled_from(["", "%"]),
    _readings,
)
_line = st.fixed_dictionaries(
    {
        "after_us": _after,
        "id": st.none() | st.sampled_from(["6f1d3c5e-0000-5000-8000-000000000001"]),
        "severity": st.sampled_from(["info", "error"]),
        "summary": _texts,
        "tool_type": st.none(),
        "source_event_type": st.none(),
        "event_type": _maybe,
        "device_id": _maybe,
        "user_id": _maybe,
        "hostname": _maybe,
        "details": _texts,
        "ingest_day": st.none(),
    }
)
_line_of_before = _line.map(lambda line: {name: line[name] for name in line if name not in ("after_us", "id")})
_heartbeat = st.just({"heartbeats": [{"after_us": 0, "agent_version": None}]})

_Said = tuple[str, int, Mapping[str, Any] | str]


def _said(type_: str, version: int, data: st.SearchStrategy[Mapping[str, Any]]) -> st.SearchStrategy[_Said]:
    return st.tuples(st.just(type_), st.just(version), data)


USUAL: st.SearchStrategy[_Said] = st.one_of(
    _said(MetricsRecord.TYPE, 2, st.fixed_dictionaries({"series": st.lists(_series, max_size=3)})),
    _said(LogRecord.TYPE, 2, st.fixed_dictionaries({"lines": st.lists(_line, max_size=4)})),
    _said(
        MetricsRecord.TYPE,
        1,
        st.fixed_dictionaries({"metrics": st.dictionaries(st.sampled_from(["cpu", "ram"]), _numbers), "unit": _texts}),
    ),
    _said(LogRecord.TYPE, 1, _line_of_before),
    _said(HeartbeatRecord.TYPE, 2, _heartbeat),
)

_OPTIONAL = ("tool_type", "source_event_type", "event_type", "device_id", "user_id", "hostname", "ingest_day")
_ONE: Mapping[str, Any] = {"metric": "cpu", "unit": "%", "after_us": [0], "values": [1.0]}
PLAIN: Sequence[_Said] = (
    (MetricsRecord.TYPE, 2, {"series": [_ONE]}),
    (HeartbeatRecord.TYPE, 2, {"heartbeats": []}),
    (LogRecord.TYPE, 1, {"severity": "info", "summary": "", "details": "", **dict.fromkeys(_OPTIONAL)}),
)
UNUSUAL: Sequence[_Said] = (
    (MetricsRecord.TYPE, 2, {"series": [_ONE, {**_ONE, "values": [nan]}]}),
    (MetricsRecord.TYPE, 2, {"series": [{**_ONE, "values": [1.0, 2.0]}, {**_ONE, "after_us": [0, 1]}]}),
    (MetricsRecord.TYPE, 2, {"series": [_ONE, {**_ONE, "after_us": [2**62]}]}),
    (MetricsRecord.TYPE, 2, {"series": [{"metric": "cpu"}]}),
    (MetricsRecord.TYPE, 2, {}),
    (LogRecord.TYPE, 2, {"lines": [{"after_us": 0, "id": None}]}),
    (LogRecord.TYPE, 1, {"summary": "no severity"}),
    (MetricsRecord.TYPE, 0, "cannot be read"),
    (LogRecord.TYPE, 0, "cannot be read"),
    (HeartbeatRecord.TYPE, 0, "cannot be read"),
    (UNKNOWN_TYPE, 0, "cannot be read"),
    (MetricsRecord.TYPE, 3, "of a newer release"),
    (LogRecord.TYPE, 3, "of a newer release"),
)


def _entry(position: int, tenant: str, stream: str, at: datetime, said: _Said) -> Entry:
    type_, version, data = said
    if isinstance(data, str):
        of = (TenantId(tenant), StreamId(stream))
        return Undecodable(*of, type_, Topic.TELEMETRY, 0, position, b"?", data, newer=version == 3)
    return Envelope(
        event_id=f"record-{position}",
        type=type_,
        schema_version=version,
        tenant_id=TenantId(tenant),
        stream=StreamId(stream),
        version=0,
        topic=Topic.TELEMETRY,
        partition=0,
        position=position,
        happened_at=at,
        recorded_at=NOON,
        actor=Actor(ActorType.SYSTEM, "test"),
        correlation_id="request-1",
        causation_id="request-1",
        data=data,
    )


@st.composite
def batches(draw: st.DrawFn) -> Sequence[Sequence[Entry]]:
    """Records of one partition as they may be delivered; in half of the examples nothing is unusual."""
    said = USUAL if draw(st.booleans()) else st.one_of(USUAL, USUAL, st.sampled_from(UNUSUAL))
    records = draw(st.lists(st.tuples(st.integers(1, 3), _tenants, _streams, _instants, said), min_size=1, max_size=12))
    positions = accumulate(record[0] for record in records)
    entries = [
        _entry(position, tenant, stream, at, one)
        for position, (_, tenant, stream, at, one) in zip(positions, records, strict=True)
    ]
    cuts = sorted(draw(st.lists(st.integers(0, len(entries)), max_size=3)))
    return [entries[start:end] for start, end in zip([0, *cuts], [*cuts, len(entries)], strict=True)]


class Seen:
    """What became of records in one build: as text, in which NaN is like NaN."""

    def __init__(self, projection: Projection, store: ViewWriter, folder: Path) -> None:
        self._view = View(projection.name, next(BUILDS))
        self._store = store
        self._letters = SqliteDeadLetters(folder / "letters.sqlite")
        store.create(self._view)
        self._run = ProjectionRun(projection, self._view, store, self._letters, SystemClock())

    def after(self, batches: Sequence[Sequence[Entry]]) -> list[str]:
        stopped = ""
        try:
            for batch in batches:
                self._run.run(batch)
        except NeedsUpdate as error:
            stopped = str(error).replace(self._view.table, "")
        letters = [
            (letter.position, letter.tenant_id, letter.stream, letter.type, letter.attempts)
            for letter in self._letters.letters(self._view.table)
        ]
        self._letters.close()
        places = [at[:3] for at in self._store.checkpoints(self._view)]
        rows = [row for tenant in self._store.tenants(self._view) for row in self._store.scan(self._view, tenant)]
        misplaced = [list(self._store.misplaced(self._view, TenantId(tenant))) for tenant in ("acme", "bolt")]
        self._store.drop(self._view)
        return [stopped, *map(repr, letters), *map(repr, places), *map(repr, misplaced), *map(repr, rows)]


class FactColumnsContract:
    """Inherit it in a class named Test…, set `role` and override `store`, which keeps all views of its role."""

    role: Role
    examples = EXAMPLES

    @pytest.fixture
    def store(self) -> ViewWriter:
        raise NotImplementedError

    def test_columns_are_what_the_rows_are(self, store: ViewWriter, tmp_path: Path) -> None:
        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(self.views()), batches())
        def agree(view: Projection, batches: Sequence[Sequence[Entry]]) -> None:
            compare(view, store, tmp_path, batches)

        agree()

    def test_a_batch_in_which_nothing_is_unusual_is_not_projected_row_by_row(
        self, store: ViewWriter, tmp_path: Path
    ) -> None:
        def no_rows(*_: Any) -> Any:
            raise AssertionError("row by row")

        batch = [_entry(n, "acme", "device-1", NOON, said) for n, said in enumerate(PLAIN, 1)]
        for view in self.views():
            stopped, *rest = Seen(replace(view, project=no_rows), store, tmp_path).after([batch])
            assert stopped == ""
            # one checkpoint, the misplaced of two tenants, one row
            assert len(rest) == 4

    def views(self) -> Sequence[Projection]:
        found = [view for view in of_role(self.role) if view.project_columns is not None]
        assert found
        return found


class UnusualFactsContract(FactColumnsContract):
    """For stores that make tables quickly; it is the run and not the store that looks at what is unusual."""

    def test_each_unusual_record_leaves_what_it_leaves_row_by_row(self, store: ViewWriter, tmp_path: Path) -> None:
        for view in self.views():
            for said in UNUSUAL:
                compare(
                    view,
                    store,
                    tmp_path,
                    [[_entry(n, "acme", "device-1", NOON, one) for n, one in enumerate((*PLAIN, said, *PLAIN), 1)]],
                )


def compare(view: Projection, store: ViewWriter, folder: Path, batches: Sequence[Sequence[Entry]]) -> None:
    by_columns = Seen(view, store, folder).after(batches)
    by_row = Seen(replace(view, project_columns=None), store, folder).after(batches)
    assert by_columns == by_row
