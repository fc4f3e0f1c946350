"""How far a view has come is known at once, and written now and then."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

from infra.clickhouse.noted_late import MOST_LATE, NotedLate, newest
from projections.rows import Checkpoint, View
from schemas.envelope import Topic

VIEW, OTHER = View("events", 1), View("log_counts", 1)


def at(position: int, partition: int = 0) -> Checkpoint:
    return Checkpoint(Topic.EVENTS, partition, position, datetime(2026, 1, 31, tzinfo=UTC), "log")


@dataclass
class Written:
    """What was written, and whether the store answers."""

    found: list[tuple[View, int]] = field(default_factory=list)
    is_away: bool = False

    def note(self, view: View, checkpoints: Iterable[Checkpoint]) -> None:
        if self.is_away:
            raise ConnectionError
        self.found += [(view, one.position) for one in checkpoints]


def test_first_is_written_at_once_and_later_ones_when_there_are_many_or_at_the_end() -> None:
    written = Written()
    noted = NotedLate(60, written.note)
    noted.reached(VIEW, [at(1)])
    noted.reached(VIEW, [at(2)])
    noted.reached(VIEW, [at(3)])
    assert written.found == [(VIEW, 1)]
    noted.reached(VIEW, [at(1 + MOST_LATE)])
    assert written.found == [(VIEW, 1), (VIEW, 1 + MOST_LATE)]
    noted.reached(VIEW, [at(2 + MOST_LATE)])
    noted.reached(OTHER, [at(7)])
    noted.note_all()
    assert written.found[2:] == [(OTHER, 7), (VIEW, 2 + MOST_LATE)]


def test_what_is_late_is_known_and_what_is_written_meanwhile_is_not_forgotten() -> None:
    noted = NotedLate(60, Written().note)
    noted.reached(VIEW, [at(1), at(5, partition=1)])
    noted.reached(VIEW, [at(2)])
    late = noted.late()[VIEW]
    assert newest([at(1), at(5, partition=1)], late) == (at(2), at(5, partition=1))
    assert newest([at(9)], late) == (at(9),)
    assert newest([at(1)], None) == (at(1),)


def test_view_that_is_dropped_leaves_nothing() -> None:
    written = Written()
    noted = NotedLate(60, written.note)
    noted.reached(VIEW, [at(1)])
    noted.reached(VIEW, [at(2)])
    noted.forget(VIEW)
    noted.note_all()
    assert written.found == [(VIEW, 1)]
    # a build of that number that is made again is written anew
    noted.reached(VIEW, [at(1)])
    assert written.found == [(VIEW, 1)] * 2


def test_what_could_not_be_written_stays_late() -> None:
    written = Written(is_away=True)
    noted = NotedLate(0, written.note)
    try:
        noted.reached(VIEW, [at(1)])
    except ConnectionError:
        written.is_away = False
    noted.note_all()
    assert written.found == [(VIEW, 1)]


def test_view_whose_store_takes_long_holds_no_other_view_up() -> None:
    begun, goes_on, found = Event(), Event(), list[View]()

    def note(view: View, _: Iterable[Checkpoint]) -> None:
        if view == VIEW:
            begun.set()
            assert goes_on.wait(60)
        found.append(view)

    noted = NotedLate(0, note)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(noted.reached, VIEW, [at(1)])
        assert begun.wait(60)
        noted.reached(OTHER, [at(7)])
        assert (found, noted.late()) == ([OTHER], {VIEW: {(Topic.EVENTS, 0): at(1)}})
        goes_on.set()
        slow.result()
    assert (found, noted.late()) == ([OTHER, VIEW], {})
