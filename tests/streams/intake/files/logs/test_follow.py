import os
from pathlib import Path
from typing import Any

import pytest

from domain.fleet.facts import LogRecorded
from streams.intake.files.logs.follow import BATCH_LINES, Followed, Read
from streams.intake.files.logs.log_file import How


def line(text: str, second: int = 0) -> str:
    return f"2026-03-04T17:20:{second:02}Z h p: {text}\n"


class Follow:
    """Follows a file as `factline tail` does: what was read is recorded, then its place is kept."""

    def __init__(self, path: Path, **how: Any) -> None:
        self.path = path
        self.ids: list[str | None] = []
        self.notes: list[str] = []
        self._how = How(**{"device_id": "web-1", **how})
        self._followed = Followed(path, self._how, None)

    def add(self, *texts: str) -> None:
        with self.path.open("a") as file:
            file.write("".join(texts))

    def step(self, *, at_rest: bool = False) -> Read | None:
        return self._followed.step(at_rest=at_rest)

    def read(self, *, at_rest: bool = False) -> list[str]:
        """Return the messages of all that is there."""
        found: list[str] = []
        while (read := self.step(at_rest=at_rest)) is not None:
            self._followed.place = read.place
            self.notes += read.notes
            self.ids += (row.fact.fact_id for row in read.facts)
            for row in read.facts:
                assert isinstance(row.fact.fact, LogRecorded)
                found.append(row.fact.fact.summary)
        return found

    def restart(self) -> None:
        self._followed = Followed(self.path, self._how, self._followed.place)


@pytest.fixture
def log(tmp_path: Path) -> Follow:
    return Follow(tmp_path / "app.log")


def test_lines_are_read_as_they_come_and_once(log: Follow) -> None:
    assert log.read() == []
    log.add(line("a"), line("b"))
    assert log.read() == ["a"]
    assert log.read(at_rest=True) == ["b"]
    log.add(line("c"))
    assert log.read(at_rest=True) == ["c"]
    assert log.read(at_rest=True) == []


def test_reading_goes_on_after_a_restart_where_it_was(log: Follow) -> None:
    log.add(line("a"))
    assert log.read(at_rest=True) == ["a"]
    log.restart()
    log.add(line("b"))
    assert log.read(at_rest=True) == ["b"]


def test_a_line_that_is_not_whole_waits(log: Follow) -> None:
    log.add(line("a"), "2026-03-04T17:20:30Z h p: Failed pass")
    assert log.read(at_rest=True) == ["a"]
    log.add("word\n")
    assert log.read(at_rest=True) == ["Failed password"]


def test_a_stack_trace_that_is_still_written_is_joined(log: Follow) -> None:
    log.add(line("broke"), "Traceback (most recent call last):\n")
    assert log.read() == []
    log.add('  File "x"\n', "ValueError: x\n", line("next"))
    assert log.read() == ['broke\nTraceback (most recent call last):\n  File "x"\nValueError: x']


def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(log: Follow) -> None:
    log.add(line("a"))
    log.read(at_rest=True)
    log.add(line("b"), line("unended").rstrip())
    log.path.rename(f"{log.path}.1")
    assert log.read(at_rest=True) == ["b", "unended"]
    log.add(line("c"))
    assert log.read(at_rest=True) == ["c"]
    assert len(set(log.ids)) == 4


def test_a_file_that_was_rotated_while_nobody_read_is_found(log: Follow) -> None:
    log.add(line("a"))
    log.read(at_rest=True)
    log.add(line("b"))
    log.path.rename(f"{log.path}.1")
    log.add(line("c"))
    log.restart()
    assert log.read(at_rest=True) == ["b", "c"]
    assert log.notes == []


def test_a_file_that_was_cut_short_is_read_anew(log: Follow) -> None:
    log.add(line("a"), line("b"))
    log.read(at_rest=True)
    log.path.write_text(line("c", 9))
    assert log.read(at_rest=True) == ["c"]
    assert log.notes == ["it is another file or was cut short, and is read from its beginning"]
    # written anew, and longer than what was read
    log.path.write_text(line("d", 10) * 4)
    assert log.read(at_rest=True) == ["d"] * 4


def test_what_was_not_kept_is_read_again_under_the_same_ids(log: Follow) -> None:
    log.add(line("a"), line("a"))
    first, again = log.step(at_rest=True), log.step(at_rest=True)
    assert first is not None
    assert again is not None
    assert [row.fact.fact_id for row in first.facts] == [row.fact.fact_id for row in again.facts]
    assert len({row.fact.fact_id for row in first.facts}) == 2


def test_many_lines_are_read_in_batches_and_a_long_record_ends(log: Follow) -> None:
    log.add(*(line(str(n)) for n in range(BATCH_LINES + 10)))
    assert log.read(at_rest=True) == [str(n) for n in range(BATCH_LINES + 10)]
    log.add(line("long"), *[" x\n"] * (BATCH_LINES + 5), line("next"))
    assert log.read(at_rest=True)[-1] == "next"


def test_a_bad_line_is_refused_with_its_number(log: Follow) -> None:
    log.add(line("a"), "\n", "no log line\n", line("b"))
    read = log.step(at_rest=True)
    assert read is not None
    assert [(row.row.line, row.reason.partition(":")[0]) for row in read.refused] == [
        (3, "the line is in no form that is known")
    ]
    assert len(read.facts) == 2
    assert read.place.offset == os.stat(log.path).st_size  # noqa: PTH116
