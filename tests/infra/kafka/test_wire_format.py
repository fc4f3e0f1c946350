"""What stands on the topics is read by other people's code: Confluent's deserializer and the CloudEvents SDK."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from confluent_kafka import Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from infra.migrate import schema_registry
from infra.settings import Settings
from schemas.kafka_record import decode_kafka, encode_kafka, kafka_record
from tests.cluster import Cluster
from tests.examples import EVENTS, envelope_of
from tests.examples.moments import HAPPENED_AT

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka
    from infra.engines.registry import Registry

ENVELOPES = [envelope_of(event)._replace(traceparent="00-1-2-01") for event in EVENTS.values()]


@pytest.fixture(scope="module")
def messages(kafka: "Kafka", registry: "Registry", tmp_path_factory: pytest.TempPathFactory) -> Sequence[Message]:
    """Return every event type as it comes from a topic."""
    cluster = Cluster(kafka.bootstrap)
    folder: Path = tmp_path_factory.mktemp("wire")
    ids = schema_registry(Settings(kafka.bootstrap, registry.url, folder, cluster.topics)).register()
    producer = cluster.connection.producer()
    for envelope in ENVELOPES:
        record = encode_kafka(envelope, ids[envelope.type, envelope.schema_version])
        producer.produce(
            cluster.topics.events, record.value, record.key, 0, headers=record.headers_from(cluster.topics.prefix)
        )
    producer.flush()
    consumer = cluster.connection.consumer("wire", auto_offset_reset="earliest")
    consumer.assign([TopicPartition(cluster.topics.events, 0, 0)])
    found = consumer.consume(len(ENVELOPES), 30)
    consumer.close()
    assert len(found) == len(ENVELOPES)
    return found


def test_confluents_deserializer_reads_every_event_type(messages: Sequence[Message], registry: "Registry") -> None:
    with SchemaRegistryClient({"url": registry.url}) as client:
        read = AvroDeserializer(client, conf={"subject.name.strategy": record_subject_name_strategy})
        for message, envelope in zip(messages, ENVELOPES, strict=True):
            data = read(message.value(), SerializationContext(message.topic() or "", MessageField.VALUE))
            assert data == envelope.data


def test_the_cloudevents_sdk_reads_every_event_type(messages: Sequence[Message]) -> None:
    for message, envelope in zip(messages, ENVELOPES, strict=True):
        headers: Any = dict(message.headers() or ())
        value, key = message.value(), message.key()
        assert isinstance(value, bytes)
        event = from_binary_event(KafkaMessage(headers, key, value))
        assert (event.get_id(), event.get_type(), event.get_subject()) == (
            envelope.event_id,
            envelope.type,
            envelope.stream,
        )
        assert (event.get_time(), event.get_specversion()) == (HAPPENED_AT, "1.0")
        assert event.get_datacontenttype() == "application/avro"
        assert event.get_extension("tenantid") == envelope.tenant_id
        assert event.get_extension("correlationid") == envelope.correlation_id
        data = event.get_data()
        # its own reader of contents makes text of bytes that may be text
        assert (data.encode() if isinstance(data, str) else data) == value


def test_an_event_is_read_back_exactly_as_it_was_written(messages: Sequence[Message]) -> None:
    for message, envelope in zip(messages, ENVELOPES, strict=True):
        headers: Any = message.headers()
        record = kafka_record(message.key(), message.value(), headers)
        place = {"topic": envelope.topic, "partition": envelope.partition, "position": envelope.position}
        assert decode_kafka(record, **place) == envelope  # type: ignore[arg-type]
