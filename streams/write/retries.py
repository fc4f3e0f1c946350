"""An event on which the code of a process failed is shown to it again, by a timer whose name says which event it is."""

from datetime import datetime, timedelta
from typing import NamedTuple

from domain.backoff import backoff
from domain.process import RETRY, Wait
from schemas.envelope import StreamId

_FIRST = timedelta(seconds=10)
_LONGEST = timedelta(hours=6)

MOST_ATTEMPTS = 30
"""The last of them is some five days after the first: time to mend the code."""


class Missed(NamedTuple):
    """An event that a process failed on. Shape: `attempts` counts how often it was shown."""

    stream: StreamId
    version: int
    attempts: int = 1

    def retry(self, now: datetime) -> Wait | None:
        """Return the timer for the next attempt, None after the last one."""
        if self.attempts >= MOST_ATTEMPTS:
            return None
        return Wait(
            f"{RETRY}{self.attempts}~{self.version}~{self.stream}", now + backoff(_FIRST, self.attempts, _LONGEST)
        )

    def at_once(self, now: datetime) -> Wait:
        """Return the timer for an attempt that somebody asks for: it uses up none of those that come by themselves.

        Shape: after the last of these it is always the same one.
        """
        return Wait(f"{RETRY}{self.attempts - 1}~{self.version}~{self.stream}", now)

    @property
    def again(self) -> "Missed":
        """Return the same event, shown once more."""
        return self._replace(attempts=self.attempts + 1)


def missed_of(timer: str) -> Missed | None:
    """Return what a timer of that name is to show again, None for a timer that a process set."""
    if not timer.startswith(RETRY):
        return None
    attempts, version, stream = timer.removeprefix(RETRY).split("~", 2)
    return Missed(StreamId(stream), int(version), int(attempts))
