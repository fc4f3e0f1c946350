"""Moments in a query."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from read_api.edge.moments import MOMENT, is_relative


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T08:30:00Z", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2026-01-31T08:30:00+02:00", datetime(2026, 1, 31, 6, 30, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_an_instant_and_a_day_are_read_in_utc(text: str, instant: datetime) -> None:
    assert MOMENT.validate_python(text) == instant
    assert not is_relative(text)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("now", timedelta(0)),
        ("-90s", timedelta(seconds=90)),
        ("-5m", timedelta(minutes=5)),
        ("-24h", timedelta(days=1)),
        ("-7d", timedelta(days=7)),
        ("-2w", timedelta(days=14)),
    ],
)
def test_a_time_before_now_is_counted_from_the_clock(text: str, before: timedelta) -> None:
    assert is_relative(text)
    assert abs(datetime.now(UTC) - before - MOMENT.validate_python(text)) < timedelta(seconds=30)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7d", "+7d", "-7", "-7y", "- 7d", "-999999w", "1700000000", "2026-02-30", "-\u0667d"]
)
def test_what_is_no_moment_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValidationError, match="a day like 2026-01-31 or a time before now like -7d"):
        MOMENT.validate_python(text)


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="must say its offset from UTC"):
        MOMENT.validate_python("2026-01-31T08:30:00")
