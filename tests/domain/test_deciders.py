"""What holds for the rules of every kind of stream."""

import pytest

from domain.catalog import decider_of
from domain.message import Command
from domain.rejection import CommandRejected, Kind
from tests.examples import COMMANDS
from tests.given_when_then import GIVEN


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: type(command).__name__)
def test_first_command_begins_a_stream_and_any_other_finds_none(command: Command) -> None:
    decider = decider_of(type(command))
    if type(command) is decider.commands[0]:
        (event,) = decider.decide(command, None, GIVEN)
        assert type(event) is decider.events[0]
        return
    with pytest.raises(CommandRejected) as refused:
        decider.decide(command, None, GIVEN)
    assert refused.value.kind is Kind.NOT_FOUND
