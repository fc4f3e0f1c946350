"""Positions as text, and the key of a stream."""

import pytest

from schemas.envelope import Position, Topic
from tests.examples import envelope_of
from tests.examples.fleet import HEARTBEAT, REGISTERED


def test_position_is_read_as_it_was_written() -> None:
    position = Position(Topic.TELEMETRY, 3, 42)
    assert str(position) == "telemetry/3/42"
    assert Position.parse(" telemetry/3/42 ") == position


@pytest.mark.parametrize("text", ["", "events", "events/0", "events/0/", "events/0/-1", "events/0/٣", "commands/0/1"])
def test_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


def test_key_begins_with_the_tenant() -> None:
    assert envelope_of(REGISTERED).key == ("acme", "device-42")
    assert envelope_of(HEARTBEAT).key == ("acme", "device-42")
