"""A payload is the same before it is written and after it is read."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError

from domain.catalog import EVENTS, apart_of, payload_of
from domain.finance.invoice import InvoiceLine
from domain.finance.values import Amount, Exact, Price, Total, amount_text
from domain.fleet.values import Metrics, Severity
from domain.message import Event, adapter
from schemas.canonical_json import canonical_json
from schemas.payload import BadPayload, UnknownSchema, decode_payload, encode_payload, schema_of
from schemas.values import Day, Id, Name
from tests.examples.finance import RECEIVED
from tests.examples.fleet import HEARTBEAT
from tests.strategies import Known, instances

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)
READINGS = st.floats(allow_nan=False, allow_infinity=False)


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    greatest = 10**digits - 1
    return st.integers(-greatest, greatest).map(lambda units: Decimal(f"{units}E-{scale}"))


BY_TYPE: Known = [
    (Amount, decimals(18, 4) | st.just(Decimal("-0"))),
    (Price, decimals(28, 12)),
    (Exact, decimals(38, 16)),
    (Total, decimals(38, 8) | st.just(Decimal("-0.0"))),
    (Metrics, st.dictionaries(NAMES, READINGS, min_size=1, max_size=5)),
    (Severity, st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)),
    (Name, NAMES),
    (Id, st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}", fullmatch=True)),
    (Day, st.dates().map(str)),
    (str, st.text(max_size=20)),
    (int, st.integers(-(2**63), 2**63 - 1)),
    (float, READINGS),
    (datetime, st.datetimes(timezones=st.just(UTC))),
]


@pytest.mark.parametrize("class_", EVENTS.values(), ids=EVENTS)
@given(st.data())
def test_any_payload_is_read_as_it_was_written(class_: type[Event], data: st.DataObject) -> None:
    event = data.draw(instances(class_, BY_TYPE))
    payload = payload_of(event)
    written = encode_payload(class_.TYPE, class_.VERSION, payload)
    read = decode_payload(class_.TYPE, class_.VERSION, written)
    recorded = replace(event, **dict.fromkeys(apart_of(event)))
    assert adapter(class_).validate_python(read) == recorded
    assert canonical_json(read) == canonical_json(payload)
    assert encode_payload(class_.TYPE, class_.VERSION, read) == written
    by_avros_own_writer = BytesIO()
    fastavro.schemaless_writer(by_avros_own_writer, schema_of(class_.TYPE, class_.VERSION), payload)
    assert written == by_avros_own_writer.getvalue()


def test_amount_of_zero_is_written_without_an_exponent_or_a_sign() -> None:
    line = InvoiceLine(product="p", description="", quantity=Decimal("-0"), unit_price=Decimal(0), dated_at=None)
    assert line == adapter(InvoiceLine).validate_python(adapter(InvoiceLine).dump_python(line))
    assert canonical_json(adapter(InvoiceLine).dump_python(line)) == (
        '{"dated_at":null,"description":"","exact_price":null,"product":"p","quantity":"0.0000","unit_price":"0.0000"}'
    )
    assert canonical_json({"total": payload_of(RECEIVED)["net"] * 0}) == '{"total":"0.00000000"}'


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0.0000"), ("-0", "0.0000"), ("2.5", "2.5000"), ("-13.60495", "-13.60495000"), ("1E+3", "1000.0000")],
)
def test_amount_for_people_has_four_decimals_or_eight(amount: str, text: str) -> None:
    assert amount_text(Decimal(amount)) == text


def test_amount_that_its_schema_would_round_is_never_written() -> None:
    line = InvoiceLine(product="p", description="", quantity=Decimal("0.00001"), unit_price=Decimal(1), dated_at=None)
    with pytest.raises(PydanticSerializationError, match="Inexact"):
        adapter(InvoiceLine).dump_python(line)


def test_payload_that_does_not_fit_its_schema_is_refused() -> None:
    with pytest.raises(BadPayload, match=r"device\.retired v1"):
        encode_payload("device.retired", 1, {"reason": 7})
    with pytest.raises(BadPayload, match=r"device\.retired v1"):
        encode_payload("device.retired", 1, {})
    with pytest.raises(BadPayload, match=r"device\.retired v1"):
        encode_payload("device.retired", 1, {"reason": "half a pair: \ud800"})


def test_bytes_that_are_too_few_or_too_many_are_refused() -> None:
    raw = encode_payload(HEARTBEAT.TYPE, 1, payload_of(HEARTBEAT))
    for bad in (b"", raw[:-1], raw + b"\0"):
        with pytest.raises(BadPayload):
            decode_payload(HEARTBEAT.TYPE, 1, bad)


def test_type_or_version_that_was_never_released_is_unknown() -> None:
    for type_, version in (("device.exploded", 1), ("device.retired", 9)):
        with pytest.raises(UnknownSchema):
            decode_payload(type_, version, b"")


def test_every_payload_says_something() -> None:
    # Confluent's reader takes a message without a byte of payload for one that is none of its own
    assert [type_ for type_, class_ in EVENTS.items() if not fields(class_)] == []  # type: ignore[arg-type]
