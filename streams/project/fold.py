"""The log is read for a comparison just as far as the view has read it, but for what the view has passed over."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from projections.projection import Projection
from projections.rows import View
from projections.stores import ViewWriter
from schemas.envelope import Position, Topic
from streams.ports import DeadLetters, LogReader
from streams.project.parked import names_of, places, record_at
from streams.project.rebuild import BATCH
from streams.project.run import ProjectionRun
from streams.project.step import Step

Places = Mapping[tuple[Topic, int], int]


class Compared(NamedTuple):
    """A build, and what there is of it to compare: its table and its letters."""

    projection: Projection
    view: View
    store: ViewWriter
    letters: DeadLetters


class ReadTooMuch(Exception):  # noqa: N818
    """A record that was read is not in the view, or is passed over by now: read the log again, from its beginning."""


class Fold:
    """Brings what the log says into some store.

    Shape: `left_out` are the records before the run's checkpoints that were passed over. `before_batch` is told the
    place after which the records come that are read next.
    """

    def __init__(
        self,
        of: Compared,
        log: LogReader,
        run: ProjectionRun,
        on_step: Callable[[Step], None],
        *,
        left_out: Collection[Position] = (),
        before_batch: Callable[[Position], None] = lambda _place: None,
    ) -> None:
        self._of = of
        self._log = log
        self._run = run
        self._on_step = on_step
        self._before_batch = before_batch
        self.left_out = frozenset(left_out)
        self.parked = 0
        self.discarded = 0

    def read(self, until: Places) -> None:
        """Read exactly as far as the build has read, but for what it has parked and what was discarded.

        Raises: ReadTooMuch; StoreUnavailable, LogUnavailable, safe to retry.
        """
        if any(self._run.position(*place) > end for place, end in until.items()):
            raise ReadTooMuch
        parked, discarded = (places(self._of.letters, name) for name in names_of(self._of.view.table))
        self.parked, self.discarded = len(parked), len(discarded)
        left_out = parked | discarded
        if any(self._is_read(place) for place in left_out - self.left_out):
            raise ReadTooMuch
        for place in sorted(filter(self._is_read, self.left_out - left_out)):
            # retried meanwhile, and taken
            if (entry := record_at(self._log, place)) is not None:
                self._before_batch(place._replace(position=place.position - 1))
                self._run.retry(entry)
        self.left_out = left_out
        total = sum(until.values())
        for (topic, partition), end in until.items():
            while (after := self._run.position(topic, partition)) < end:
                batch = self._log.read(topic, partition, after=after, limit=min(BATCH[topic], end - after))
                # as it came where all of it is due: its records may not be decoded yet
                due = batch if batch and batch[-1].position <= end else [one for one in batch if one.position <= end]
                if not due:
                    # facts that were old are gone
                    break
                self._before_batch(Position(topic, partition, after))
                self._run.run(due, left_out=left_out)
                self._on_step(Step(sum(self._run.position(*place) for place in until), total))

    def _is_read(self, place: Position) -> bool:
        return place.position <= self._run.position(place.topic, place.partition)
