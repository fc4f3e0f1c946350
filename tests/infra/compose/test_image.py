"""The Dockerfile: whom it runs as, and what its install step gives in a virtual environment made for it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.infra.compose.compose_file import OURS, ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
LET_THROUGH = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
IMPORTED_LATE = (
    "infra.serve.distributed, infra.stores, infra.migrate, infra.workers.projector, infra.workers.correlator,"
    " infra.river.anomaly"
)
FILES = """\
from importlib.resources import files
assert files("read_api").joinpath("page/index.html").is_file()
assert len([file for file in files("schemas").joinpath("events").iterdir() if file.name.endswith(".avsc")]) == {schemas}
"""


def test_user_is_a_number() -> None:
    (user,) = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    assert f"useradd --uid {user} " in DOCKERFILE


def test_image_has_the_python_of_the_tests() -> None:
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}." in DOCKERFILE


def install_step() -> Sequence[str]:
    (step,) = re.findall(r"^RUN (pip install .+)$", DOCKERFILE, re.MULTILINE)
    return shlex.split(step)


def test_install_step_takes_the_pinned_versions_of_a_file_that_the_build_gets() -> None:
    step = install_step()
    assert step[step.index("--constraint") + 1] == "constraints.txt"
    assert {"constraints.txt", "pyproject.toml"} <= set(LET_THROUGH)


@pytest.fixture
def image() -> Iterator[Path]:
    """Give an environment after the install step, as the build would run it."""
    # not tmp_path: it is more than a gigabyte, and pytest keeps that for the next runs
    with TemporaryDirectory(prefix="image-") as folder:
        context, environment = Path(folder, "context"), Path(folder, "environment")
        context.mkdir()
        for name in LET_THROUGH:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, context)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        # the packages were downloaded for the environment of the tests; and the image has no compiler
        step = [word for word in install_step() if word != "--no-cache-dir"]
        told = {"PIP_NO_COMPILE": "1", "PIP_ONLY_BINARY": ":all:", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        command = [str(environment / "bin" / step[0]), *step[1:]]
        done = subprocess.run(
            command, cwd=context, env={**clean(), **told}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        yield environment


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FACTLINE"))}


@pytest.mark.full
@pytest.mark.timeout(900)
def test_install_step_gives_the_pinned_versions_and_every_command(image: Path, tmp_path: Path) -> None:
    def run(*command: str) -> str:
        program = [str(image / "bin" / command[0]), *command[1:]]
        done = subprocess.run(program, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    installed = set(run("pip", "list", "--format", "freeze", "--disable-pip-version-check").lower().split())
    pinned = set((ROOT / "constraints.txt").read_text().lower().split())
    others = {line for line in installed - pinned if not re.match("(pip|setuptools|factline)=", line)}
    assert {line.replace("_", "-") for line in others} <= {line.replace("_", "-") for line in pinned}
    for command in [*OURS.values(), ["ready"]]:
        assert "Usage: factline" in run("factline", *command, "--help")
    # what a command loads only when it runs
    run("python", "-c", f"import {IMPORTED_LATE}")
    run("python", "-c", FILES.format(schemas=len(list((ROOT / "schemas" / "events").glob("*.avsc")))))
