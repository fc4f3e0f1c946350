from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.intake.files.logs.years import Turns, first_year, near

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def years(*days: str, now: datetime = NOW) -> list[int]:
    """Return the year of each day, as a file of these lines has it."""
    turns = Turns()
    found = []
    for text in days:
        month, day, *time = text.split()
        hour, minute = map(int, time[0].split(":")) if time else (0, 0)
        found.append(turns.next(MONTHS.index(month) + 1, int(day), 3600 * hour + 60 * minute))
    first = first_year(turns, now)
    return [first + turn for turn in found]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        # nearest to now, and no more than 26 hours after it
        (["Nov 26 12:00"], [2026]),
        (["Nov 27 13:59"], [2026]),
        (["Nov 27 14:01"], [2025]),
        (["Dec 10"], [2025]),
        # a step forward is the same year, however far
        (["Jan 5", "Sep 10"], [2026, 2026]),
        (["Jan 5", "Nov 20"], [2026, 2026]),
        (["Jan 20", "Dec 20"], [2025, 2025]),
        # a step back of days is late, one of months a new year
        (["Nov 20", "Nov 18", "Nov 21"], [2026, 2026, 2026]),
        (["Dec 31", "Jan 1"], [2025, 2026]),
        (["Sep 10", "Jan 5", "Sep 11"], [2025, 2026, 2026]),
        (["Sep 10", "Mar 5", "Feb 1"], [2025, 2026, 2026]),
        (["Dec 1", "Jul 1", "Jan 1"], [2024, 2025, 2026]),
        # late over the new year, also where the file begins there
        (["Dec 31", "Jan 1", "Dec 30", "Jan 2"], [2025, 2026, 2025, 2026]),
        (["Jan 1", "Dec 31", "Jan 1"], [2026, 2025, 2026]),
        # a leap day is of a year that has it
        (["Feb 29", "Mar 1"], [2024, 2024]),
        (["Dec 31", "Feb 29"], [2023, 2024]),
        ([], []),
    ],
)
def test_the_year_follows_from_the_order_of_the_lines(days: list[str], expected: list[int]) -> None:
    assert years(*days) == expected


def test_at_the_turn_of_the_year_a_clock_that_is_ahead_is_of_the_next_one() -> None:
    eve = datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert years("Dec 31", "Jan 1", now=eve) == [2026, 2027]
    assert years("Jan 2 02:00", now=eve) == [2026]


def test_a_files_own_time_counts_where_it_says_one() -> None:
    old = datetime(2019, 5, 1, tzinfo=UTC)
    assert near(NOW, old) == old
    assert near(NOW, NOW + timedelta(days=3)) == NOW
    assert near(NOW, datetime(1980, 1, 1, tzinfo=UTC)) == NOW


@given(
    steps=st.lists(st.timedeltas(timedelta(0), timedelta(days=300)), max_size=20),
    begin=st.datetimes(datetime(2001, 1, 1), datetime(2020, 1, 1)),  # noqa: DTZ001
    quiet=st.timedeltas(timedelta(0), timedelta(days=330)),
)
def test_lines_in_order_that_were_never_quiet_for_long_have_their_years_back(
    steps: list[timedelta], begin: datetime, quiet: timedelta
) -> None:
    at, instants = begin, [begin]
    for step in steps:
        at += step
        instants.append(at)
    turns = Turns()
    found = [turns.next(one.month, one.day, 0) for one in instants]
    now = (at + quiet).replace(tzinfo=UTC)
    first = first_year(turns, now)
    leap = any((one.month, one.day) == (2, 29) for one in instants)
    if not leap:
        assert [first + turn for turn in found] == [one.year for one in instants]
