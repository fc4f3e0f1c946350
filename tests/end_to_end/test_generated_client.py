"""A client that openapi-python-client makes from the description imports whole, and goes a user's way."""

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance import target

pytestmark = pytest.mark.full


def test_a_generated_client_writes_and_reads_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with target(tmp_path / "data") as server:
        (tmp_path / "openapi.json").write_bytes(
            httpx.get(f"{server.url}/openapi.json", trust_env=False, timeout=60).content
        )
        _generate(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        made = import_module("made_client")
        for module in pkgutil.walk_packages(made.__path__, "made_client."):
            import_module(module.name)
        key = {"prefix": "", "auth_header_name": "X-API-Key"}
        asking = made.AuthenticatedClient(
            base_url=server.url, token=server.tenant_key, httpx_args={"trust_env": False}, **key
        )
        with asking as client:
            _register_and_read(client)


def _register_and_read(client: Any) -> None:
    body = _class("models.fleet_register_device", "FleetRegisterDevice")(device_id="made-1", hostname="made-1.example")
    reply = _ask("commands.post_commands_fleet_register_device", client=client, body=body)
    assert reply.version == 1
    found = _ask("devices.get_devices_id", client=client, id="made-1", x_consistent_with=reply.position.token)
    assert [row.hostname for row in found.rows] == ["made-1.example"]
    refused = _ask("commands.post_commands_fleet_register_device", client=client, body=body, if_match="7")
    assert (type(refused).__name__, refused.status) == ("Problem", 409)


def _generate(folder: Path) -> None:
    (folder / "config.yaml").write_text("post_hooks: []\n")
    where = ("--path", str(folder / "openapi.json"), "--output-path", str(folder / "made_client"))
    how = ("--meta", "none", "--config", str(folder / "config.yaml"))
    command = [sys.executable, "-m", "openapi_python_client", "generate", *where, *how]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


def _class(module: str, name: str) -> Any:
    return getattr(import_module(f"made_client.{module}"), name)


def _ask(operation: str, **said: Any) -> Any:
    return _class(f"api.{operation}", "sync")(**said)
