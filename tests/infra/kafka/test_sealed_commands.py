"""No command that may carry personal data is sent in the open."""

import pytest

from domain.identity.tenant import RegisterTenant
from domain.message import Command
from infra.kafka.sealed_commands import SealedCommands, message_of
from infra.master_key import MasterKey
from tests.examples.fleet import REGISTER_DEVICE
from tests.examples.identity import INVITE_USER
from tests.examples.sales import CAPTURE_LEAD
from tests.streams.kit import submission

SEALING = SealedCommands(MasterKey(b"k" * 32))
REGISTER_TENANT = RegisterTenant(tenant_id="acme", name="Acme")


@pytest.mark.parametrize(
    "command",
    [
        CAPTURE_LEAD,
        INVITE_USER,
        RegisterTenant(tenant_id="acme", name="Acme", owner_email="ann@acme.example"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_personal_command_is_sealed_and_not_sent_without_a_key(command: Command) -> None:
    sent = message_of(submission(command, tenant="acme"), SEALING)
    assert sent[:1] == b"\x01"
    assert b"acme.example" not in sent
    assert SEALING.opened(sent)[:1] == b"{"
    with pytest.raises(ValueError, match="may carry personal data"):
        message_of(submission(command, tenant="acme"), None)


@pytest.mark.parametrize("command", [REGISTER_DEVICE, REGISTER_TENANT], ids=lambda command: type(command).__name__)
def test_any_other_command_is_sent_as_it_is(command: Command) -> None:
    assert message_of(submission(command, tenant="acme"), SEALING)[:1] == b"{"
    assert message_of(submission(command, tenant="acme"), None)[:1] == b"{"
