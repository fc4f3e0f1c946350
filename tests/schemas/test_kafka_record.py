"""An event as a record on Kafka is written with these headers and read back as the same event, or as unreadable."""

import pytest

from domain.catalog import EVENTS
from schemas.envelope import Envelope, Undecodable
from schemas.kafka_record import KafkaRecord, decode_kafka, encode_kafka, kafka_record, position_of
from tests.examples import EVENTS as EXAMPLES
from tests.examples import envelope_of

REGISTERED = envelope_of(EXAMPLES[EVENTS["device.registered"]])
HEARTBEAT = envelope_of(EXAMPLES[EVENTS["device.heartbeat"]])
RECORD = encode_kafka(REGISTERED, 1)
NEEDED = (
    "ce_id",
    "ce_type",
    "ce_time",
    "ce_dataschema",
    "ce_recordedat",
    "ce_correlationid",
    "ce_causationid",
    "ce_actor",
)


def read(record: KafkaRecord, envelope: Envelope) -> Envelope | Undecodable:
    return decode_kafka(record, topic=envelope.topic, partition=envelope.partition, position=envelope.position)


def test_headers_of_an_event_are_those_of_its_release_in_their_order() -> None:
    assert encode_kafka(REGISTERED._replace(traceparent="00-1-2-01"), 1).headers_from("north") == [
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/avro"),
        ("ce_source", b"urn:factline:north:acme"),
        ("ce_subject", b"device-42"),
        ("ce_tenantid", b"acme"),
        ("ce_id", b"01943b1e-7a00-7000-8000-000000000001"),
        ("ce_type", b"device.registered"),
        ("ce_time", b"2010-12-01T08:26:00Z"),
        ("ce_dataschema", b"urn:factline:schema:factline.fleet.DeviceRegistered:1"),
        ("ce_streamversion", b"1"),
        ("ce_position", b"7"),
        ("ce_recordedat", b"2026-01-31T08:30:00.250000Z"),
        ("ce_correlationid", b"request-1"),
        ("ce_causationid", b"command-1"),
        ("ce_actor", b"user:ann"),
        ("ce_organizationid", b"org-1"),
        ("traceparent", b"00-1-2-01"),
        ("ce_commandid", b"command-1"),
        ("ce_commandhash", b"000102030405060708090a0b0c0d0e0f"),
    ]


def test_a_record_without_the_headers_of_its_command_is_of_an_earlier_version() -> None:
    earlier = RECORD._replace(ce_commandid=b"", ce_commandhash=b"")
    assert read(earlier, REGISTERED) == REGISTERED._replace(command_hash=b"")
    other = REGISTERED._replace(command_id="system 1", command_hash=b"")
    assert read(encode_kafka(other, 1), other) == other


def test_a_fact_has_neither_a_version_nor_a_position() -> None:
    record = encode_kafka(HEARTBEAT, 1)
    assert (
        not {"ce_streamversion", "ce_position", "ce_commandid", "ce_commandhash"}
        & dict(record.headers_from("north")).keys()
    )
    assert position_of(record) is None
    assert read(record, HEARTBEAT) == HEARTBEAT


def test_an_envelope_without_optional_parts_is_read_back() -> None:
    envelope = REGISTERED._replace(organization_id=None, traceparent=None)
    record = encode_kafka(envelope, 1)
    assert not {"ce_organizationid", "traceparent"} & dict(record.headers_from("north")).keys()
    assert read(record, envelope) == envelope


def test_what_a_consumer_gets_is_the_record_whatever_the_order_of_its_headers() -> None:
    others = [("new", b"x"), ("value", b"no header of ours"), *reversed(RECORD.headers_from("north"))]
    assert kafka_record(RECORD.key, RECORD.value, others) == RECORD
    assert position_of(RECORD) == REGISTERED.position


@pytest.mark.parametrize(
    "record",
    [
        kafka_record(None, None, None),
        RECORD._replace(value=RECORD.value[:-1]),
        RECORD._replace(value=b""),
        RECORD._replace(value=b"\x01" + RECORD.value[1:]),
        RECORD._replace(key=b"no bar"),
        RECORD._replace(key=b"\xff|device-1"),
        *(RECORD._replace(**{name: bad}) for name in NEEDED for bad in (b"", b"\xff")),
        *(kafka_record(RECORD.key, RECORD.value, [*RECORD.headers_from("north"), (name, None)]) for name in NEEDED),
    ],
)
def test_a_record_that_can_not_be_read_is_undecodable_in_its_place(record: KafkaRecord) -> None:
    entry = decode_kafka(record, topic=REGISTERED.topic, partition=3, position=7)
    assert isinstance(entry, Undecodable)
    assert (entry.partition, entry.position, entry.raw) == (3, 7, record.value)
