"""What holds for the rules of every kind of stream."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from domain import catalog
from domain.automation.agent import CreateAgent, agent_stream, evolve_agent
from domain.automation.agent_execution import ExecuteAgent
from domain.automation.execution import ExecuteWorkflow
from domain.automation.workflow import evolve_workflow, workflow_stream
from domain.catalog import decider_of
from domain.content.distribution import StartPublication
from domain.content.item import Content, ContentStatus, content_stream
from domain.execution.command_execution import RunCommand
from domain.execution.schedule import ScheduleScript
from domain.execution.script import evolve_script, script_stream
from domain.fleet.device import evolve_device
from domain.integration.change import IngestChange
from domain.integration.connector import Connector, connector_stream
from domain.message import Command
from domain.operations.agent_release import PublishAgentRelease
from domain.operations.retry import RetryProcess
from domain.process import BEGUN, RETRY
from domain.rejection import CommandRejected, Kind
from schemas.envelope import StreamId
from tests.domain.agent_parts import PARTS
from tests.examples import COMMANDS
from tests.examples.agents import AGENT_CREATED
from tests.examples.automation import WORKFLOW_CREATED, WORKFLOW_PUBLISHED
from tests.examples.execution import SCRIPT_CREATED
from tests.examples.fleet import REGISTERED
from tests.examples.operations import RETRY_PROCESS
from tests.given_when_then import GIVEN

# what a stream that begins may have to find in others; such a command may do more than begin it
BESIDE: Mapping[type[Command], Mapping[StreamId, Any]] = {
    StartPublication: {
        content_stream("c1"): Content(title="Patch day", status=ContentStatus.APPROVED, platforms=("blog",))
    },
    RunCommand: {StreamId("device-42"): evolve_device(None, REGISTERED)},
    ExecuteWorkflow: {
        workflow_stream("triage"): evolve_workflow(evolve_workflow(None, WORKFLOW_CREATED), WORKFLOW_PUBLISHED)
    },
    CreateAgent: PARTS.streams,
    IngestChange: {connector_stream("crm"): Connector(tool_type="postgresql", naming=2)},
    ExecuteAgent: {agent_stream("first-look"): evolve_agent(None, AGENT_CREATED)},
    RetryProcess: {StreamId(RETRY_PROCESS.process): replace(BEGUN, timers={f"{RETRY}1~1~lead-1": GIVEN.now})},
    PublishAgentRelease: {StreamId(f"device-{id_}"): evolve_device(None, REGISTERED) for id_ in ("42", "43")},
    ScheduleScript: {script_stream("disk"): evolve_script(None, SCRIPT_CREATED)},
}


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


def test_nobody_may_send_what_processes_the_server_and_the_operator_give() -> None:
    assert {name for name, command in catalog.COMMANDS.items() if command.IS_OURS} == {
        "automation.AddProviderKey",
        "automation.AdvanceExecution",
        "automation.EvaluateAction",
        "automation.FailAgentExecution",
        "automation.FailConversationAnswer",
        "automation.FailEmbeddings",
        "automation.FailNode",
        "automation.FailToolExecution",
        "automation.PrepareAgentExecution",
        "automation.RetryAction",
        "automation.RotateProviderKey",
        "automation.SettleAction",
        "automation.SettleEmbeddings",
        "automation.SettleNode",
        "automation.SettleToolExecution",
        "automation.TakeAnswer",
        "automation.TakeConversationAnswer",
        "content.SettlePublication",
        "execution.FireSchedule",
        "execution.TimeOutExecution",
        "finance.FlagTransaction",
        "finance.NoteAmount",
        "finance.ReconcilePayment",
        "finance.ReopenTransaction",
        "finance.SettleTransaction",
        "fleet.OfferAgent",
        "fleet.WithdrawAgent",
        "identity.AddDevice",
        "identity.EndSignIn",
        "identity.GiveConsent",
        "identity.LinkIdentity",
        "identity.OfferPassword",
        "identity.ReactivateTenant",
        "identity.RegisterTenant",
        "identity.RedeemCode",
        "identity.RegisterClient",
        "identity.RemoveDevice",
        "identity.RotateClientSecret",
        "identity.RotateRefreshToken",
        "identity.RotateSigningKey",
        "identity.SetPassword",
        "identity.SetQuota",
        "identity.SetSignInProvider",
        "identity.StartSession",
        "identity.SuspendTenant",
        "integration.ChangeWebhook",
        "integration.IngestChange",
        "integration.NoteRefusedChanges",
        "integration.RegisterConnector",
        "integration.RegisterWebhook",
        "integration.RotateConnectorSecret",
        "integration.RotateWebhookSecret",
        "integration.SettleWebhook",
        "integration.WakeWebhook",
        "operations.EndAgentWave",
    }
