"""What every TimelineReader promises, as a suite: subclass TimelineReaderContract and say how the store is opened."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest

from projections.catalog import of_role
from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.readers import Aggregate, MetricPoint
from projections.rows import Role, Row, View
from schemas.envelope import StreamId, TenantId
from tests.contracts.new_views import NOON, SECOND, Store
from tests.contracts.samples import ACME, BOLT

PROJECTIONS = of_role(Role.TIMELINE)
VIEWS = tuple(view.name for view in PROJECTIONS)
MICROSECOND = timedelta(microseconds=1)
DAY_OF_READINGS = 43_200


def reading(
    at: datetime,
    value: float,
    *,
    position: int = 1,
    tenant: TenantId = ACME,
    device: str = "web-1",
    metric: str = "cpu",
) -> MetricRow:
    return MetricRow(tenant, device, metric, at, value, "percent", position)


def line(
    n: int,
    *,
    at: datetime | None = None,
    tenant: TenantId = ACME,
    device: str = "web-1",
    severity: str = "error",
    summary: str = "disk is full",
) -> LogRow:
    at = at or NOON + n * SECOND
    return LogRow(tenant, at, f"fact-{n:04}", device, severity, "disk", "web-1.example", summary, '{"a":1}', n)


def decided(
    position: int,
    *,
    tenant: TenantId = ACME,
    stream: str = "device-1",
    version: int = 1,
    type_: str = "device.registered",
) -> EventRow:
    times = (NOON - position * SECOND, NOON + position * SECOND)
    who = ("user", "ann", "correlation-1", "causation-1", '{"hostname":"ü"}')
    return EventRow(
        tenant, StreamId(stream), version, 3, position, f"event-{position}", type_, 1, times[0], times[1], *who
    )


class TimelineReaderContract:
    """Inherit it in a class named Test…, override `open` and `place`."""

    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def bare(self, place: str) -> Iterator[Store]:
        """Open a store in which nothing was made yet."""
        store = self.open(place, PROJECTIONS)
        yield store
        store.close()

    @pytest.fixture
    def store(self, bare: Store) -> Store:
        for name in VIEWS:
            bare.create(View(name, 1))
            bare.switch(View(name, 1))
        return bare

    @staticmethod
    def write(store: Store, name: str, rows: Sequence[Row], *, build: int = 1) -> None:
        store.apply(View(name, build), rows)

    # --- metrics ----------------------------------------------------------------------------------------------------

    @staticmethod
    def points(
        store: Store,
        *,
        tenant: TenantId = ACME,
        device: str = "web-1",
        metric: str = "cpu",
        start: datetime = NOON,
        end: datetime = NOON + timedelta(days=1),
        step_s: int = 0,
        aggregate: Aggregate = "avg",
    ) -> list[MetricPoint]:
        of = {"device_id": device, "metric": metric}
        return list(
            store.points("device_metrics", tenant, of=of, start=start, end=end, step_s=step_s, aggregate=aggregate)
        )

    @staticmethod
    def metrics(store: Store, device: str = "web-1") -> list[str]:
        return list(store.series("device_metrics", ACME, of={"device_id": device}))

    def test_where_nothing_is_live_every_answer_is_empty(self, bare: Store) -> None:
        self._nothing_is_found(bare)

    def test_where_nothing_was_written_every_answer_is_empty(self, store: Store) -> None:
        self._nothing_is_found(store)

    def test_another_tenants_rows_are_never_an_answer(self, store: Store) -> None:
        self.write(store, "device_metrics", [reading(NOON, 1.0, tenant=BOLT)])
        self.write(store, "device_logs", [line(1, tenant=BOLT)])
        self.write(store, "audit_trail", [decided(1, tenant=BOLT)])
        self.write(store, "stream_history", [decided(1, tenant=BOLT)])
        self._nothing_is_found(store)

    def _nothing_is_found(self, store: Store) -> None:
        assert self.metrics(store) == []
        assert self.points(store) == []
        assert self.points(store, step_s=60) == []
        assert self.lines(store) == []
        assert self.lines(store, device="web-1", severity="error", contains="disk") == []
        assert self.events(store) == []
        assert self.history(store, "device-1", after=0, limit=10) == []

    def test_two_tenants_with_devices_of_one_name_see_their_own_rows(self, store: Store) -> None:
        self.write(store, "device_metrics", [reading(NOON, 1.0), reading(NOON, 2.0, tenant=BOLT, position=2)])
        self.write(store, "device_logs", [line(1), line(1, tenant=BOLT, summary="theirs")])
        assert self.points(store) == [MetricPoint(NOON, 1.0, 1)]
        assert self.points(store, tenant=BOLT) == [MetricPoint(NOON, 2.0, 1)]
        assert self.lines(store) == [line(1)]
        assert self.lines(store, tenant=BOLT) == [line(1, tenant=BOLT, summary="theirs")]

    def test_metric_names_are_each_once_in_order_and_of_the_device(self, store: Store) -> None:
        rows = [
            reading(NOON + at * SECOND, 1.0, metric=name, position=at)
            for at, name in enumerate(("mem", "cpu", "mem", "disk", "cpu"), 1)
        ]
        self.write(store, "device_metrics", [*rows, reading(NOON, 1.0, device="web-2", metric="load", position=9)])
        assert self.metrics(store) == ["cpu", "disk", "mem"]
        assert self.metrics(store, "web-3") == []

    def test_readings_are_oldest_first_from_start_to_before_end(self, store: Store) -> None:
        at = [NOON - MICROSECOND, NOON, NOON + MICROSECOND, NOON + SECOND - MICROSECOND, NOON + SECOND]
        rows = [reading(instant, float(n), position=n) for n, instant in enumerate(at, 1)]
        self.write(store, "device_metrics", list(reversed(rows)))
        found = self.points(store, end=NOON + SECOND)
        assert found == [MetricPoint(at[1], 2.0, 1), MetricPoint(at[2], 3.0, 1), MetricPoint(at[3], 4.0, 1)]

    def test_readings_of_other_devices_and_metrics_are_left_out(self, store: Store) -> None:
        others = [reading(NOON, 2.0, device="web-11", position=2), reading(NOON, 3.0, metric="cpu2", position=3)]
        self.write(store, "device_metrics", [reading(NOON, 1.0), *others])
        assert self.points(store) == [MetricPoint(NOON, 1.0, 1)]
        assert self.points(store, step_s=60) == [MetricPoint(NOON, 1.0, 1)]

    def test_the_span_of_a_series_is_from_its_first_to_its_last_instant(self, store: Store) -> None:
        far = timedelta(days=40)
        rows = [reading(NOON + n * far, 1.0, position=n + 1) for n in range(3)]
        rows.append(reading(NOON - far, 1.0, device="other"))
        rows.append(reading(NOON + 9 * far, 1.0, tenant=BOLT))
        self.write(store, "device_metrics", rows)
        of = {"device_id": "web-1", "metric": "cpu"}
        assert store.span("device_metrics", ACME, of=of) == (NOON, NOON + 2 * far)
        assert store.span("device_metrics", ACME, of={**of, "metric": "disk"}) is None
        self.write(store, "device_logs", [line(n) for n in (3, 1, 2)])
        assert store.span("device_logs", ACME, of={}) == (NOON + SECOND, NOON + 3 * SECOND)
        with pytest.raises(ValueError, match="ordered_by_day"):
            store.span("audit_trail", ACME, of={})

    @pytest.mark.parametrize(
        ("aggregate", "values"),
        [
            ("avg", [2.0, 10.0]),
            ("min", [-1.0, 10.0]),
            ("max", [4.0, 10.0]),
            ("sum", [6.0, 10.0]),
            ("count", [3.0, 1.0]),
            ("last", [3.0, 10.0]),
        ],
    )
    def test_each_aggregate_gives_one_point_for_a_step_that_has_readings(
        self, store: Store, aggregate: Aggregate, values: list[float]
    ) -> None:
        # 12:00 and 12:10; nothing at 12:05, so there is no point for it
        at = [NOON + 299 * SECOND, NOON, NOON + 2 * SECOND, NOON + 600 * SECOND]
        rows = [
            reading(instant, value, position=n)
            for n, (instant, value) in enumerate(zip(at, (3.0, -1.0, 4.0, 10.0), strict=True), 1)
        ]
        self.write(store, "device_metrics", rows)
        assert self.points(store, step_s=300, aggregate=aggregate) == [
            MetricPoint(NOON, values[0], 3),
            MetricPoint(NOON + 600 * SECOND, values[1], 1),
        ]

    def test_a_step_begins_at_a_multiple_of_its_seconds_since_the_epoch(self, store: Store) -> None:
        # 7 s divide no minute, so a step counted from `start` or from midnight would begin elsewhere
        self.write(store, "device_metrics", [reading(NOON + 5 * SECOND + MICROSECOND, 1.0)])
        (point,) = self.points(store, start=NOON + SECOND, step_s=7)
        assert point.at == datetime.fromtimestamp((NOON + 5 * SECOND).timestamp() // 7 * 7, UTC)

    def test_readings_outside_the_range_do_not_count_in_its_first_and_last_step(self, store: Store) -> None:
        rows = [reading(NOON + at * SECOND, float(at), position=at + 1) for at in range(120)]
        self.write(store, "device_metrics", rows)
        found = self.points(store, start=NOON + 50 * SECOND, end=NOON + 70 * SECOND, step_s=60, aggregate="count")
        assert found == [MetricPoint(NOON, 10.0, 10), MetricPoint(NOON + 60 * SECOND, 10.0, 10)]

    def test_a_day_of_readings_is_answered_completely_and_soon(self, store: Store) -> None:
        values = random.Random(7)
        rows = [reading(NOON + 2 * n * SECOND, values.uniform(0, 100), position=n + 1) for n in range(DAY_OF_READINGS)]
        for at in range(0, len(rows), 5_000):
            self.write(store, "device_metrics", rows[at : at + 5_000])
        assert self.points(store) == [MetricPoint(row.happened_at, row.value, 1) for row in rows]
        begin = perf_counter()
        found = self.points(store, step_s=300)
        assert perf_counter() - begin < 1
        assert [point.readings for point in found] == [150] * 288
        assert found[0].value == pytest.approx(sum(row.value for row in rows[:150]) / 150)

    # --- logs -------------------------------------------------------------------------------------------------------

    @staticmethod
    def lines(
        store: Store,
        *,
        tenant: TenantId = ACME,
        device: str | None = None,
        severity: str | None = None,
        contains: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> list[LogRow]:
        asked = {"device_id": device, "severity": severity}
        found = store.rows(
            "device_logs",
            tenant,
            of={column: text for column, text in asked.items() if text is not None},
            start=start,
            end=end,
            contains=contains,
            after=before,
            limit=limit,
        )
        return list(found)

    def test_log_lines_are_newest_first_then_by_fact_id_descending(self, store: Store) -> None:
        rows = [line(1), line(4, at=NOON), line(2), line(5, at=NOON), line(3)]
        self.write(store, "device_logs", rows)
        assert self.lines(store) == [line(3), line(2), line(1), line(5, at=NOON), line(4, at=NOON)]

    def test_log_lines_are_those_of_device_and_severity(self, store: Store) -> None:
        rows = [line(1), line(2, device="web-2"), line(3, severity="info"), line(4, device="web-2", severity="info")]
        self.write(store, "device_logs", rows)
        assert self.lines(store, device="web-2") == [rows[3], rows[1]]
        assert self.lines(store, severity="info") == [rows[3], rows[2]]
        assert self.lines(store, device="web-2", severity="info") == [rows[3]]
        assert self.lines(store, device="web-3") == []
        assert self.lines(store, severity="debug") == []

    def test_log_lines_are_those_of_a_program(self, store: Store) -> None:
        rows = [line(1)._replace(event_type="sshd"), line(2)._replace(event_type="sshd(pam_unix)"), line(3)]
        self.write(store, "device_logs", rows)
        for program, found in (("sshd", [rows[0]]), ("sshd(pam_unix)", [rows[1]]), ("ssh", [])):
            of = {"event_type": program}
            assert list(store.rows("device_logs", ACME, of=of, limit=9)) == found
            assert (
                list(store.rows("device_logs", ACME, of={**of, "device_id": "web-1"}, contains="k", limit=9)) == found
            )

    def test_contains_matches_a_part_of_the_summary_without_regard_to_case(self, store: Store) -> None:
        rows = [
            line(1, summary="Disk is FULL"),
            line(2, summary="ÜBERTEMPERATUR"),
            line(3, summary="100% of 'x_y' (z)"),
        ]
        self.write(store, "device_logs", rows)
        assert self.lines(store, contains="disk is full") == [rows[0]]
        assert self.lines(store, contains="K IS F") == [rows[0]]
        assert self.lines(store, contains="über") == [rows[1]]

    def test_contains_takes_every_character_as_itself(self, store: Store) -> None:
        rows = [line(1, summary="100% of 'x_y' (z) [a-z]\\d"), line(2, summary="1000 of xzy d")]
        self.write(store, "device_logs", rows)
        for text in ("0%", "x_y", "'", "(z)", "[a-z]", "\\d", "."):
            assert self.lines(store, contains=text) == ([] if text == "." else [rows[0]])

    def test_log_lines_are_from_start_to_before_end(self, store: Store) -> None:
        at = [NOON - MICROSECOND, NOON, NOON + MICROSECOND, NOON + SECOND - MICROSECOND, NOON + SECOND]
        rows = [line(n, at=instant) for n, instant in enumerate(at, 1)]
        self.write(store, "device_logs", rows)
        assert self.lines(store, start=NOON, end=NOON + SECOND) == [rows[3], rows[2], rows[1]]
        assert self.lines(store, start=NOON + SECOND) == [rows[4]]
        assert self.lines(store, end=NOON) == [rows[0]]

    @pytest.mark.parametrize(
        ("device", "severity", "contains"),
        [
            (None, None, None),
            ("web-1", None, None),
            (None, "error", None),
            (None, None, "DISK"),
            ("web-1", "error", "k"),
        ],
    )
    def test_pages_of_log_lines_give_each_line_once_and_never_anothers(
        self, store: Store, device: str | None, severity: str | None, contains: str | None
    ) -> None:
        # five lines share an instant: a page may end among them
        rows = [line(n, at=NOON + n // 5 * SECOND) for n in range(1, 24)]
        theirs = [line(n, at=NOON + n // 5 * SECOND, tenant=BOLT) for n in range(1, 24)]
        others = [line(n, at=NOON, device="web-2", severity="info", summary="x") for n in range(50, 55)]
        self.write(store, "device_logs", [*rows, *theirs, *others])
        asked = (device, severity, contains) != (None, None, None)
        found: list[LogRow] = []
        while True:
            before = (found[-1].happened_at, found[-1].fact_id) if found else None
            page = self.lines(store, device=device, severity=severity, contains=contains, before=before, limit=3)
            if not page:
                break
            assert len(page) <= 3
            found.extend(page)
        wanted = rows if asked else [*rows, *others]
        assert found == sorted(wanted, key=lambda row: (row.happened_at, row.fact_id), reverse=True)

    def test_a_page_of_log_lines_stays_within_start_and_end(self, store: Store) -> None:
        rows = [line(n) for n in range(1, 11)]
        self.write(store, "device_logs", rows)
        before = (rows[7].happened_at, rows[7].fact_id)
        found = self.lines(store, start=NOON + 5 * SECOND, end=NOON + 10 * SECOND, before=before)
        assert found == [rows[6], rows[5], rows[4]]

    # --- events -----------------------------------------------------------------------------------------------------

    @staticmethod
    def events(
        store: Store,
        *,
        tenant: TenantId = ACME,
        types: Sequence[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[EventRow]:
        of = {} if types is None else {"type": tuple(types)}
        after = None if before is None else (before,)
        return list(store.rows("audit_trail", tenant, of=of, start=start, end=end, after=after, limit=limit))

    def test_the_audit_trail_is_newest_position_first_over_all_streams(self, store: Store) -> None:
        rows = [decided(1), decided(2, stream="alert-1"), decided(3, version=2), decided(12, stream="device-0")]
        self.write(store, "audit_trail", rows)
        assert self.events(store) == [rows[3], rows[2], rows[1], rows[0]]
        assert self.events(store, limit=2) == [rows[3], rows[2]]

    def test_the_audit_trail_of_some_types_leaves_out_the_others(self, store: Store) -> None:
        types = ("device.registered", "device.retired", "alert.raised", "device.retired")
        rows = [decided(n, version=n, type_=type_) for n, type_ in enumerate(types, 1)]
        self.write(store, "audit_trail", rows)
        assert self.events(store, types=["device.retired"]) == [rows[3], rows[1]]
        assert self.events(store, types=["device.retired", "alert.raised"], limit=2) == [rows[3], rows[2]]
        assert self.events(store, types=["device"]) == []
        assert self.events(store, types=[]) == []

    def test_the_audit_trail_is_bound_by_the_time_of_recording(self, store: Store) -> None:
        rows = [decided(n, version=n) for n in range(1, 6)]
        self.write(store, "audit_trail", rows)
        assert self.events(store, start=rows[1].recorded_at, end=rows[3].recorded_at) == [rows[2], rows[1]]
        assert self.events(store, start=rows[3].recorded_at + MICROSECOND) == [rows[4]]

    def test_pages_of_the_audit_trail_give_each_event_once_and_never_anothers(self, store: Store) -> None:
        rows = [decided(2 * n, version=n) for n in range(1, 12)]
        theirs = [decided(2 * n + 1, version=n, tenant=BOLT) for n in range(1, 12)]
        self.write(store, "audit_trail", [*rows, *theirs])
        found: list[EventRow] = []
        while page := self.events(store, before=found[-1].position if found else None, limit=3):
            assert len(page) <= 3
            found.extend(page)
        assert found == list(reversed(rows))

    @staticmethod
    def history(store: Store, stream: str, *, after: int | None = None, limit: int = 100) -> list[EventRow]:
        behind = None if after is None else (after,)
        return list(store.rows("stream_history", ACME, of={"stream": stream}, after=behind, limit=limit))

    def test_a_streams_history_is_in_order_of_its_versions(self, store: Store) -> None:
        rows = [decided(10 * n, version=n) for n in (1, 2, 3, 11)]
        others = [decided(5, stream="device-11"), decided(6, stream="alert-1")]
        self.write(store, "stream_history", [*others, *rows])
        assert self.history(store, "device-1", after=0, limit=100) == rows
        assert self.history(store, "device-1", after=1, limit=2) == rows[1:3]
        assert self.history(store, "device-1", after=11, limit=2) == []
        assert self.history(store, "device-2", after=0, limit=2) == []

    def test_audit_trail_and_history_do_not_answer_for_each_other(self, store: Store) -> None:
        self.write(store, "audit_trail", [decided(1)])
        assert self.history(store, "device-1", after=0, limit=10) == []
        self.write(store, "stream_history", [decided(2, version=2)])
        assert self.events(store) == [decided(1)]

    # --- which of two rows is kept ----------------------------------------------------------------------------------

    def test_of_two_facts_with_one_identity_the_last_of_the_log_stays(self, store: Store) -> None:
        readings = [reading(NOON, 1.0, position=7), reading(NOON, 2.0, position=8)]
        lines = [line(1)._replace(position=7), line(1, summary="said again")._replace(position=8)]
        for name, rows in (("device_metrics", readings), ("device_logs", lines)):
            for tenant, order in ((ACME, (0, 1)), (BOLT, (1, 0))):
                for at in order:
                    self.write(store, name, [rows[at]._replace(tenant_id=tenant)])
                assert list(store.scan(View(name, 1), tenant)) == [rows[1]._replace(tenant_id=tenant)]

    # --- builds -----------------------------------------------------------------------------------------------------

    def test_an_open_reader_sees_a_new_build_from_the_switch_on_and_not_before(self, store: Store) -> None:
        new = View("device_metrics", 2)
        self.write(store, "device_metrics", [reading(NOON, 1.0)])
        store.create(new)
        self.write(store, "device_metrics", [reading(NOON, 2.0)], build=2)
        assert self.points(store) == [MetricPoint(NOON, 1.0, 1)]
        store.switch(new)
        assert self.points(store) == [MetricPoint(NOON, 2.0, 1)]
        store.drop(View("device_metrics", 1))
        assert self.points(store) == [MetricPoint(NOON, 2.0, 1)]
        assert self.metrics(store) == ["cpu"]
