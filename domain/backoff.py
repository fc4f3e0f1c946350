"""What could not be done now is tried again after a while, and each time after twice as long."""

from datetime import timedelta

_MOST_DOUBLINGS = 20
_LONGEST = timedelta(days=1)


def backoff(first: timedelta, attempts: int, longest: timedelta = _LONGEST) -> timedelta:
    """Return the time until the next attempt, after so many that failed: `first` after the first of them."""
    return min(longest, first * (1 << min(attempts - 1, _MOST_DOUBLINGS)))
