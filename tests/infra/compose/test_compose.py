"""docker-compose.yml, as far as it can be judged without a Docker daemon; where there is one, by Docker itself."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.engines import kafka

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: Mapping[str, Any] = yaml.safe_load(TEXT)
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
ENGINES = ("kafka", "registry", "cassandra", "clickhouse", "mongo")
OURS = {
    "migrate": ["migrate"],
    "gateway": ["serve", "--profile", "distributed"],
    "commands": ["worker", "commands"],
    "timeline": ["worker", "timeline"],
    "analytics": ["worker", "analytics"],
    "documents": ["worker", "documents"],
    "correlate": ["worker", "correlate"],
}


def test_every_engine_and_every_service_of_ours_is_there() -> None:
    assert set(SERVICES) == {*ENGINES, *OURS}
    assert {name: SERVICES[name]["command"] for name in OURS} == OURS


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned_to_a_whole_version(name: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", [*ENGINES, "gateway"])
def test_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", ["kafka", "cassandra", "clickhouse", "mongo", "gateway"])
def test_data_is_in_a_named_volume(name: str) -> None:
    assert {volume.partition(":")[0] for volume in SERVICES[name]["volumes"]} <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_port_is_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_broker_ends_what_killed_workers_left_open_as_soon_as_the_one_of_the_tests() -> None:
    name = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
    value = SERVICES["kafka"]["environment"][f"KAFKA_{name.replace('.', '_').upper()}"]
    assert f"{name}={value}\n" in kafka.PROPERTIES


@pytest.mark.parametrize("name", ["cassandra", "registry"])
def test_service_without_a_password_is_not_published(name: str) -> None:
    assert "ports" not in SERVICES[name]


def test_services_of_ours_wait_for_the_migration_and_that_for_every_engine() -> None:
    assert SERVICES["migrate"]["depends_on"] == {key: {"condition": "service_healthy"} for key in ENGINES}
    for name in OURS.keys() - {"migrate"}:
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_every_secret_is_required_and_has_no_value_in_the_repository() -> None:
    used = re.findall(r"\$\{(\w+)([^}]*)\}", TEXT)
    assert all(rest == ":?run infra/compose/make-env.sh" for _, rest in used)
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert set(lines) == {f"{name}=" for name, _ in used}


def test_made_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    (tmp_path / "infra" / "compose").mkdir(parents=True)
    script = shutil.copy(ROOT / "infra/compose/make-env.sh", tmp_path / "infra/compose")
    shutil.copy(ROOT / ".env.example", tmp_path)
    assert subprocess.run(["sh", script], capture_output=True, check=False).returncode == 0
    made = tmp_path / ".env"
    values = re.findall(r"^\w+=([0-9a-f]{48})$", made.read_text(), re.MULTILINE)
    assert len(set(values)) == 5
    assert made.stat().st_mode & 0o077 == 0
    assert subprocess.run(["sh", script], capture_output=True, check=False).returncode != 0
    assert re.findall(r"^\w+=(.+)$", made.read_text(), re.MULTILINE) == values


def test_docker_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("needs docker with its compose plugin")
    secrets = tmp_path / "env"
    secrets.write_text((ROOT / ".env.example").read_text().replace("=\n", "=x\n"))
    command = [docker, "compose", "--env-file", str(secrets), "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
