"""This port is the log for those who keep views of it, and go on only over the one that they know."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from schemas.envelope import Topic
from streams.ports import LogReader


class ViewedLog(LogReader, Protocol):
    """The log as those read it who keep views of it: they have to know whether it is still the same one."""

    def identities(self) -> Mapping[Topic, str]:
        """Return of each topic which log, and which epoch of it, has its records; "" where nobody said it.

        Shape: what is made anew under the same name is another log. Raises: LogUnavailable, safe to retry.
        """

    def starts(self, topic: Topic) -> Sequence[int]:
        """Return of each partition up to which position its records were deleted, 0 where none were.

        Raises: LogUnavailable, safe to retry.
        """
