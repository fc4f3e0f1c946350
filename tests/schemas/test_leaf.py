"""An event has one leaf: the same in both profiles, after every upcast, and on every day."""

from collections.abc import Mapping
from datetime import UTC, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import upcast
from schemas.avro import INSTANT
from schemas.envelope import Actor, ActorType, Entry, Envelope, Topic
from schemas.kafka_record import decode_kafka, encode_kafka
from schemas.leaf import Written, leaf_hash, leaf_of, written_in_kafka, written_in_record
from schemas.payload import BadPayload, encode_payload
from schemas.stored_record import decode_record, encode_record
from tests.examples import envelope_of
from tests.examples.fleet import HEARTBEAT, REGISTERED

EVENT = envelope_of(REGISTERED)._replace(command_hash=b"")
WRITTEN = Written(1, encode_payload(EVENT.type, 1, EVENT.data))

GOLDEN = bytes.fromhex(
    "0101943b1e7a0070008000000000000001226465766963652e72656769737465726564020861636d650a6f72672d31126465766963652d3432"
    "0280d8e6e1a195cb04a08ac2d4dceaa406087573657206616e6e12726571756573742d3112636f6d6d616e642d3112636f6d6d616e642d3100"
    "00ae010a7765622d31020a6c696e757802043132020c7365727665720208534e2d31020844656c6c02085236343002123139322e302e322e37"
    "022230323a30303a35653a31303a30303a3037020a312e342e32020a6f72672d31"
)
GOLDEN_HASH = "501546df0b54a95fab27d1570ab6c0a48ce1206b33518bda6f7da2483766dc09"

PLACE = {"topic", "partition", "position", "place"}
"""Where an event stands in the log is not in its leaf."""

READ = {"data", "schema_version"}
"""What may be newer than what was written."""

# what Kafka's headers hold: an event is never without these ids
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
INSTANTS = st.datetimes(timezones=st.just(UTC))
CHANGES: Mapping[str, st.SearchStrategy[Any]] = {
    "event_id": st.uuids().map(str),
    "type": TEXT,
    "tenant_id": TEXT.filter(lambda text: "|" not in text),
    "stream": TEXT,
    "version": st.integers(1, 2**40),
    "happened_at": INSTANTS,
    "recorded_at": INSTANTS,
    "actor": st.builds(Actor, st.sampled_from(ActorType), TEXT),
    "correlation_id": TEXT,
    "causation_id": TEXT,
    "command_id": TEXT,
    "command_hash": st.binary(max_size=16),
    "organization_id": st.none() | TEXT,
    "traceparent": st.none() | TEXT,
}
ENVELOPES = st.fixed_dictionaries({name: made for name, made in CHANGES.items() if name != "type"}).map(
    lambda fields: EVENT._replace(**fields)
)
FIELDS = (
    ("event_id", {"type": "fixed", "name": "Uuid", "size": 16}),
    ("type", "string"),
    ("schema_version", "int"),
    ("tenant_id", "string"),
    ("organization_id", "string"),
    ("stream", "string"),
    ("version", "long"),
    ("happened_at", INSTANT),
    ("recorded_at", INSTANT),
    ("actor_type", "string"),
    ("actor_id", "string"),
    ("correlation_id", "string"),
    ("causation_id", "string"),
    ("command_id", "string"),
    ("command_hash", "bytes"),
    ("traceparent", "string"),
    ("payload", "bytes"),
)
SCHEMA = fastavro.parse_schema(
    {"type": "record", "name": "Leaf", "fields": [{"name": name, "type": type_} for name, type_ in FIELDS]}
)


def from_embedded(envelope: Envelope) -> tuple[Envelope, bytes]:
    """Return the event as the embedded log gives it back, and its leaf."""
    raw = encode_record(envelope)
    read = read_embedded(raw, envelope)
    return read, leaf_of(read, written_in_record(raw))


def read_embedded(raw: bytes, envelope: Envelope) -> Envelope:
    return decode_record(
        raw,
        tenant_id=envelope.tenant_id,
        stream=envelope.stream,
        version=envelope.version,
        type_=envelope.type,
        partition=0,
        position=envelope.position,
    )


def from_kafka(envelope: Envelope) -> tuple[Envelope, bytes]:
    """Return the event as Kafka gives it back, and its leaf."""
    record = encode_kafka(envelope._replace(position=41), 100_007)
    read: Entry = decode_kafka(record, topic=Topic.EVENTS, partition=13, position=41)
    assert isinstance(read, Envelope)
    return read, leaf_of(read, written_in_kafka(record))


def test_leaf_is_that_of_its_release() -> None:
    leaf = leaf_of(EVENT, WRITTEN)
    assert leaf == GOLDEN, f"a leaf may never change, or no proof holds; it is {leaf.hex()} now"
    assert leaf_hash(leaf).hex() == GOLDEN_HASH


def test_leaf_of_the_first_stored_record_is_that_of_its_release() -> None:
    raw = bytes.fromhex((Path(__file__).parent / "golden" / "stored_record.hex").read_text(encoding="ascii"))
    assert leaf_of(read_embedded(raw, EVENT), written_in_record(raw)) == GOLDEN


@pytest.mark.parametrize("event", [EVENT, EVENT._replace(organization_id=None, traceparent="00-1-2-01")])
def test_leaf_is_the_same_in_both_profiles(event: Envelope) -> None:
    assert from_embedded(event)[1] == from_kafka(event)[1] == leaf_of(event, WRITTEN)


@given(ENVELOPES)
def test_any_event_has_the_same_leaf_in_both_profiles(event: Envelope) -> None:
    assert from_embedded(event)[1] == from_kafka(event)[1] == leaf_of(event, WRITTEN)


def test_attribute_that_is_empty_is_none_because_kafka_cannot_tell_them_apart() -> None:
    empty = EVENT._replace(organization_id="", traceparent="")
    assert from_embedded(empty)[1] == from_kafka(empty)[1]
    assert from_embedded(empty)[1] == leaf_of(EVENT._replace(organization_id=None), WRITTEN)


def test_upcast_leaves_the_leaf_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {(EVENT.type, 1): lambda data: {**data, "hostname": "another"}}
    monkeypatch.setattr(upcast, "STEPS", steps)
    for read, leaf in (from_embedded(EVENT), from_kafka(EVENT)):
        version, data = upcast.to_newest(read.type, read.schema_version, read.data, steps)
        assert leaf == leaf_of(read._replace(schema_version=version, data=data), WRITTEN) == GOLDEN


@given(st.data())
def test_change_of_any_field_changes_the_leaf(data: st.DataObject) -> None:
    assert CHANGES.keys() | PLACE | READ == set(Envelope._fields), "is the new field in the leaf? see docs/adr/0027"
    name = data.draw(st.sampled_from(sorted(CHANGES)))
    new = data.draw(CHANGES[name].filter(lambda value: value != getattr(EVENT, name)))
    assert leaf_of(EVENT._replace(**{name: new}), WRITTEN) != GOLDEN


@given(st.integers(1, 100), st.binary(max_size=200))
def test_other_payload_or_version_of_its_schema_is_another_leaf(version: int, payload: bytes) -> None:
    written = Written(version, payload)
    assert (leaf_of(EVENT, written) == GOLDEN) == (written == WRITTEN)


@pytest.mark.parametrize("version", [0, 2])
def test_other_version_alone_is_another_leaf(version: int) -> None:
    assert leaf_of(EVENT, WRITTEN._replace(schema_version=version)) != GOLDEN


@pytest.mark.parametrize(
    "changed", [{"position": 8}, {"partition": 3}, {"schema_version": 2}, {"data": {"hostname": "another"}}]
)
def test_place_in_the_log_and_what_was_read_are_not_in_the_leaf(changed: Mapping[str, Any]) -> None:
    assert leaf_of(EVENT._replace(**changed), WRITTEN) == GOLDEN


@given(ENVELOPES)
def test_every_field_can_be_read_back_from_the_leaf_with_avros_own_reader(event: Envelope) -> None:
    leaf = leaf_of(event, WRITTEN)
    assert leaf[:1] == b"\x01"
    stream = BytesIO(leaf[1:])
    read: Any = fastavro.schemaless_reader(stream, SCHEMA, None)
    assert stream.read() == b""
    assert read == {
        **{name: getattr(event, name) for name in ("type", "tenant_id", "stream", "version")},
        **{name: getattr(event, name) for name in ("happened_at", "recorded_at", "correlation_id", "causation_id")},
        **{name: getattr(event, name) or "" for name in ("organization_id", "traceparent")},
        "event_id": bytes.fromhex(event.event_id.replace("-", "")),
        "actor_type": event.actor.type.value,
        "actor_id": event.actor.id,
        "command_id": event.command_id,
        "command_hash": event.command_hash,
        "schema_version": WRITTEN.schema_version,
        "payload": WRITTEN.payload,
    }


def test_instant_of_another_offset_and_an_id_in_capitals_are_the_same_leaf() -> None:
    elsewhere = EVENT.happened_at.astimezone(timezone(timedelta(hours=-5)))
    assert leaf_of(EVENT._replace(happened_at=elsewhere, event_id=EVENT.event_id.upper()), WRITTEN) == GOLDEN


def test_fact_has_no_leaf() -> None:
    with pytest.raises(ValueError, match=r"device\.heartbeat is a fact"):
        leaf_of(envelope_of(HEARTBEAT), WRITTEN)


def test_hash_is_that_of_rfc_9162() -> None:
    # of a leaf without bytes. Source: the reference tests of Certificate Transparency
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("raw", [b"", encode_record(EVENT)[:40]])
def test_stored_record_that_cannot_be_read_says_so(raw: bytes) -> None:
    with pytest.raises(BadPayload, match="stored record"):
        written_in_record(raw)


@pytest.mark.parametrize(
    "changed", [{"ce_dataschema": b""}, {"ce_dataschema": b"urn:x:one"}, {"value": b"\x00\x00"}, {"value": b"\x01" * 9}]
)
def test_kafka_record_that_cannot_be_read_says_so(changed: Mapping[str, bytes]) -> None:
    with pytest.raises(BadPayload, match="does not say its schema"):
        written_in_kafka(encode_kafka(EVENT, 1)._replace(**changed))
