"""What many records of facts say, read as columns and one by one, so that a test can compare the two."""

from typing import Any

from projections.instants import to_microseconds
from schemas.envelope import UNKNOWN_TYPE, Envelope, Undecodable
from schemas.raw_facts import RawFacts


def said_in_columns(facts: RawFacts, type_: str, version: int) -> Any:
    """Return what the columns say, record by record; text, in which NaN is like NaN."""
    found = facts.columns(type_, version)
    named = zip(found.ids, found.tenants.to_pylist(), found.streams.to_pylist(), strict=True)
    of = ((*one, *at) for one, at in zip(named, zip(found.happened_us, found.positions, strict=True), strict=True))
    return [repr((*map(str, one), data)) for one, data in zip(of, found.payload.to_pylist(), strict=True)]


def said_one_by_one(facts: RawFacts, type_: str, version: int) -> Any:
    """Return what the records of a type say, all of which can be read and are of this version; text as above."""
    entries = [entry for entry in facts if entry.type in (type_, UNKNOWN_TYPE)]
    assert not any(isinstance(entry, Undecodable) for entry in entries)
    found = [entry for entry in entries if isinstance(entry, Envelope)]
    assert {fact.schema_version for fact in found} <= {version}
    return [
        repr(
            (
                fact.event_id,
                str(fact.tenant_id),
                str(fact.stream),
                str(to_microseconds(fact.happened_at)),
                str(fact.position),
                dict(fact.data),
            )
        )
        for fact in found
    ]
