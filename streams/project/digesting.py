"""Rows become digests while they are written, so that nobody has to read the log again to know what it says."""

from array import array
from collections.abc import Sequence

from projections.columns import Columns
from projections.layout import Layout
from projections.rows import Checkpoint, Row, View
from projections.stores import TakesRows, WriteRefused
from schemas.envelope import Position, Topic
from streams.ports import Clock, DeadLetters
from streams.project.digests import digests_of_columns
from streams.project.parked import places
from streams.project.remembered import Remembered


class Digesting:
    """Takes rows, and keeps their digests only."""

    def __init__(self, layout: Layout, remembered: Remembered, clock: Clock, cuts: Sequence[int]) -> None:
        self._layout = layout
        self._cuts = cuts
        self._position = list(layout.columns).index("position")
        self._remembered = remembered
        self._clock = clock
        self._after = Position(Topic.EVENTS, 0, 0)

    def come_after(self, place: Position) -> None:
        self._after = place

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        now = self._clock.now()
        return [Checkpoint(*place, at, now) for place, at in self._remembered.reached(view.table).items()]

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        if not rows:
            self._remembered.add(view.table, {}, 0, self._after, checkpoints)
            return
        try:
            columns = Columns.of(self._layout.row, rows).values
            digests = digests_of_columns(columns, self._layout, self._cuts)
            (highest,) = array("q", (max(columns[self._position]),))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            # as the stores refuse it
            raise WriteRefused(f"{view.table}: {error}") from error
        self._remembered.add(view.table, digests, highest, self._after, checkpoints)


class DigestedBuild:
    """Hands the rows of a new build to its store, and remembers digests of what the store said that it took.

    Shape: `is_known` says that what is remembered is all that the log says of the build, as far as it has read.
    """

    def __init__(self, view: View, store: TakesRows, layout: Layout, remembered: Remembered, clock: Clock) -> None:
        """Shape: nothing was written to the build yet, and nothing is remembered of it."""
        self._view = view
        self._store = store
        self._digesting = Digesting(layout, remembered, clock, ())
        self._remembered = remembered
        self._is_open = True
        self.is_known = True

    def come_after(self, place: Position) -> None:
        self._digesting.come_after(place)

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        return self._store.checkpoints(view)

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        self._store.apply(view, rows, *checkpoints)
        if self._is_open and self.is_known:
            try:
                self._digesting.apply(view, rows, *checkpoints)
            except WriteRefused:
                # though the store took it: the log has to be read again to say what is expected
                self.is_known = False

    def end(self, letters: DeadLetters) -> None:
        """Remember which records the build has passed over, and nothing of what is written from now on."""
        self._is_open = False
        self._remembered.leave_out(self._view.table, places(letters, self._view.table))
