"""The header of a stored record is written by hand: Avro's own writer gives the same bytes."""

from datetime import UTC, datetime
from io import BytesIO
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Actor, ActorType, Envelope
from schemas.payload import encode_payload
from schemas.stored_record import _RECORD_2, decode_record, encode_record
from tests.examples import envelope_of
from tests.examples.fleet import REGISTERED

TEXT = st.text(st.characters(codec="utf-8"), max_size=300)
INSTANTS = st.datetimes(timezones=st.just(UTC))

ENVELOPES = st.builds(
    envelope_of(REGISTERED)._replace,
    event_id=st.uuids().map(str),
    happened_at=INSTANTS,
    recorded_at=INSTANTS,
    actor=st.builds(Actor, st.sampled_from(ActorType), TEXT),
    correlation_id=TEXT,
    causation_id=TEXT | st.just("command-1"),
    command_id=st.just("command-1") | TEXT.filter(bool),
    command_hash=st.binary(max_size=20),
    organization_id=st.none() | TEXT,
    traceparent=st.none() | TEXT,
)


@given(ENVELOPES)
def test_any_record_is_written_as_avros_own_writer_does_it_and_read_as_the_same_event(envelope: Envelope) -> None:
    record = {
        **{name: getattr(envelope, name) for name in ("schema_version", "happened_at", "recorded_at")},
        **{name: getattr(envelope, name) for name in ("correlation_id", "causation_id")},
        **{name: getattr(envelope, name) for name in ("organization_id", "traceparent", "command_hash")},
        "command_id": None if envelope.command_id == envelope.causation_id else envelope.command_id,
        "event_id": UUID(envelope.event_id).bytes,
        "actor_type": envelope.actor.type.value,
        "actor_id": envelope.actor.id,
        "data": encode_payload(envelope.type, envelope.schema_version, envelope.data),
    }
    out = BytesIO()
    out.write(b"\xf2")
    fastavro.schemaless_writer(out, _RECORD_2, record)
    raw = encode_record(envelope)
    assert raw == out.getvalue()
    tenant_id, stream, version, type_ = envelope.tenant_id, envelope.stream, envelope.version, envelope.type
    partition, position = envelope.partition, envelope.position
    assert envelope == decode_record(
        raw,
        tenant_id=tenant_id,
        stream=stream,
        version=version,
        type_=type_,
        partition=partition,
        position=position,
    )


@given(st.datetimes(timezones=st.timezones()))
def test_instant_of_another_offset_is_kept_as_the_same_instant(at: datetime) -> None:
    envelope = envelope_of(REGISTERED)
    assert encode_record(envelope._replace(happened_at=at)) == encode_record(
        envelope._replace(happened_at=at.astimezone(UTC))
    )


@pytest.mark.parametrize("event_id", ["", "no-uuid", "01943b1e-7a00-7000-8000-0000000000"])
def test_event_id_that_is_no_uuid_is_not_written(event_id: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|hexadecimal"):
        encode_record(envelope_of(REGISTERED)._replace(event_id=event_id))
