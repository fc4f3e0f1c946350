"""The profile that commands work on can be said once, in the environment."""

import pytest
from click.testing import CliRunner

from infra.cli.main import cli


@pytest.mark.parametrize(
    "command", ["serve", "verify", "projections list", "tenants add acme", "replay --tenant acme", "log describe"]
)
def test_command_reads_the_profile_from_the_environment(command: str) -> None:
    ended = CliRunner().invoke(cli, command.split(), env={"FACTLINE_PROFILE": "centralised"})
    assert ended.exit_code == 2
    assert "'centralised' is not one of 'embedded', 'distributed'" in ended.output
