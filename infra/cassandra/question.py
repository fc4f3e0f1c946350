"""This turns what a reader asks of one series into conditions in CQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from projections.instants import to_microseconds
from projections.layout import Of, Series


class Conditions:
    """Conditions and the values bound to them, in the same order."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[Any] = []

    def add(self, text: str, *values: Any) -> None:
        self.texts.append(text)
        self.values.extend(to_microseconds(value) if isinstance(value, datetime) else value for value in values)


@dataclass(frozen=True, slots=True)
class Question:
    """A range of one series, in the words of `TimelineReader.rows`; the layout allows it."""

    layout: Series
    of: Of
    start: datetime | None
    end: datetime | None
    after: Sequence[Any] | None

    @property
    def series(self) -> Sequence[str]:
        return [str(self.of[column]) for column in self.layout.series]

    def on_places(self) -> Conditions:
        """Return what holds for the places of the buckets that can have an answer."""
        layout, asked = self.layout, Conditions()
        for column, text in zip(layout.series, self.series, strict=True):
            asked.add(f"{column} = ?", text)
        least: list[Any] = [self.start] if self._by_day else []
        greatest: list[Any] = [self.end] if self._by_day else []
        if self.after is not None:
            (greatest if layout.newest_first else least).append(self.after[0])
        for sign, bounds, tightest in ((">=", least, max), ("<=", greatest, min)):
            known = [bound for bound in bounds if bound is not None]
            if known:
                asked.add(f"{layout.bucket.column} {sign} ?", layout.bucket.number(tightest(known)))
        return asked

    def on_rows(self) -> Conditions:
        """Return what holds for the rows of a partition, besides a part of their text."""
        layout, asked = self.layout, Conditions()
        start, end, after = self.start, self.end, self.after
        # on columns that order the rows CQL takes one bound from each side, and tuples where another one is a tuple
        if self._by_day and after is not None:
            if layout.newest_first:
                after, end = (None, end) if end and end <= after[0] else (after, None)
            else:
                after, start = (None, start) if start and start > after[0] else (after, None)
        day, mark = (f"({layout.day})", "(?)") if self._by_day else (layout.day, "?")
        if after is not None:
            marks = ", ".join("?" * len(layout.order))
            asked.add(f"({', '.join(layout.order)}) {'<' if layout.newest_first else '>'} ({marks})", *after)
        if start:
            asked.add(f"{day} >= {mark}", start)
        if end:
            asked.add(f"{day} < {mark}", end)
        for column, wanted in self.of.items():
            if column in layout.filters:
                one = isinstance(wanted, str)
                asked.add(f"{column} = ?" if one else f"{column} IN ?", wanted if one else list(wanted))
        return asked

    def may_be_on(self, noted: int) -> bool:
        """Return whether rows of a day that was noted can be an answer."""
        days = self.layout.noted
        return days is None or (
            (self.start is None or noted >= days.number(self.start))
            and (self.end is None or noted <= days.number(self.end))
        )

    @property
    def _by_day(self) -> bool:
        return self.layout.day == self.layout.order[0]
