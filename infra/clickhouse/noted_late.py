"""Where one process alone has the store, how far its views have come is written now and then, and known at once."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock

from projections.rows import Checkpoint, View
from schemas.envelope import Topic

MOST_LATE = 5_000

Places = dict[tuple[Topic, int], Checkpoint]


class NotedLate:
    """Keeps the checkpoints that are not written yet; any thread may call any method.

    Shape: `note` writes them. What a view has read since then is read again after a kill, and is applied once, because
    its rows have the same keys and positions; that is never more than `MOST_LATE` records of a partition.
    Units: `every_s` is between two writes of one view, 0 writes each.
    """

    def __init__(self, every_s: float, note: Callable[[View, Iterable[Checkpoint]], None]) -> None:
        self._every_s = every_s
        self._note = note
        self._lock = Lock()
        # of each view one writes at a time; those of other views go on while it waits for the store
        self._turns: defaultdict[View, Lock] = defaultdict(Lock)
        self._late: dict[View, Places] = {}
        self._written: dict[View, dict[tuple[Topic, int], int]] = {}
        self._due_at: dict[View, float] = {}

    def reached(self, view: View, checkpoints: Iterable[Checkpoint]) -> None:
        """Keep the checkpoints, and write those of the view where it is time for it. Raises: what `note` raises."""
        with self._turn(view):
            with self._lock:
                late = self._late.setdefault(view, {})
                late |= {(at.topic, at.partition): at for at in checkpoints}
                written = self._written.setdefault(view, {})
                many = any(at.position - written.get(place, 0) >= MOST_LATE for place, at in late.items())
                is_due = many or time.monotonic() >= self._due_at.get(view, 0.0)
            if is_due:
                self._write(view)

    def late(self) -> Mapping[View, Places]:
        """Return what is not written yet; asked before what is written is read, so that nothing falls in between."""
        with self._lock:
            return {view: dict(late) for view, late in self._late.items()}

    def forget(self, view: View) -> None:
        with self._turn(view), self._lock:
            for known in (self._late, self._written, self._due_at):
                known.pop(view, None)

    def note_all(self) -> None:
        """Write all that is late. Raises: what `note` raises."""
        for view in self.late():
            with self._turn(view):
                self._write(view)

    def _turn(self, view: View) -> Lock:
        with self._lock:
            return self._turns[view]

    def _write(self, view: View) -> None:
        """Write what is late of a view whose turn is held; until it is written it stays late."""
        late = self.late().get(view)
        if not late:
            return
        self._note(view, late.values())
        with self._lock:
            del self._late[view]
            self._written.setdefault(view, {}).update({place: at.position for place, at in late.items()})
            self._due_at[view] = time.monotonic() + self._every_s


def newest(noted: Iterable[Checkpoint], late: Places | None) -> Sequence[Checkpoint]:
    """Return of each topic and partition the checkpoint that is farther, in their order."""
    both: Places = {(at.topic, at.partition): at for at in noted}
    for place, at in (late or {}).items():
        if place not in both or at.position >= both[place].position:
            both[place] = at
    return tuple(both[place] for place in sorted(both))
