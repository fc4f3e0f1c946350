"""What docker-compose.yml tells factline's processes, against what they read and what their command line takes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import click
import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.handlers.settings import HandlerSettings
from infra.settings import Settings
from tests.infra.compose.compose_file import ENGINES, LISTENS, OURS, ROOT, SERVICES

READ_WHERE_IT_IS_USED = {"FACTLINE_HOST", "FACTLINE_HOSTS"}
"""Variables that neither `Settings` nor an option of the command line reads."""


class Noted(dict[str, str]):
    """An environment that knows what it was asked for."""

    def __init__(self, told: Mapping[str, str]) -> None:
        super().__init__(told)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def environment(name: str) -> Noted:
    """Return what a service is told, with the secrets filled in."""
    told: Mapping[str, object] = SERVICES[name]["environment"]
    return Noted({key: re.sub(r"\$\{[^}]*\}", "s" * 48, str(value)) for key, value in told.items()})


def variables_of_options(command: click.Command) -> Iterator[str]:
    """Yield the variables that the options of a command, and of all commands below it, are read from."""
    yield from (parameter.envvar for parameter in command.params if isinstance(parameter.envvar, str))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from variables_of_options(below)


def read(told: Noted) -> set[str]:
    """Return every variable that the processes of the distributed profile read."""
    Settings.from_environment(told)
    HandlerSettings.from_environment(told)
    return told.asked | set(variables_of_options(cli)) | READ_WHERE_IT_IS_USED


@pytest.mark.parametrize("name", OURS)
def test_command_is_one_of_the_command_line(name: str) -> None:
    command = SERVICES[name]["command"]
    # before --help would be looked at, an option that is not known is refused
    shown = CliRunner().invoke(cli, [*command, "--help"], prog_name="factline")
    assert shown.exit_code == 0
    words = [word for word in command if not word.startswith("--")]
    assert shown.output.startswith(f"Usage: factline {words[0]}")
    refused = CliRunner().invoke(cli, [*command, "--no-such-option", "--help"])
    assert refused.exit_code != 0


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_is_read(name: str) -> None:
    told = environment(name)
    assert told.keys() <= read(told)


@pytest.mark.parametrize("name", OURS)
def test_every_engine_s_address_is_told(name: str) -> None:
    found = Settings.from_environment(environment(name))
    ((cassandra, port),) = found.stores.cassandra_contact_points
    told = {
        "kafka": found.kafka_bootstrap,
        "registry": found.registry_url,
        "cassandra": f"{cassandra}:{port}",
        "clickhouse": found.stores.clickhouse_url,
        "mongo": found.stores.mongo_url,
        "redis": str(found.redis_url),
    }
    assert {engine: f"{engine}:{LISTENS[engine]}" in address for engine, address in told.items()} == dict.fromkeys(
        ENGINES, True
    )


def test_addresses_are_all_that_a_process_looks_for_on_its_own_machine() -> None:
    """A setting that is added, and says 127.0.0.1 where nothing is told, belongs into docker-compose.yml."""
    default = Settings.from_environment({})
    every = {**vars(default), **vars(default.stores)}
    del every["stores"]
    here = {name for name, value in every.items() if "127.0.0.1" in str(value)}
    assert here == {"kafka_bootstrap", "registry_url", "cassandra_contact_points", "clickhouse_url", "mongo_url"}


def test_gateways_sign_cursors_with_one_secret_and_listen_for_other_containers() -> None:
    told = environment("gateway")
    assert Settings.from_environment(told).cursor_secret
    assert told["FACTLINE_HOST"] == "0.0.0.0"
    assert told["PORT"] == str(LISTENS["gateway"])


def test_clickhouse_is_asked_as_the_user_that_it_makes() -> None:
    made = SERVICES["clickhouse"]["environment"]
    secret = made["CLICKHOUSE_PASSWORD"]
    url = SERVICES["analytics"]["environment"]["FACTLINE_CLICKHOUSE_URL"]
    assert url == f"clickhouse://{made['CLICKHOUSE_USER']}:{secret}@clickhouse:8123/default"


def test_documentation_names_every_variable_that_is_read_and_no_other() -> None:
    table = (ROOT / "docs/distributed.md").read_text().partition("## Variables")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`(FACTLINE_\w+|PORT|DATA_DIR)`", table))
    security = set(re.findall(r"FACTLINE_KAFKA_\w+", (ROOT / "docs/security.md").read_text()))
    assert documented | security == read(Noted({}))
