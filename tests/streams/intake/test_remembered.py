"""Answers about short texts are remembered, and long texts are not kept."""

import pytest

from streams.intake.remembered import LONGEST, remembered


def test_answers_about_long_texts_are_not_kept() -> None:
    asked: list[str] = []

    @remembered(10)
    def length(column: str, text: str) -> int:
        asked.append(text)
        return len(column) + len(text)

    short, long = "x" * LONGEST, "x" * (LONGEST + 1)
    for text in (short, short, long, long):
        assert length("a", text) == 1 + len(text)
    assert asked == [short, long, long]


def test_fault_is_raised_each_time() -> None:
    @remembered(10)
    def fails(text: str) -> int:
        raise ValueError(text)

    for _ in range(2):
        for text in ("x", "x" * 1_000):
            with pytest.raises(ValueError, match="x"):
                fails(text)
