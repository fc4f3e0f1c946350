"""Records on Kafka that are read as columns are what they are one by one, whatever their headers and bytes are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fleet.fact_records import HeartbeatRecord, LogRecord, MetricsRecord
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, Topic, Undecodable
from schemas.kafka_record import FACT_HEADERS, encode_kafka
from schemas.raw_facts import Unusual
from schemas.raw_kafka_facts import KafkaFacts
from tests.contracts.fact_columns import NOON, USUAL
from tests.schemas.said import said_in_columns, said_one_by_one
from tests.schemas.test_raw_facts import LINES, METRICS, TYPES

Headers = tuple[tuple[str, Any], ...]


class Record(NamedTuple):
    """What a consumer was given."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def having(self, name: str, value: Any) -> "Record":
        return self._replace(headers=tuple((other, value if other == name else one) for other, one in self.headers))


Row = tuple[int, Record, int | None]


def row(position: int, type_: str, version: int, data: Any, *, tenant: str = "acme", stream: str = "device-1") -> Row:
    envelope = Envelope(
        event_id=f"record-{position}",
        type=type_,
        schema_version=version,
        tenant_id=TenantId(tenant),
        stream=StreamId(stream),
        version=0,
        topic=Topic.TELEMETRY,
        partition=0,
        position=0,
        happened_at=NOON.replace(microsecond=position % 3),
        recorded_at=NOON,
        actor=Actor(ActorType.SYSTEM, "test"),
        correlation_id="request-1",
        causation_id="request-1",
        data=data,
    )
    raw = encode_kafka(envelope, 1)
    return position, Record(position - 1, raw.key, raw.value, tuple(raw.headers_from("north"))), None


_rows = st.lists(
    st.tuples(USUAL, st.sampled_from(["acme", "bolt"]), st.sampled_from(["device-1", "gateway-üñ"])), max_size=8
).map(lambda some: [row(n, *said, tenant=of, stream=stream) for n, (said, of, stream) in enumerate(some, 1)])
_ODD_BYTES = st.binary(max_size=3) | st.sampled_from([b"\xff" * 9, b"\x80\x01", b"\x00", b"|", b":", b"9", b" "])


def _cut(draw: st.DrawFn, raw: bytes) -> bytes:
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + draw(_ODD_BYTES) + raw[at + draw(st.integers(0, 3)) :]


@st.composite
def damaged(draw: st.DrawFn) -> Sequence[Row]:
    """Records of which something may be another, too much or not there."""
    rows = draw(_rows)
    for _ in range(draw(st.integers(0, 2)) if rows else 0):
        which = draw(st.integers(0, len(rows) - 1))
        position, record, appended_ms = rows[which]
        match draw(st.sampled_from(["key", "value", "header", "without", "twice", "none"])):
            case "key":
                record = record._replace(key=_cut(draw, record.key or b""))
            case "value":
                record = record._replace(value=_cut(draw, record.value or b""))
            case "header":
                name, raw = draw(st.sampled_from(record.headers)) if record.headers else ("ce_id", b"")
                record = record.having(name, _cut(draw, raw or b""))
            case "without":
                at = draw(st.integers(0, len(record.headers)))
                record = record._replace(headers=record.headers[:at] + record.headers[at + 1 :])
            case "twice":
                name = draw(st.sampled_from(FACT_HEADERS))
                record = record._replace(headers=(*record.headers, (name, draw(_ODD_BYTES))))
            case _:
                record = (
                    draw(
                        st.sampled_from(
                            [record._replace(key=None), record._replace(value=None), record._replace(headers=())]
                        )
                    )
                    if draw(st.booleans())
                    else record.having(draw(st.sampled_from(FACT_HEADERS)), None)
                )
        rows[which] = (position, record, appended_ms)
    return rows


def seen(rows: Sequence[Row], type_: str, version: int) -> Any:
    return said_in_columns(KafkaFacts(rows, 0), type_, version)


def expected(rows: Sequence[Row], type_: str, version: int) -> Any:
    return said_one_by_one(KafkaFacts(rows, 0), type_, version)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TYPES), damaged())
def test_columns_are_what_the_records_are_or_are_refused(record: Any, rows: Sequence[Row]) -> None:
    try:
        found = seen(rows, record.TYPE, record.VERSION)
    except Unusual:
        return
    assert found == expected(rows, record.TYPE, record.VERSION)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TYPES), damaged())
def test_what_does_not_concern_a_view_is_surely_of_other_types(record: Any, rows: Sequence[Row]) -> None:
    facts = KafkaFacts(rows, 0)
    try:
        concerning = {entry.position for entry in facts.concerning({record.TYPE})}
    except Unusual:
        return
    for entry in facts:
        assert (entry.position in concerning) is (entry.type == record.TYPE)
        # what a newer release wrote stops a view: it is never passed over
        assert not (isinstance(entry, Undecodable) and entry.newer)


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


_USUAL = row(9, MetricsRecord.TYPE, 2, METRICS)[1]


@pytest.mark.parametrize(
    "odd",
    [
        row(9, MetricsRecord.TYPE, 1, {"metrics": {"cpu": 1.0}, "unit": ""})[1],
        _USUAL._replace(value=(_USUAL.value or b"") + b"\x00"),
        _USUAL._replace(value=(_USUAL.value or b"")[:-1]),
        _USUAL._replace(value=b"\x01" + (_USUAL.value or b"")[1:]),
        _USUAL._replace(value=b"\x00"),
        _USUAL._replace(value=None),
        _USUAL._replace(key=b"acme"),
        _USUAL._replace(key=b"acme|\xff"),
        _USUAL._replace(headers=_USUAL.headers[:-1]),
        _USUAL._replace(headers=(*_USUAL.headers, ("traceparent", b"00-1"))),
        _USUAL._replace(headers=(*_USUAL.headers, ("ce_streamversion", b"x"))),
        _USUAL._replace(headers=()),
        *(_USUAL.having(name, b"") for name in FACT_HEADERS[5:]),
        *(_USUAL.having(name, None) for name in FACT_HEADERS[5:]),
        *(_USUAL.having(name, b"\xff") for name in FACT_HEADERS[5:]),
        _USUAL.having("ce_time", b"2026-02-30T12:00:00Z"),
        _USUAL.having("ce_time", b"0000-01-01T12:00:00Z"),
        _USUAL.having("ce_time", b"2026-01-31T12:00:00"),
        _USUAL.having("ce_recordedat", b"2026-01-31T12:00:00"),
        _USUAL.having("ce_dataschema", b"urn:factline:schema:factline.fleet.DeviceMetricsReported:99"),
        _USUAL.having("ce_type", b"device.metrics.of.tomorrow"),
    ],
)
def test_one_record_that_is_unusual_is_enough(odd: Record) -> None:
    usual = row(1, MetricsRecord.TYPE, 2, METRICS)
    assert len(seen([usual], MetricsRecord.TYPE, 2)) == 1
    with pytest.raises(Unusual):
        seen([usual, (9, odd, None)], MetricsRecord.TYPE, 2)


def test_joined_records_are_those_of_each() -> None:
    parts = [
        KafkaFacts([row(n, MetricsRecord.TYPE, 2, METRICS), row(n + 1, LogRecord.TYPE, 2, LINES)], n) for n in (3, 1)
    ]
    joined = parts[0].joined(parts[1:])
    assert joined.columns(MetricsRecord.TYPE, 2).positions.tolist() == [3, 1]
    assert joined.columns(LogRecord.TYPE, 2).positions.tolist() == [4, 2]
    assert parts[0].joined(()) is parts[0]
