"""An earlier version's batch of facts is read as it was written; one that cannot be read takes no other with it."""

import pytest

from schemas.envelope import Envelope, Undecodable
from schemas.fact_batch import decode_facts
from schemas.payload import BadPayload
from tests.examples import ACME, FACTS, envelope_of
from tests.schemas.test_golden_bytes import golden

BATCH = golden("fact_batch")
ENVELOPES = [
    envelope_of(fact)._replace(organization_id=None, causation_id="request-1")
    for fact in FACTS.values()
    # those versions knew none of ours
    if not fact.IS_OURS
]


def test_facts_are_read_as_they_were_written_in_their_order() -> None:
    read = decode_facts(BATCH, tenant_id=ACME, partition=0, first_position=5)
    assert read == [envelope._replace(position=position) for position, envelope in enumerate(ENVELOPES, 5)]


def test_a_fact_that_cannot_be_read_is_undecodable_in_its_place() -> None:
    heartbeat = b"device.heartbeat"
    damaged = BATCH.replace(heartbeat, b"device.exploded!")
    bad, *good = decode_facts(damaged, tenant_id=ACME, partition=0, first_position=5)
    assert isinstance(bad, Undecodable)
    assert (bad.type, bad.position) == ("device.exploded!", 5)
    assert all(isinstance(entry, Envelope) for entry in good)


def test_a_batch_that_cannot_be_read_is_said_to_be_bad() -> None:
    with pytest.raises(BadPayload, match="batch of facts"):
        decode_facts(BATCH[:-1], tenant_id=ACME, partition=0, first_position=5)
