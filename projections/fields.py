"""Views share these helpers for the id and the time of a row."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from projections.personal import kept_in_document
from projections.rows import Patch
from schemas.envelope import Envelope, StreamId


def id_of(stream: StreamId) -> str:
    return stream.partition("-")[2]


@lru_cache(maxsize=256)  # all facts of a batch have one recorded_at
def instant_text(instant: datetime) -> str:
    # always six decimals: lists sort by the text
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def decided(envelope: Envelope, fields: Mapping[str, Any]) -> tuple[Patch]:
    """Return the patch of a decided event; fields without a value are left out, personal ones stay sealed."""
    present = {name: value for name, value in kept_in_document(envelope, fields).items() if value is not None}
    return (Patch(envelope.tenant_id, id_of(envelope.stream), "events", envelope.version, present),)
