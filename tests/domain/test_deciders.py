"""What holds for the rules of every kind of stream."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.automation.execution import ExecuteWorkflow
from domain.automation.workflow import evolve_workflow, workflow_stream
from domain.catalog import decider_of
from domain.message import Command
from domain.rejection import CommandRejected, Kind
from schemas.envelope import StreamId
from tests.examples import COMMANDS
from tests.examples.automation import WORKFLOW_CREATED, WORKFLOW_PUBLISHED
from tests.given_when_then import GIVEN

BESIDE: Mapping[type[Command], Mapping[StreamId, Any]] = {
    ExecuteWorkflow: {
        workflow_stream("triage"): evolve_workflow(evolve_workflow(None, WORKFLOW_CREATED), WORKFLOW_PUBLISHED)
    }
}
"""The other streams that a stream's first command needs; such a command may do more than begin its stream."""


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: type(command).__name__)
def test_first_command_begins_a_stream_and_any_other_finds_none(command: Command) -> None:
    decider = decider_of(type(command))
    if type(command) is decider.commands[0]:
        first, *more = decider.decide(command, None, GIVEN._replace(streams=BESIDE.get(type(command), {})))
        assert type(first) is decider.events[0]
        assert not more or type(command) in BESIDE
        return
    with pytest.raises(CommandRejected) as refused:
        decider.decide(command, None, GIVEN)
    assert refused.value.kind is Kind.NOT_FOUND
