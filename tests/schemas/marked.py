"""Schemas with marks for tests: no released one has any yet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import fastavro
import pytest

from schemas import payload
from schemas.personal import personal_fields

MAYBE = ["null", "string"]

INVITED: Sequence[Mapping[str, Any]] = (
    {"name": "user_id", "type": "string"},
    {"name": "email", "type": "string", "personal": "user_id"},
    {"name": "name", "type": MAYBE, "personal": "user_id"},
    {"name": "manager", "type": MAYBE},
    {"name": "manager_email", "type": MAYBE, "personal": "manager"},
    {"name": "roles", "type": {"type": "array", "items": "string"}},
)
SEEN: Sequence[Mapping[str, Any]] = (
    {"name": "ip", "type": MAYBE, "personal": "stream"},
    {"name": "agent", "type": "string"},
)


@contextmanager
def released(**events: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Have these events besides those that there are: `person_invited` is `person.invited` v1."""
    more = {
        (name.replace("_", "."), 1): fastavro.parse_schema(
            {"type": "record", "name": f"factline.test.{name}", "fields": [*fields]}
        )
        for name, fields in events.items()
    }
    known = payload._schemas()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "_schemas", lambda: {**known, **more})
        personal_fields.cache_clear()
        yield
    personal_fields.cache_clear()
