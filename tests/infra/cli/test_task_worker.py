"""`factline worker tasks` does the tasks of a server with the handlers that ship, until it is told to stop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.handlers.settings import HandlerSettings
from infra.settings import BadSettings
from tests.infra.handlers.web_server import web_server
from tests.streams.intake.http.ways_in import WaysIn, ways_in
from tests.waiting import eventually

pytestmark = pytest.mark.full


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path) as way:
        yield way


def test_worker_does_what_it_is_told_and_stops_when_it_is_told(way: WaysIn) -> None:
    def claimed() -> list[Any]:
        answer = way.post("/v1/tasks/claim", {"kinds": ["http.check"], "worker": "other"})
        rows: list[Any] = answer.json()["rows"]
        return rows

    with web_server(lambda _: (200, {}, b"")) as server:
        body = {"task_id": "t1", "kind": "http.request", "input": {"url": server.url}}
        assert way.command("operations.RequestTask", body).status_code == 200
        body = {"task_id": "t2", "kind": "http.check", "input": {"url": server.url}}
        assert way.command("operations.RequestTask", body).status_code == 200
        environment = {
            **os.environ,
            "FACTLINE_URL": str(way.client.base_url),
            "FACTLINE_API_KEY": "worker",
            "FACTLINE_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        command = [sys.executable, "-m", "infra.cli.main", "worker", "tasks", "--kinds", "http.request"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            eventually(lambda: server.sent)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    # what it had begun was finished, and what it was not told to do is left to others
    assert [row["task_id"] for row in claimed()] == ["t2"]
    answer = way.post("/v1/tasks/claim", {"kinds": ["http.request"], "worker": "other"})
    assert answer.json()["rows"] == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (["worker", "tasks", "--kinds", "http.chek"], "no handler ships for http.chek"),
        (["worker", "tasks", "--kinds", "none"], "--kinds names nothing to do"),
        (["serve", "--tasks", "no.such"], "no handler ships for no.such"),
    ],
)
def test_kind_that_no_handler_ships_for_is_refused(said: list[str], why: str) -> None:
    result = CliRunner().invoke(cli, said)
    assert result.exit_code == 2
    assert why in result.output


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"FACTLINE_ALLOW_NETWORKS": "10.0.0.1/8"}, "FACTLINE_ALLOW_NETWORKS"),
        ({"FACTLINE_SMTP_URL": "smtp://mail"}, "FACTLINE_MAIL_FROM"),
        ({"FACTLINE_SMTP_URL": "mail", "FACTLINE_MAIL_FROM": "a@b.example"}, "FACTLINE_SMTP_URL"),
        ({"FACTLINE_QDRANT_URL": "qdrant:6333"}, "FACTLINE_QDRANT_URL"),
    ],
)
def test_setting_that_cannot_be_names_its_variable(environment: dict[str, str], why: str) -> None:
    with pytest.raises(BadSettings, match=why):
        HandlerSettings.from_environment(environment)


def test_secrets_are_in_no_text_of_the_settings() -> None:
    settings = HandlerSettings.from_environment(
        {
            "FACTLINE_SMTP_URL": "smtp://it:hush@mail",
            "FACTLINE_MAIL_FROM": "a@b.example",
            "FACTLINE_QDRANT_URL": "http://qdrant:6333",
            "FACTLINE_QDRANT_API_KEY": "hush",
        }
    )
    assert settings.qdrant == ("http://qdrant:6333", "hush")
    assert settings.mail is not None
    assert settings.mail.password == "hush"
    assert "hush" not in repr(settings)
