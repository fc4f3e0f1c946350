"""What holds for the rules of every kind of stream."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.catalog import decider_of
from domain.content.distribution import StartPublication
from domain.content.item import Content, ContentStatus, content_stream
from domain.execution.command_execution import RunCommand
from domain.execution.schedule import ScheduleScript
from domain.execution.script import evolve_script, script_stream
from domain.fleet.device import evolve_device
from domain.message import Command
from domain.rejection import CommandRejected, Kind
from schemas.envelope import StreamId
from tests.examples import COMMANDS
from tests.examples.execution import SCRIPT_CREATED
from tests.examples.fleet import REGISTERED
from tests.given_when_then import GIVEN

# what a stream that begins may have to find in others
BESIDE: Mapping[type[Command], Mapping[StreamId, Any]] = {
    StartPublication: {
        content_stream("c1"): Content(title="Patch day", status=ContentStatus.APPROVED, platforms=("blog",))
    },
    RunCommand: {StreamId("device-42"): evolve_device(None, REGISTERED)},
    ScheduleScript: {script_stream("disk"): evolve_script(None, SCRIPT_CREATED)},
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: type(command).__name__)
def test_first_command_begins_a_stream_and_any_other_finds_none(command: Command) -> None:
    decider = decider_of(type(command))
    if type(command) is decider.commands[0]:
        (event,) = decider.decide(command, None, GIVEN._replace(streams=BESIDE.get(type(command), {})))
        assert type(event) is decider.events[0]
        return
    with pytest.raises(CommandRejected) as refused:
        decider.decide(command, None, GIVEN)
    assert refused.value.kind is Kind.NOT_FOUND
