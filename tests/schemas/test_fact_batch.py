"""A batch of facts is read as it was written; one fact that cannot be read takes no other with it."""

from uuid import UUID

import pytest

from schemas.envelope import Envelope, Undecodable
from schemas.fact_batch import StoredFact, decode_facts, encode_facts
from schemas.payload import BadPayload, encode_payload
from tests.examples import ACME, FACTS, envelope_of

ENVELOPES = [envelope_of(fact)._replace(organization_id=None, causation_id="request-1") for fact in FACTS.values()]
BATCH = [
    StoredFact(
        UUID(envelope.event_id).bytes,
        envelope.type,
        envelope.schema_version,
        envelope.stream.removeprefix("device-"),
        envelope.happened_at,
        encode_payload(envelope.type, envelope.schema_version, envelope.data),
    )
    for envelope in ENVELOPES
]


def written(*facts: StoredFact) -> bytes:
    return encode_facts(
        facts, recorded_at=ENVELOPES[0].recorded_at, actor=ENVELOPES[0].actor, batch_id=ENVELOPES[0].correlation_id
    )


def test_facts_are_read_as_they_were_written_in_their_order() -> None:
    read = decode_facts(written(*BATCH), tenant_id=ACME, partition=0, first_position=5)
    assert read == [envelope._replace(position=position) for position, envelope in enumerate(ENVELOPES, 5)]


def test_a_fact_that_cannot_be_read_is_undecodable_in_its_place() -> None:
    first, *others = BATCH
    bad, *good = decode_facts(
        written(first._replace(type="device.exploded"), *others), tenant_id=ACME, partition=0, first_position=5
    )
    assert isinstance(bad, Undecodable)
    assert (bad.type, bad.position, bad.raw) == ("device.exploded", 5, first.data)
    assert all(isinstance(entry, Envelope) for entry in good)


def test_a_batch_that_cannot_be_read_or_written_is_said_to_be_bad() -> None:
    with pytest.raises(BadPayload, match="batch of facts"):
        decode_facts(written(*BATCH)[:-1], tenant_id=ACME, partition=0, first_position=5)
    with pytest.raises(BadPayload, match="batch of facts"):
        written(BATCH[0]._replace(id=b"too short"))
