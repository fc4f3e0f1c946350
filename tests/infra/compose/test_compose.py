"""docker-compose.yml, as far as it can be judged without a Docker daemon; where there is one, by Docker itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.compose.compose_file import COMPOSE, ENGINES, LISTENS, OURS, ROOT, SERVICES, TEXT

VOLUMES = {
    # each is a VOLUME of the image's own Dockerfile, and what the image's user may write
    "kafka": ["/var/lib/kafka/data"],
    "cassandra": ["/var/lib/cassandra"],
    "clickhouse": ["/var/lib/clickhouse"],
    "mongo": ["/data/db", "/data/configdb"],
    # made by our own Dockerfile, for our user
    "migrate": ["/var/lib/factline/secrets"],
    "gateway": ["/var/lib/factline/data", "/var/lib/factline/secrets"],
    "commands": ["/var/lib/factline/secrets"],
}


def test_every_engine_and_every_service_of_ours_is_there() -> None:
    assert set(SERVICES) == {*ENGINES, *OURS}
    assert {name: SERVICES[name]["command"] for name in OURS} == OURS


def test_file_is_what_the_compose_specification_says(tmp_path: Path) -> None:
    def judged(file: Path) -> "subprocess.CompletedProcess[str]":
        # the schema is in the package: nothing is fetched
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = judged(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(TEXT.replace("start_period", "start_periods"))
    assert judged(wrong).returncode == 1


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned_to_a_whole_version(name: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_image_of_ours_is_built_once_and_never_pulled() -> None:
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["migrate"]
    assert {SERVICES[name]["image"] for name in OURS} == {SERVICES["migrate"]["image"]}
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


def test_data_is_in_named_volumes_where_the_image_keeps_it() -> None:
    mounted = {name: [volume.split(":") for volume in SERVICES[name].get("volumes", ())] for name in SERVICES}
    assert {name: [place for _, place in volumes] for name, volumes in mounted.items() if volumes} == VOLUMES
    assert {volume for volumes in mounted.values() for volume, _ in volumes} == set(COMPOSE["volumes"])


def test_port_is_published_on_loopback_only_and_once() -> None:
    published = [port.rsplit(":", 1) for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(host.startswith("127.0.0.1:") for host, _ in published)
    assert len({host for host, _ in published}) == len(published)


@pytest.mark.parametrize("name", ["clickhouse", "mongo", "gateway"])
def test_published_port_is_the_one_that_the_service_listens_on(name: str) -> None:
    assert [port.rsplit(":", 1)[1] for port in SERVICES[name]["ports"]] == [str(LISTENS[name])]


def test_kafka_publishes_its_listener_that_wants_a_password_and_tells_its_callers_where_they_reach_it() -> None:
    told = SERVICES["kafka"]["environment"]
    assert SERVICES["kafka"]["ports"] == ["127.0.0.1:9094:9094"]
    assert "HOST://:9094" in told["KAFKA_LISTENERS"]
    assert told["KAFKA_ADVERTISED_LISTENERS"] == "INTERNAL://kafka:9092,HOST://127.0.0.1:9094"
    assert "HOST:SASL_PLAINTEXT" in told["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    # its own configure script wants a login file where an advertised listener's name says SASL_ or SSL
    assert not re.search(r"SASL_\w*://|SSL://", told["KAFKA_ADVERTISED_LISTENERS"])


def test_several_gateways_find_a_port_each() -> None:
    (port,) = SERVICES["gateway"]["ports"]
    first, last = map(int, port.split(":")[1].split("-"))
    assert first == 8080
    assert last - first >= 1


@pytest.mark.parametrize("name", ["cassandra", "redis", "registry"])
def test_service_without_a_password_is_not_published(name: str) -> None:
    assert "ports" not in SERVICES[name]


def test_services_of_ours_wait_for_the_migration_and_that_for_every_engine() -> None:
    assert SERVICES["migrate"]["depends_on"] == {key: {"condition": "service_healthy"} for key in ENGINES}
    for name in OURS.keys() - {"migrate"}:
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_migration_runs_once_and_everything_else_comes_back_after_a_reboot() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert {SERVICES[name]["restart"] for name in SERVICES.keys() - {"migrate"}} == {"unless-stopped"}


def test_clickhouse_s_entrypoint_starts_no_server_that_is_stopped_again() -> None:
    # it does where CLICKHOUSE_DB is set or a script is in /docker-entrypoint-initdb.d
    assert "CLICKHOUSE_DB" not in SERVICES["clickhouse"]["environment"]
    assert not any("initdb" in volume for volume in SERVICES["clickhouse"]["volumes"])


def test_key_file_of_mongo_is_written_again_at_a_restart(tmp_path: Path) -> None:
    shell, options, script = SERVICES["mongo"]["entrypoint"]
    path = re.search(r"--keyFile (\S+)", script)
    assert path is not None
    # in a folder that everyone may write to, fs.protected_regular keeps root from a file that is another user's
    assert path[1].startswith("/etc/")
    # the users of the image are not here
    written = script.splitlines()[0].replace("$$", "$").replace("-o mongodb -g mongodb ", "")
    written = written.replace(path[1], str(tmp_path / "key"))
    for key in ("first", "second"):
        subprocess.run([shell, options, written], env={"PATH": "/usr/bin:/bin", "MONGO_KEY": key}, check=True)
        assert (tmp_path / "key").read_text() == key
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o400


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
