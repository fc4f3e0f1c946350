"""The instants of the examples."""

from datetime import UTC, datetime

HAPPENED_AT = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
RECORDED_AT = datetime(2026, 1, 31, 8, 30, 0, 250_000, tzinfo=UTC)
