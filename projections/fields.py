"""How a row says whose it is, when, and which of two is kept."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from projections.rows import Patch
from schemas.envelope import Envelope, StreamId

_BEYOND = 1 << 40
"""More records than a partition will ever have; as microseconds since 1970, which Cassandra takes it for, long ago."""


def earlier_wins(position: int) -> int:
    """Return the position to keep a fact's row under, where stores keep the row with the greater one.

    Shape: of two facts that say different things in one identity the first stays, also where the log itself does not
    notice, as Kafka does not.
    """
    return _BEYOND - position


def id_of(stream: StreamId) -> str:
    return stream.partition("-")[2]


@lru_cache(maxsize=256)  # all facts of a batch have one recorded_at
def instant_text(instant: datetime) -> str:
    # always six decimals: lists sort by the text
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def decided(envelope: Envelope, fields: Mapping[str, Any]) -> tuple[Patch]:
    """Return the patch of a decided event; fields without a value are left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    return (Patch(envelope.tenant_id, id_of(envelope.stream), "events", envelope.version, present),)
