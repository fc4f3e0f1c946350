"""How parked streams become free again while a worker reads on: by what it finds among the letters when it looks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sqlite.dead_letters import SqliteDeadLetters
from projections.rows import View
from schemas.envelope import Entry, Envelope, StreamId, Topic
from streams.ports import SystemClock
from streams.project.parked import Parked
from tests.examples import envelope_of
from tests.examples.fleet import TAGGED

DEVICES = View("devices", 1)


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[SqliteDeadLetters]:
    letters = SqliteDeadLetters(tmp_path / "letters.sqlite")
    yield letters
    letters.close()


@pytest.fixture
def parked(letters: SqliteDeadLetters) -> Parked:
    """Park a stream with poison at position 1 and what follows it at 2 and 3, and another with poison at 4."""
    parked = Parked(DEVICES, letters, SystemClock())
    poison, other = parked.poison(event(1), "no such room"), parked.poison(event(4, "device-2"), "no such room")
    parked.park([poison, parked.follower(event(2)), parked.follower(event(3)), other])
    return parked


def event(position: int, stream: str = "device-1") -> Envelope:
    return envelope_of(TAGGED)._replace(
        stream=StreamId(stream), topic=Topic.EVENTS, partition=0, position=position, version=position
    )


class Applies:
    """Takes records, or refuses them from some position on."""

    def __init__(self, before: int = 100) -> None:
        self.positions: list[int] = []
        self._before = before

    def __call__(self, entry: Entry) -> str | None:
        if entry.position >= self._before:
            return "no such room"
        self.positions.append(entry.position)
        return None


def streams(parked: Parked) -> set[str]:
    return {str(stream) for _, stream in parked.streams}


def positions(letters: SqliteDeadLetters) -> list[int]:
    return [letter.position for letter in letters.letters(DEVICES.table)]


def remove(letters: SqliteDeadLetters, *gone: int) -> None:
    letters.remove([letter for letter in letters.letters(DEVICES.table) if letter.position in gone])


def test_stream_whose_poison_is_there_stays_parked(parked: Parked, letters: SqliteDeadLetters) -> None:
    parked.look(apply := Applies())
    assert (streams(parked), apply.positions) == ({"device-1", "device-2"}, [])
    assert positions(letters) == [1, 2, 3, 4]


def test_stream_that_was_set_free_takes_what_followed_in_order(parked: Parked, letters: SqliteDeadLetters) -> None:
    remove(letters, 1)
    parked.look(apply := Applies())
    assert (streams(parked), apply.positions) == ({"device-2"}, [2, 3])
    assert positions(letters) == [4]


def test_follower_that_is_poison_itself_holds_its_stream(parked: Parked, letters: SqliteDeadLetters) -> None:
    remove(letters, 1)
    parked.look(apply := Applies(before=3))
    assert (streams(parked), apply.positions) == ({"device-1", "device-2"}, [2])
    assert [(letter.position, letter.attempts) for letter in letters.letters(DEVICES.table)] == [(3, 1), (4, 1)]


def test_stream_without_a_letter_is_free_at_the_next_look(parked: Parked, letters: SqliteDeadLetters) -> None:
    parked.look(Applies())
    remove(letters, 1, 2, 3)
    parked.look(apply := Applies())
    assert (streams(parked), apply.positions) == ({"device-2"}, [])


def test_what_followed_before_the_last_look_is_for_the_operator_to_retry(
    parked: Parked, letters: SqliteDeadLetters
) -> None:
    parked.look(Applies())
    parked.park([parked.follower(event(5))])
    remove(letters, 1)
    parked.look(apply := Applies())
    assert (streams(parked), apply.positions) == ({"device-1", "device-2"}, [])
    assert positions(letters) == [2, 3, 4, 5]
