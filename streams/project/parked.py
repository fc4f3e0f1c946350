"""This keeps what a view could not take, with the streams parked behind it, and brings it in again."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from projections.operations import DeadLetter
from projections.rows import View
from schemas.envelope import Entry, Position, StreamKey, TenantId, Topic
from streams.ports import Clock, DeadLetters, LogReader

_LOG = logging.getLogger(__name__)

MAX_POISON = 100
"""More records than this that a view cannot take, among POISON_WINDOW of a partition, are a bad release.

Counted in records and not by the clock: a rebuild meets in a minute what was recorded in a year.
"""

POISON_WINDOW = 50_000

MAX_FOLLOWERS = 1_000
"""With more of them between two looks, streams stay parked until they are retried in a calmer moment."""

_DISCARDED = "/discarded"
"""Behind a table's name where its discarded letters are kept; no table is called so."""

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
        self._poison: frozenset[Position] = frozenset()
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
        met = self._met(poison)
        if len(met) > MAX_POISON:
            raise TooMuchPoison(
                f"{self._view.name} cannot take {len(met)} records, the last of them at {place_of(poison[-1])}:"
                f" {poison[-1].reason}"
            )
        for letter in poison:
            _LOG.warning("%s parked %s %s: %s", letter.view, letter.tenant_id, letter.stream, letter.reason)
        self._dead_letters.park(letters)
        self._poison = met
        self.streams |= {(letter.tenant_id, letter.stream) for letter in letters if letter.topic is Topic.EVENTS}

    def _met(self, poison: Sequence[DeadLetter]) -> frozenset[Position]:
        """Return the places of poison within the window, each once however often its batch is tried."""
        places = self._poison | {place_of(letter) for letter in poison}
        ends = {place[:2]: place.position for place in sorted(places)}
        return frozenset(place for place in places if place.position > ends[place[:2]] - POISON_WINDOW)

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
            place = place_of(letter)
            if place in failed:
                continue
            stream = (letter.tenant_id, letter.stream)
            # one that the log has no more can never be taken: it stays parked until it is discarded
            if stream in failed_streams or (entry := record_at(log, place)) is None or apply(entry):
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
    """Let a table go on without its letters; return how many those were.

    Shape: what was discarded is kept apart, so that `verify` does not miss it.
    Raises: StoreUnavailable, safe to retry.
    """
    discarded = 0
    for letter in dead_letters.letters(table):
        dead_letters.park([letter._replace(view=f"{table}{_DISCARDED}")])
        dead_letters.remove([letter])
        discarded += 1
    return discarded


def forget(dead_letters: DeadLetters, table: str) -> None:
    """Remove a table's letters, and those that were discarded. Raises: StoreUnavailable, safe to retry."""
    for name in names_of(table):
        for letter in dead_letters.letters(name):
            dead_letters.remove([letter])


def names_of(table: str) -> tuple[str, str]:
    """Return the names under which the letters of a table are kept: those parked, and those discarded."""
    return table, f"{table}{_DISCARDED}"


def places(dead_letters: DeadLetters, name: str) -> frozenset[Position]:
    """Return the places of the letters kept under a name. Raises: StoreUnavailable, safe to retry."""
    return frozenset(place_of(letter) for letter in dead_letters.letters(name))


def letter_at(dead_letters: DeadLetters, table: str, tenant_id: TenantId, place: Position) -> DeadLetter | None:
    """Return the letter of a tenant's record, parked or discarded, if there is one. Raises: StoreUnavailable."""
    before = place._replace(position=place.position - 1)
    for name in names_of(table):
        for letter in dead_letters.page(tenant_id, table=name, after=(name, before), limit=1):
            if place_of(letter) == place:
                return letter
    return None


def place_of(of: Entry | DeadLetter) -> Position:
    return Position(of.topic, of.partition, of.position)


def record_at(log: LogReader, place: Position) -> Entry | None:
    """Return the very record of a place, None where the log has it no more. Raises: LogUnavailable, safe to retry."""
    found = log.read(place.topic, place.partition, after=place.position - 1, limit=1)
    return next((entry for entry in found if entry.position == place.position), None)


def parked_page(
    dead_letters: DeadLetters,
    tenant_id: TenantId,
    *,
    table: str | None,
    after: tuple[str, Position] | None,
    limit: int,
) -> Sequence[DeadLetter]:
    """Return a page of a tenant's letters, without those that were discarded: see `DeadLetters.page`."""
    found: list[DeadLetter] = []
    while len(found) < limit:
        page = dead_letters.page(tenant_id, table=table, after=after, limit=limit)
        found += [letter for letter in page if not letter.view.endswith(_DISCARDED)]
        if len(page) < limit:
            break
        after = (page[-1].view, place_of(page[-1]))
    return found[:limit]
