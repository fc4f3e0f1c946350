"""These two timeline views are known to no store: they show that a new view needs no new adapter."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import pytest

from projections.catalog import of_role
from projections.layout import Days, Every, Series, Shards
from projections.projection import Projection
from projections.readers import MetricPoint, TimelineReader
from projections.rows import Role, View
from projections.stores import ViewWriter
from schemas.envelope import TenantId, Topic
from tests.contracts.samples import ACME, BOLT

NOON = datetime(2026, 1, 31, 12, 0, 0, 0, UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Step(NamedTuple):
    """A line in the log of an execution."""

    tenant_id: TenantId
    execution_id: str
    number: int
    at: datetime
    level: str
    text: str
    position: int


class Outcome(NamedTuple):
    """How a command of a kind ended, and after how long."""

    tenant_id: TenantId
    kind: str
    finished_at: datetime
    command_id: str
    result: str
    seconds: float
    position: int


# oldest first, by a number, with a time that does not order it
STEPS = Series(
    row=Step,
    key=("tenant_id", "execution_id", "number"),
    day="at",
    series=("execution_id",),
    order=("number",),
    bucket=Every("number", 5),
    noted=Days("at", column="day"),
    filters=("level",),
    search="text",
)
# newest first, by a time, in series and shards, with points, and not in the order of its key
OUTCOMES = Series(
    row=Outcome,
    key=("tenant_id", "kind", "command_id"),
    day="finished_at",
    series=("kind",),
    order=("finished_at", "command_id"),
    newest_first=True,
    bucket=Days("finished_at"),
    shards=Shards("command_id", 3),
    filters=("result",),
    value="seconds",
    indexes=(("kind", "finished_at", "command_id"),),
)


def _view(name: str, layout: Series) -> Projection:
    return Projection(name, layout, (Topic.EVENTS,), (), lambda _envelope, _event: ())


NEW_VIEWS = (_view("execution_logs", STEPS), _view("command_results", OUTCOMES))


def step(n: int, *, tenant: TenantId = ACME, execution: str = "run-1", level: str = "info", text: str = "") -> Step:
    return Step(tenant, execution, n, NOON + n * HOUR, level, text or f"step {n}", n)


def outcome(
    n: int, *, at: datetime | None = None, tenant: TenantId = ACME, kind: str = "deploy", result: str = "done"
) -> Outcome:
    # the keys are in another order than the times
    return Outcome(tenant, kind, at or NOON + n * HOUR, f"command-{n * 7 % 30:02}", result, float(n), n)


class Store(ViewWriter, TimelineReader, Protocol):
    def close(self) -> None: ...


class NewViewsContract:
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
        store = self.open(place, (*of_role(Role.TIMELINE), *NEW_VIEWS))
        yield store
        store.close()

    @pytest.fixture
    def store(self, bare: Store) -> Store:
        for view in NEW_VIEWS:
            bare.create(View(view.name, 1))
            bare.switch(View(view.name, 1))
        return bare

    @staticmethod
    def steps(store: Store, execution: str = "run-1", *, limit: int = 100, **asked: Any) -> list[Step]:
        of = {"execution_id": execution, **asked.pop("of", {})}
        return list(store.rows("execution_logs", ACME, of=of, limit=limit, **asked))

    @staticmethod
    def outcomes(store: Store, kind: str = "deploy", *, limit: int = 100, **asked: Any) -> list[Outcome]:
        of = {"kind": kind, **asked.pop("of", {})}
        return list(store.rows("command_results", ACME, of=of, limit=limit, **asked))

    @pytest.fixture
    def many(self, store: Store) -> tuple[Sequence[Step], Sequence[Outcome]]:
        """Write rows of several buckets, days and shards, and others beside them, twice."""
        steps = [step(n, level=("info", "warn", "error")[n % 3], text=("Ärger", "fine")[n % 2]) for n in range(1, 24)]
        outcomes = [outcome(n, at=NOON + n // 4 * 5 * HOUR, result=("done", "failed")[n % 2]) for n in range(1, 24)]
        others = [step(3, execution="run-10"), step(3, tenant=BOLT), step(30, execution="run-2")]
        other_kinds = [outcome(3, kind="build"), outcome(3, tenant=BOLT)]
        for _ in range(2):
            store.apply(View("execution_logs", 1), [*reversed(steps), *others])
            store.apply(View("command_results", 1), [*outcomes, *other_kinds])
        newest_first = sorted(outcomes, key=lambda row: (row.finished_at, row.command_id), reverse=True)
        return steps, newest_first

    def test_rows_of_a_new_view_are_those_of_one_series_in_the_order_of_its_layout(
        self, store: Store, many: tuple[Sequence[Step], Sequence[Outcome]]
    ) -> None:
        steps, outcomes = many
        assert self.steps(store) == steps
        assert self.steps(store, limit=7) == steps[:7]
        assert self.steps(store, "run-10") == [step(3, execution="run-10")]
        assert self.steps(store, "run-3") == []
        assert self.outcomes(store) == outcomes
        assert self.outcomes(store, limit=7) == outcomes[:7]
        assert self.outcomes(store, "nothing") == []

    def test_pages_of_a_new_view_give_each_row_once(
        self, store: Store, many: tuple[Sequence[Step], Sequence[Outcome]]
    ) -> None:
        steps: list[Step] = []
        while page := self.steps(store, after=(steps[-1].number,) if steps else None, limit=4):
            steps += page
        outcomes: list[Outcome] = []
        while found := self.outcomes(
            store, after=(outcomes[-1].finished_at, outcomes[-1].command_id) if outcomes else None, limit=3
        ):
            outcomes += found
        assert (steps, outcomes) == (list(many[0]), list(many[1]))

    def test_a_new_view_is_filtered_by_one_value_or_several_and_by_a_part_of_its_text(
        self, store: Store, many: tuple[Sequence[Step], Sequence[Outcome]]
    ) -> None:
        steps, outcomes = many
        assert self.steps(store, of={"level": "warn"}) == [row for row in steps if row.level == "warn"]
        some = {"level": ("warn", "error")}
        assert self.steps(store, of=some, limit=5) == [row for row in steps if row.level != "info"][:5]
        assert self.steps(store, of={"level": ()}) == []
        assert self.steps(store, contains="äRG") == [row for row in steps if row.text == "Ärger"]
        assert (
            self.steps(store, of=some, contains="fine", after=(9,), limit=2)
            == [row for row in steps if row.level != "info" and row.text == "fine" and row.number > 9][:2]
        )
        assert self.outcomes(store, of={"result": "failed"}) == [row for row in outcomes if row.result == "failed"]

    def test_a_new_view_is_bound_by_time_whether_that_orders_it_or_not(
        self, store: Store, many: tuple[Sequence[Step], Sequence[Outcome]]
    ) -> None:
        for first, last in ((7, 19), (0, 12), (12, 100), (None, 12), (12, None), (12, 12)):
            start = None if first is None else NOON + first * HOUR
            end = None if last is None else NOON + last * HOUR
            self._bound(store, many, start, end)

    def _bound(
        self,
        store: Store,
        many: tuple[Sequence[Step], Sequence[Outcome]],
        start: datetime | None,
        end: datetime | None,
    ) -> None:
        steps, outcomes = many

        def within(at: datetime) -> bool:
            return (start is None or at >= start) and (end is None or at < end)

        wanted = [row for row in steps if within(row.at)]
        assert self.steps(store, start=start, end=end) == wanted
        assert self.steps(store, start=start, end=end, after=(14,)) == [row for row in wanted if row.number > 14]
        newest = [row for row in outcomes if within(row.finished_at)]
        assert self.outcomes(store, start=start, end=end) == newest
        for seen in outcomes[3], outcomes[11], outcomes[20]:
            after = (seen.finished_at, seen.command_id)
            assert self.outcomes(store, start=start, end=end, after=after) == [
                row for row in newest if (row.finished_at, row.command_id) < after
            ]

    def test_points_are_oldest_first_whatever_the_order_of_the_rows(self, store: Store) -> None:
        rows = [outcome(n, result=("done", "failed")[n % 2]) for n in range(1, 24)]
        store.apply(View("command_results", 1), [*rows, outcome(3, kind="build"), outcome(3, tenant=BOLT)])
        asked: dict[str, Any] = {"start": NOON + 2 * HOUR, "end": NOON + 20 * HOUR, "aggregate": "last"}
        found = store.points("command_results", ACME, of={"kind": "deploy"}, step_s=0, **asked)
        assert list(found) == [MetricPoint(row.finished_at, row.seconds, 1) for row in rows[1:19]]
        of = {"kind": "deploy", "result": "failed"}
        found = store.points("command_results", ACME, of=of, step_s=4 * 3600, **asked)
        assert [(point.value, point.readings) for point in found] == [
            (3.0, 1),
            (7.0, 2),
            (11.0, 2),
            (15.0, 2),
            (19.0, 2),
        ]

    def test_a_new_view_is_scanned_in_the_order_of_its_key(
        self, store: Store, many: tuple[Sequence[Step], Sequence[Outcome]]
    ) -> None:
        steps, outcomes = many
        others = [step(3, execution="run-10"), step(30, execution="run-2")]
        assert list(store.scan(View("execution_logs", 1), ACME)) == [*steps, *others]
        found = list(store.scan(View("command_results", 1), ACME))
        assert found == sorted([*outcomes, outcome(3, kind="build")], key=lambda row: (row.kind, row.command_id))

    def test_what_a_layout_does_not_allow_is_refused(self, bare: Store) -> None:
        step_of: dict[str, Any] = {"of": {"execution_id": "run-1"}, "limit": 1}
        kind: dict[str, Any] = {"of": {"kind": "deploy"}, "limit": 1}
        times: dict[str, Any] = {"start": NOON, "end": NOON + HOUR, "step_s": 0, "aggregate": "avg"}
        for refused, ask in (
            ("nothing is called", lambda: bare.rows("nothing", ACME, **kind)),
            ("one execution_id", lambda: bare.rows("execution_logs", ACME, of={}, limit=1)),
            ("one kind", lambda: bare.rows("command_results", ACME, of={"kind": ("a", "b")}, limit=1)),
            ("no filter text", lambda: bare.rows("execution_logs", ACME, of={**step_of["of"], "text": "a"}, limit=1)),
            ("no search", lambda: bare.rows("command_results", ACME, contains="a", **kind)),
            ("finished_at, command_id", lambda: bare.rows("command_results", ACME, after=(NOON,), **kind)),
            ("no value", lambda: bare.points("execution_logs", ACME, of=step_of["of"], **times)),
            ("one column", lambda: bare.series("execution_logs", ACME, of={})),
            ("one column", lambda: bare.series("device_metrics", ACME, of={})),
            ("one column", lambda: bare.series("device_logs", ACME, of={"device_id": "web-1"})),
        ):
            with pytest.raises(ValueError, match=refused):
                ask()
