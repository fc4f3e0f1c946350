"""What the environment says is taken, and what cannot be is named."""

from datetime import timedelta

import pytest

from infra.settings import BadSettings, Settings, silence_of


def test_silence_is_that_of_the_domain_where_nobody_says_another() -> None:
    assert silence_of({}) == Settings.from_environment({}).silence == timedelta(seconds=130)
    assert Settings.from_environment({"FACTLINE_SILENCE_S": "600"}).silence == timedelta(minutes=10)


@pytest.mark.parametrize("text", ["0", "-1", "2 min", ""])
def test_silence_that_is_no_number_of_seconds_is_named(text: str) -> None:
    with pytest.raises(BadSettings, match="FACTLINE_SILENCE_S must be a number from 1"):
        silence_of({"FACTLINE_SILENCE_S": text})
