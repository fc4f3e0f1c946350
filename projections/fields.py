"""Views share these helpers for the id and the time of a row."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from projections.personal import kept_in_document
from projections.rows import Patch
from schemas.envelope import Envelope, id_of


@lru_cache(maxsize=256)  # all facts of a batch have one recorded_at
def instant_text(instant: datetime) -> str:
    # always six decimals: lists sort by the text
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def decided(envelope: Envelope, fields: Mapping[str, Any]) -> tuple[Patch]:
    """Return the patch of a decided event; fields without a value are left out, personal ones stay sealed."""
    present = {name: value for name, value in kept_in_document(envelope, fields).items() if value is not None}
    return (Patch(envelope.tenant_id, id_of(envelope.stream), "events", envelope.version, present),)


FIRST_ORDER = 1 << 40
"""More records than a partition had before facts were kept in arrays; as microseconds since 1970, which Cassandra takes
the number of a row for, long ago."""


def fact_order(envelope: Envelope) -> int:
    """Return the number that a row of a fact has as its `position`: stores keep the row with the greater one.

    Shape: of today's records the last one counts, and more than any fact of an earlier version. Of these the first one
    counts, as it did when they were recorded, so their number falls. Source: docs/adr/0030.
    """
    return FIRST_ORDER + envelope.position if envelope.schema_version > 1 else FIRST_ORDER - envelope.position


def heard_order(envelope: Envelope) -> int:
    """Return a number that grows with the records of a device's facts, also where its partition was changed."""
    return FIRST_ORDER + envelope.position if envelope.schema_version > 1 else envelope.position
