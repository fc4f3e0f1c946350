"""What one request says of one stream becomes one record, whose id says what is in it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.fact_records import MAX_CHARACTERS, MAX_READINGS
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported, LogRecorded
from domain.message import Fact
from schemas.envelope import TenantId
from streams.facts import Record, own_keys, pack
from streams.ports import FactSubmission
from tests.examples import ACME
from tests.examples.moments import HAPPENED_AT


def said(fact: Fact, us: int = 0, device: str = "1", id_: str | None = None) -> FactSubmission:
    return FactSubmission(device, HAPPENED_AT + timedelta(microseconds=us), fact, id_)


def metrics(us: int = 0, device: str = "1", unit: str = "", **values: float) -> FactSubmission:
    return said(DeviceMetricsReported(metrics=values, unit=unit), us, device)


def line(us: int = 0, summary: str = "tick", id_: str | None = None, about: str | None = None) -> FactSubmission:
    return said(LogRecorded(severity="info", summary=summary, device_id=about), us, id_=id_)


def only(records: Sequence[Record]) -> Record:
    [record] = records
    return record


def test_facts_of_each_stream_and_type_are_one_record_in_the_order_in_which_they_are_named() -> None:
    beat = said(DeviceHeartbeat(agent_version="1"), 3)
    records = pack(ACME, [metrics(cpu=1), metrics(device="2", cpu=2), line(), metrics(1, cpu=3), beat])
    assert [(record.type, record.stream, record.items) for record in records] == [
        ("device.metrics.reported", "device-1", 2),
        ("device.metrics.reported", "device-2", 1),
        ("log.recorded", "device-1", 1),
        ("device.heartbeat", "device-1", 1),
    ]
    assert all(record.schema_version == 2 for record in records)


def test_time_of_a_record_is_that_of_its_earliest_item() -> None:
    record = only(pack(ACME, [metrics(7, cpu=1), metrics(5, cpu=2), metrics(9, load=3)]))
    assert record.happened_at == HAPPENED_AT + timedelta(microseconds=5)
    assert record.data["series"] == [
        {"metric": "cpu", "unit": "", "after_us": [2, 0], "values": [1, 2]},
        {"metric": "load", "unit": "", "after_us": [4], "values": [3]},
    ]


def test_of_two_readings_of_one_instant_the_later_one_is_kept_and_two_metrics_of_one_instant_both() -> None:
    record = only(pack(ACME, [metrics(cpu=1), metrics(load=5), metrics(cpu=2)]))
    assert [series["values"] for series in record.data["series"]] == [[2], [5]]
    assert (record.facts, record.items) == (2, 2)


def test_where_the_unit_changes_another_record_begins_so_that_the_later_one_counts() -> None:
    records = pack(ACME, [metrics(unit="C", t=1), metrics(unit="F", t=2), metrics(unit="C", t=1)])
    assert [record.data["series"][0]["unit"] for record in records] == ["C", "F", "C"]
    assert len({record.id for record in records}) == 3


def test_two_equal_lines_are_two_and_of_two_with_one_id_the_later_is_kept() -> None:
    assert only(pack(ACME, [line(), line()])).items == 2
    record = only(pack(ACME, [line(id_="a"), line(id_="a", summary="tock"), line(1, id_="a")]))
    assert [one["summary"] for one in record.data["lines"]] == ["tock", "tick"]
    assert record.facts == 2


def test_a_record_stays_small() -> None:
    many = [metrics(n, cpu=n) for n in range(MAX_READINGS + 1)]
    assert [record.items for record in pack(ACME, many)] == [MAX_READINGS, 1]
    long = [line(summary="ä" * 60_000)] * 3
    records = pack(ACME, long)
    assert all(len(record.data.avro) < 4 * MAX_CHARACTERS for record in records)
    # equal lines in different records are different lines
    assert len({record.id for record in records}) == 3


def test_a_record_is_about_the_device_that_its_lines_name() -> None:
    records = pack(ACME, [line(about="9"), line(), line(1, about="9")])
    assert [(record.stream, record.about, record.items) for record in records] == [
        ("device-1", "device-9", 2),
        ("device-1", "device-1", 1),
    ]


def test_the_same_request_has_the_same_ids_and_any_other_has_others() -> None:
    request = [metrics(cpu=1), line()]
    ids = [record.id for record in pack(ACME, request)]
    assert [record.id for record in pack(ACME, list(request))] == ids
    others = [
        pack(TenantId("bolt"), request),
        pack(ACME, request, "key"),
        pack(ACME, [metrics(1, cpu=1), line(1)]),
        pack(ACME, [metrics(cpu=2), line(summary="tock")]),
        pack(ACME, [metrics(cpu=1, device="2"), line(id_="own")]),
    ]
    found = {record.id for records in others for record in records}
    assert len(found) == 10
    assert found.isdisjoint(ids)


def test_facts_with_an_id_do_not_change_the_record_of_those_without() -> None:
    alone = only(pack(ACME, [line()]))
    assert alone.id in {record.id for record in pack(ACME, [line(id_="a"), line(), line(id_="b")])}


@pytest.mark.parametrize("key", ["", "key"])
def test_ids_are_what_they_were_at_their_release(key: str) -> None:
    request = [metrics(cpu=0.75, unit="ratio"), line(id_="a"), said(DeviceHeartbeat(agent_version="1.4.2"))]
    released = {"": RELEASED[:3], "key": RELEASED[3:]}
    assert [str(UUID(bytes=record.id)) for record in pack(ACME, request, key)] == released[key]


RELEASED = [
    "df68f533-2cc5-83af-aac3-8da8a6e3d54e",
    "a563795a-3093-8833-b183-ad19579ccbe0",
    "a286ae9a-f490-8dfd-8313-212ce11f16e1",
    "ba6405e9-f466-83a9-9b08-502f002b3d78",
    "ad7f11f2-5305-8280-9ba1-28358eaee689",
    "0776dcf1-0034-8d26-99ba-f5d412377476",
]


def test_own_key_is_of_the_id_and_what_is_said() -> None:
    named = [line(id_="a"), line(id_="b"), line(1, id_="a"), line(id_="a", summary="x")]
    keys = own_keys(ACME, named)
    assert None not in keys
    assert len(set(keys)) == 4
    assert own_keys(ACME, [line(), named[0], metrics(cpu=1)._replace(fact_id="a"), named[1]]) == [
        None,
        keys[0],
        None,
        keys[1],
    ]


NAMES = st.none() | st.text(min_size=1, max_size=5)
FACTS = st.one_of(
    st.builds(LogRecorded, severity=st.just("info"), summary=st.text(max_size=9), user_id=NAMES, hostname=NAMES),
    st.builds(DeviceHeartbeat, agent_version=NAMES),
)
NAMED = st.builds(said, FACTS, st.integers(-(10**15), 10**15), st.sampled_from("12"), st.text(min_size=1, max_size=3))


@given(facts=st.lists(NAMED, max_size=6))
def test_own_keys_of_many_are_those_of_each_as_a_request_of_its_own(facts: Sequence[FactSubmission]) -> None:
    assert own_keys(ACME, facts) == [only(pack(ACME, [fact], f"own {fact.fact_id}")).id for fact in facts]
