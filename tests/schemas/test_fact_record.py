"""A record of facts is read as it was written; what cannot be read is said to be so, in its place."""

import pytest

from domain.catalog import payload_of
from domain.message import Event
from schemas.envelope import UNKNOWN_TYPE, Undecodable
from schemas.fact_record import StoredFacts, decode_fact_record, encode_fact_record
from schemas.payload import BadPayload, encode_payload
from tests.examples import ACME, envelope_of
from tests.examples.fleet import HEARTBEAT_RECORD, LOG_RECORD, METRICS_RECORD

RECORDS = [HEARTBEAT_RECORD, LOG_RECORD, METRICS_RECORD]


def stored(event: Event) -> StoredFacts:
    data = encode_payload(event.TYPE, event.VERSION, payload_of(event))
    at = envelope_of(event)
    return StoredFacts(
        bytes.fromhex(at.event_id.replace("-", "")),
        event.TYPE,
        event.VERSION,
        at.stream,
        at.happened_at,
        at.recorded_at,
        at.actor.type.value,
        at.actor.id,
        at.correlation_id,
        data,
    )


@pytest.mark.parametrize("event", RECORDS, ids=lambda event: event.TYPE)
def test_record_is_read_as_it_was_written(event: Event) -> None:
    read = decode_fact_record(encode_fact_record(stored(event)), tenant_id=ACME, partition=0, position=7)
    assert read == envelope_of(event)._replace(organization_id=None, causation_id="request-1")


def test_record_of_a_type_that_is_not_known_keeps_its_stream_and_bytes() -> None:
    raw = encode_fact_record(stored(METRICS_RECORD)._replace(type="device.exploded"))
    read = decode_fact_record(raw, tenant_id=ACME, partition=0, position=7)
    assert isinstance(read, Undecodable)
    assert (read.stream, read.type, read.position, read.raw) == ("device-42", "device.exploded", 7, raw)


def test_record_of_somebody_of_no_known_type_is_undecodable() -> None:
    raw = encode_fact_record(stored(METRICS_RECORD)._replace(actor_type="\x00ystem"))
    read = decode_fact_record(raw, tenant_id=ACME, partition=0, position=7)
    assert isinstance(read, Undecodable)
    assert (read.stream, read.type) == ("device-42", METRICS_RECORD.TYPE)


@pytest.mark.parametrize("raw", [b"", b"\xf2", encode_fact_record(stored(LOG_RECORD))[:20]])
def test_bytes_that_are_no_record_are_undecodable(raw: bytes) -> None:
    read = decode_fact_record(raw, tenant_id=ACME, partition=0, position=7)
    assert isinstance(read, Undecodable)
    assert (read.stream, read.type) == ("?", UNKNOWN_TYPE)


def test_record_that_does_not_fit_is_not_written() -> None:
    with pytest.raises(BadPayload, match="record of facts"):
        encode_fact_record(stored(LOG_RECORD)._replace(id=b"short"))
