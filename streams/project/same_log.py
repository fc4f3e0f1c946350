"""A view goes on only over the log that it was made from; its checkpoints say which one that is."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from projections.rows import Checkpoint, View
from schemas.envelope import Topic
from streams.project.lag import Ends, ends_of
from streams.viewed_log import ViewedLog


class AnotherLog(Exception):  # noqa: N818
    """A build was not made from this log, or from more of it than there is; a retry gives the same answer: rebuild."""


class Extent(NamedTuple):
    """Which log it is, and from where to where its partitions go. Shape: `starts` are the last positions deleted."""

    identities: Mapping[Topic, str]
    starts: Ends
    ends: Ends

    def why_not(self, view: View, reached: Iterable[Checkpoint]) -> str | None:
        """Return why a view that has read so far must not go on over this log, None where it may.

        Shape: `reached` was read before the log was asked, or a view that follows it would seem to be ahead of it.
        """
        return next((why for at in reached if (why := self._why_not(view, at)) is not None), None)

    def _why_not(self, view: View, at: Checkpoint) -> str | None:
        place, now = (at.topic, at.partition), self.identities.get(at.topic, "")
        where, mend = f"{at.topic.value}/{at.partition}", f"`factline projections rebuild {view.name}` makes it anew"
        if at.log and now and at.log != now:
            return f"{view.table} has read {where} of another log, {at.log}, and not of this one, {now}; {mend}"
        if at.position > (end := self.ends.get(place, at.position)):
            return (
                f"{view.table} has read {where} up to {at.position}, the log ends at {end}:"
                f" an older log was restored below it; {mend}"
            )
        if 0 < at.position < (start := self.starts.get(place, 0)):
            return (
                f"{view.table} has read {where} up to {at.position}, and what came then, up to {start}, was deleted"
                f" before it was read; {mend} from what is left"
            )
        return None


def extent_of(log: ViewedLog) -> Extent:
    """Ask the log. Raises: LogUnavailable, safe to retry."""
    starts = {(topic, partition): start for topic in Topic for partition, start in enumerate(log.starts(topic))}
    return Extent(log.identities(), starts, ends_of(log))
