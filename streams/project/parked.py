"""This keeps what a view could not take, with the streams parked behind it, and brings it in again."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from projections.operations import DeadLetter
from projections.rows import View
from schemas.envelope import Entry, Position, StreamKey, Topic
from streams.ports import Clock, DeadLetters, LogReader

_LOG = logging.getLogger(__name__)

MAX_POISON_IN_BATCH = 100
"""More records than this that a view cannot take, in one batch, are a bad release and not bad records."""

MAX_FOLLOWERS = 1_000
"""With more of them between two looks, streams stay parked until they are retried in a calmer moment."""

Apply = Callable[[Entry], str | None]
"""Brings one record into the view; returns why it still cannot take it. Raises: StoreUnavailable, safe to retry."""


class TooMuchPoison(Exception):  # noqa: N818
    """A view refused so many records that it must stop: retrying does not help, a fixed projection does."""


class Parked:
    """The dead letters of one table, for whoever reads the log into it.

    Shape: `streams` are parked: what they bring waits behind the letters that are there of them.
    """

    def __init__(self, view: View, dead_letters: DeadLetters, clock: Clock) -> None:
        self.streams = dead_letters.parked_streams(view.table)
        self._view = view
        self._dead_letters = dead_letters
        self._clock = clock
        # what was parked of parked streams since the last look
        self._followers: deque[Entry] = deque(maxlen=MAX_FOLLOWERS)

    def poison(self, entry: Entry, reason: str) -> DeadLetter:
        return self._letter(entry, reason, attempts=1)

    def follower(self, entry: Entry) -> DeadLetter:
        self._followers.append(entry)
        return self._letter(entry, "an earlier record of its stream is parked", attempts=0)

    def park(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, and park their streams. Raises: StoreUnavailable, safe to retry; TooMuchPoison."""
        if not letters:
            return
        poison = [letter for letter in letters if letter.attempts]
        if len(poison) > MAX_POISON_IN_BATCH:
            first = poison[0]
            raise TooMuchPoison(
                f"{self._view.name} cannot take {len(poison)} records of one batch, the first at"
                f" {first.topic.value}/{first.partition}/{first.position}: {first.reason}"
            )
        for letter in poison:
            _LOG.warning("%s parked %s %s: %s", letter.view, letter.tenant_id, letter.stream, letter.reason)
        self._dead_letters.park(letters)
        self.streams |= {(letter.tenant_id, letter.stream) for letter in letters if letter.topic is Topic.EVENTS}

    def look(self, apply: Apply) -> None:
        """Learn which of the streams an operator has set free, and take what was parked of them since.

        Shape: a stream on which events come all the time would else never be free, for while it is parked, they are.
        Raises: StoreUnavailable, safe to retry.
        """
        if not self.streams:
            return
        if not self._followers:
            self.streams = self._dead_letters.parked_streams(self._view.table)
            return
        followers = {(entry.partition, entry.position): entry for entry in self._followers}
        fresh: list[tuple[Entry, DeadLetter]] = []
        held: set[StreamKey] = set()
        for letter in self._dead_letters.letters(self._view.table):
            if letter.topic is Topic.EVENTS:
                entry = followers.get((letter.partition, letter.position))
                if entry is None:
                    held.add((letter.tenant_id, letter.stream))
                else:
                    fresh.append((entry, letter))
        for entry, letter in fresh:
            if entry.key in held:
                continue
            if apply(entry):
                self._dead_letters.park([letter._replace(attempts=1)])
                held.add(entry.key)
            else:
                self._dead_letters.remove([letter])
        self.streams = frozenset(held)
        self._followers.clear()

    def _letter(self, entry: Entry, reason: str, *, attempts: int) -> DeadLetter:
        return DeadLetter(
            view=self._view.table,
            topic=entry.topic,
            partition=entry.partition,
            position=entry.position,
            tenant_id=entry.tenant_id,
            stream=entry.stream,
            type=entry.type,
            reason=reason,
            attempts=attempts,
            parked_at=self._clock.now(),
        )


class Retried(NamedTuple):
    """What became of dead letters that were tried again."""

    taken: int
    still_parked: int


def retry(dead_letters: DeadLetters, table: str, log: LogReader, apply: Apply, *, notice_s: float) -> Retried:
    """Try every letter of a table again, oldest first, until none follows.

    Shape: whoever reads the log into the table parks what it reads of a stream until it has looked, within `notice_s`;
    with 0 it stands still.
    Raises: StoreUnavailable, LogUnavailable: safe to retry.
    """
    taken = 0
    failed: set[Position] = set()
    failed_streams: set[StreamKey] = set()
    while True:
        taken_before = taken
        for letter in dead_letters.letters(table):
            place = Position(letter.topic, letter.partition, letter.position)
            if place in failed:
                continue
            stream = (letter.tenant_id, letter.stream)
            if stream in failed_streams or apply(_entry(log, letter)):
                failed.add(place)
                if letter.topic is Topic.EVENTS:
                    failed_streams.add(stream)
                dead_letters.park([letter._replace(attempts=1)])
            else:
                taken += 1
                dead_letters.remove([letter])
        if taken == taken_before or not notice_s:
            return Retried(taken, len(failed))
        time.sleep(notice_s)


def discard(dead_letters: DeadLetters, table: str) -> int:
    """Forget a table's letters; return how many those were. Raises: StoreUnavailable, safe to retry."""
    discarded = 0
    for letter in dead_letters.letters(table):
        dead_letters.remove([letter])
        discarded += 1
    return discarded


def _entry(log: LogReader, letter: DeadLetter) -> Entry:
    return log.read(letter.topic, letter.partition, after=letter.position - 1, limit=1)[0]
