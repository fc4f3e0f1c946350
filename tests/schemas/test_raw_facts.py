"""Records that are read as columns of Arrow are what they are one by one, whatever their bytes are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fleet.fact_records import HeartbeatRecord, LogRecord, MetricsRecord
from schemas.fact_record import StoredFacts, encode_fact_record
from schemas.payload import encode_payload
from schemas.raw_facts import EmbeddedFacts, Unusual
from tests.contracts.fact_columns import USUAL
from tests.schemas.said import said_in_columns, said_one_by_one

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TYPES = (MetricsRecord, LogRecord, HeartbeatRecord)
METRICS = {"series": [{"metric": "cpu", "unit": "%", "after_us": [0, 300], "values": [0.5, 1.5]}]}

_OPEN = ("id", "tool_type", "source_event_type", "event_type", "device_id", "user_id", "ingest_day")
_LINE = {"after_us": -7, "severity": "info", "summary": "", "details": "漢" * 99, "hostname": "w"}
LINES = {"lines": [{**_LINE, **dict.fromkeys(_OPEN)}]}

Row = tuple[int, str, bytes]


def row(position: int, type_: str, version: int, data: Any, *, tenant: str = "acme", stream: str = "device-1") -> Row:
    of = (UUID(int=position).bytes, type_, version, stream, NOON, NOON, "system", "test", "request-1")
    return position, tenant, encode_fact_record(StoredFacts(*of, encode_payload(type_, version, data)))


_rows = st.lists(
    st.tuples(USUAL, st.sampled_from(["acme", "bolt"]), st.sampled_from(["device-1", "gateway-üñ"])), max_size=8
).map(lambda some: [row(n, *said, tenant=of, stream=stream) for n, (said, of, stream) in enumerate(some, 1)])


@st.composite
def damaged(draw: st.DrawFn) -> Sequence[Row]:
    """Records of which some bytes may be others, too many or not there."""
    rows = draw(_rows)
    for _ in range(draw(st.integers(0, 2)) if rows else 0):
        which = draw(st.integers(0, len(rows) - 1))
        position, tenant, raw = rows[which]
        at = draw(st.integers(0, len(raw)))
        put = draw(st.binary(max_size=3) | st.sampled_from([b"\xff" * 9, b"\x80\x01", b"\x00", b"\x02"]))
        rows[which] = (position, tenant, raw[:at] + put + raw[at + draw(st.integers(0, 3)) :])
    return rows


def seen(rows: Sequence[Row], type_: str, version: int) -> Any:
    return said_in_columns(EmbeddedFacts(rows, 0), type_, version)


def expected(rows: Sequence[Row], type_: str, version: int) -> Any:
    return said_one_by_one(EmbeddedFacts(rows, 0), type_, version)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TYPES), damaged())
def test_columns_are_what_the_records_are_or_are_refused(record: Any, rows: Sequence[Row]) -> None:
    try:
        found = seen(rows, record.TYPE, record.VERSION)
    except Unusual:
        return
    assert found == expected(rows, record.TYPE, record.VERSION)


@pytest.mark.parametrize("record", TYPES)
def test_what_is_not_damaged_is_not_refused(record: Any) -> None:
    said = {
        MetricsRecord.TYPE: METRICS,
        LogRecord.TYPE: {"lines": LINES["lines"] * 70},
        HeartbeatRecord.TYPE: {"heartbeats": [{"after_us": 1 << 40, "agent_version": None}]},
    }
    rows = [row(n, type_, 2, data) for n, (type_, data) in enumerate((*said.items(), *said.items()), 1)]
    assert len(seen(rows, record.TYPE, 2)) == 2
    assert seen(rows, record.TYPE, 2) == expected(rows, record.TYPE, 2)


@pytest.mark.parametrize(
    "odd",
    [
        row(9, MetricsRecord.TYPE, 1, {"metrics": {"cpu": 1.0}, "unit": ""}),
        (9, "acme", row(9, MetricsRecord.TYPE, 2, METRICS)[2] + b"\x00"),
        (9, "acme", row(9, MetricsRecord.TYPE, 2, METRICS)[2][:-1]),
        (9, "acme", b"\xf2" + row(9, MetricsRecord.TYPE, 2, METRICS)[2][1:]),
        (9, "acme", row(9, HeartbeatRecord.TYPE, 2, {"heartbeats": []})[2] + b"\x00"),
        (9, "acme", row(9, HeartbeatRecord.TYPE, 2, {"heartbeats": []})[2][:30]),
        (9, "acme", row(9, HeartbeatRecord.TYPE, 2, {"heartbeats": []})[2].replace(b"heartbeat\x04", b"heartbeat\x06")),
        (9, "acme", b""),
    ],
)
def test_one_record_that_is_unusual_is_enough(odd: Row) -> None:
    usual = row(1, MetricsRecord.TYPE, 2, METRICS)
    assert len(seen([usual], MetricsRecord.TYPE, 2)) == 1
    with pytest.raises(Unusual):
        seen([usual, odd], MetricsRecord.TYPE, 2)


def test_records_are_decoded_when_they_are_looked_at() -> None:
    rows = [row(n, MetricsRecord.TYPE, 2, METRICS) for n in range(1, 6)]
    facts = EmbeddedFacts(rows, 3)
    assert [(one.partition, one.position) for one in facts] == [(3, n) for n in range(1, 6)]
    assert facts[-1] == list(facts)[-1]
    assert [one.position for one in facts[1:3]] == [2, 3]
    assert [one.position for one in facts.after(2, without={4})] == [3, 5]


def test_a_panic_of_the_library_is_no_more_than_unusual(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panics(*_: Any) -> Any:
        raise PanicException("not implemented")

    monkeypatch.setattr("schemas.raw_facts.pyruhvro.deserialize_array", panics)
    with pytest.raises(Unusual, match="not implemented"):
        seen([row(1, MetricsRecord.TYPE, 2, METRICS)], MetricsRecord.TYPE, 2)
