"""Any requests with repeats, equal lines and equal instants give in each embedded store what plain dicts say."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from infra.embedded import Embedded
from projections.rows import Role
from schemas.envelope import TenantId
from streams.ports import FactSubmission
from tests.streams.kit import TESTER

pytestmark = pytest.mark.full

BEGAN = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
UNITS = {"cpu": "percent", "load": ""}


class Request(NamedTuple):
    key: str
    facts: Sequence[FactSubmission]


instants = st.sampled_from([0, 1, 2_000_000]).map(lambda us: BEGAN + timedelta(microseconds=us))
devices = st.sampled_from(["web-1", "web-2"])
readings = st.builds(
    lambda device, at, metric, value: FactSubmission(
        device, at, DeviceMetricsReported(metrics={metric: value}, unit=UNITS[metric])
    ),
    devices,
    instants,
    st.sampled_from(list(UNITS)),
    st.sampled_from([1.0, 2.0]),
)
lines = st.builds(
    lambda device, at, text, about, id_: FactSubmission(
        device, at, LogRecorded(severity="info", summary=text, device_id=about), id_
    ),
    devices,
    instants,
    st.sampled_from(["tick", "tock"]),
    st.sampled_from([None, "web-2"]),
    st.sampled_from([None, None, "mine"]),
)
requests = st.lists(
    st.builds(Request, st.sampled_from(["", "", "a"]), st.lists(readings | lines, max_size=8)), max_size=8
)


class Model:
    """What a tenant's views must hold."""

    def __init__(self) -> None:
        self.readings: dict[tuple[str, str, datetime], float] = {}
        self.named: dict[tuple[datetime, str], tuple[str, str]] = {}
        self.lines: Counter[tuple[datetime, str, str]] = Counter()
        self._known: set[Any] = set()

    def take(self, request: Request) -> None:
        groups: dict[Any, list[FactSubmission]] = {}
        for said in request.facts:
            if said.fact_id and not self._is_new((said.device_id, said.happened_at, said.fact, said.fact_id)):
                continue
            about = said.fact.about or said.device_id
            groups.setdefault((type(said.fact), said.device_id, about, said.fact_id is not None), []).append(said)
        for (kind, device, about, named), group in groups.items():
            if kind is DeviceMetricsReported:
                self._take_readings(request.key, device, group)
            elif named:
                self.named |= {(one.happened_at, "mine"): (about, _text(one)) for one in group}
            elif self._is_new((request.key, device, about, tuple((one.happened_at, one.fact) for one in group))):
                self.lines.update((one.happened_at, about, _text(one)) for one in group)

    def _take_readings(self, key: str, device: str, group: Sequence[FactSubmission]) -> None:
        series: dict[str, dict[datetime, float]] = {}
        for one in group:
            assert isinstance(one.fact, DeviceMetricsReported)
            for metric, value in one.fact.metrics.items():
                series.setdefault(metric, {})[one.happened_at] = value
        said = tuple((metric, tuple(values.items())) for metric, values in series.items())
        if self._is_new((key, device, said)):
            self.readings |= {(device, metric, at): value for metric, values in said for at, value in values}

    def _is_new(self, what: Any) -> bool:
        is_new = what not in self._known
        self._known.add(what)
        return is_new

    @property
    def all_lines(self) -> Counter[tuple[datetime, str, str]]:
        return self.lines + Counter((at, about, text) for (at, _), (about, text) in self.named.items())


def _text(submission: FactSubmission) -> str:
    assert isinstance(submission.fact, LogRecorded)
    return submission.fact.summary


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded.open(tmp_path_factory.mktemp("facts") / "data") as opened:
        yield opened


TENANTS = (TenantId(f"t{n}") for n in count(1))


def rows_of(embedded: Embedded, role: Role, view: str, tenant_id: TenantId) -> list[Any]:
    [runner] = [runner for runner in embedded.views.runners if runner.role is role]
    return list(runner.store.scan(runner.runs[view].view, tenant_id))


@given(said=requests)
@settings(max_examples=60)
def test_views_hold_what_plain_dicts_say(embedded: Embedded, said: Sequence[Request]) -> None:
    tenant_id, model = next(TENANTS), Model()
    for key, facts in said:
        reply = embedded.log.append_facts(tenant_id, facts, TESTER, key)
        model.take(Request(key, facts))
        assert reply.accepted + reply.repeated == len(facts)
        again = embedded.log.append_facts(tenant_id, facts, TESTER, key)
        assert (again.accepted, again.repeated) == (0, len(facts))
    embedded.views.catch_up()
    for role, view in ((Role.TIMELINE, "device_metrics"), (Role.ANALYTICS, "metrics_5m")):
        rows: Mapping[Any, float] = {
            (row.device_id, row.metric, row.happened_at): row.value for row in rows_of(embedded, role, view, tenant_id)
        }
        assert rows == model.readings
    found = Counter(
        (row.happened_at, row.device_id, row.summary)
        for row in rows_of(embedded, Role.TIMELINE, "device_logs", tenant_id)
    )
    assert found == model.all_lines


def test_every_view_of_those_equals_the_log_also_after_a_rebuild(embedded: Embedded) -> None:
    operations = embedded.views.operations
    for view in ("device_metrics", "metrics_5m", "device_logs", "devices"):
        assert operations.verify(view, lambda _step: None).differences == 0
        operations.rebuild(view, lambda _step: None)
        assert operations.verify(view, lambda _step: None).differences == 0


def test_a_reading_whose_unit_changes_within_a_request_is_the_later_one(embedded: Embedded) -> None:
    tenant_id = next(TENANTS)
    said = [(1.0, "C"), (2.0, "F"), (3.0, "C")]
    facts = [FactSubmission("web-1", BEGAN, DeviceMetricsReported(metrics={"t": n}, unit=unit)) for n, unit in said]
    assert embedded.log.append_facts(tenant_id, facts, TESTER).accepted == 3
    embedded.views.catch_up()
    [row] = rows_of(embedded, Role.TIMELINE, "device_metrics", tenant_id)
    assert (row.value, row.unit) == (3.0, "C")
