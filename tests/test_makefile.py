"""What `make run` and `make test` say and do on a fresh machine, with a Python that installs nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """\
#!/bin/sh
echo "$(basename "$0") $*"
if [ "$2" = venv ]; then mkdir -p .venv/bin; for made in python factline pytest; do cp "$0" .venv/bin/$made; done; fi
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PROGRAM)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(clone: Path, target: str, *, full: bool = False) -> list[str]:
    # an environment of its own: these tests run under `make test` too
    told = {"PATH": os.environ["PATH"], "REQUIRE_ENGINES": "1" if full else ""}
    command = ["make", target, "PYTHON=./python"]
    done = subprocess.run(command, cwd=clone, env=told, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("python -c")]


def test_first_start_says_first_what_it_does_and_for_how_long_and_the_second_installs_nothing(clone: Path) -> None:
    what, environment, installing, pip, server = make(clone, "run")
    assert "minutes" in what
    assert environment == "python -m venv .venv"
    assert installing == "Installing into .venv: factline"
    assert "--quiet" not in pip
    assert server == "factline serve"
    assert make(clone, "run") == ["factline serve"]


def test_quick_tests_install_no_driver_and_all_tests_do(clone: Path) -> None:
    *_, pip, _echoed, tests = make(clone, "test")
    assert pip.endswith("--editable .[test]")
    assert tests.startswith("pytest -n 2")
    *_, pip, _echoed, tests = make(clone, "test", full=True)
    assert pip.endswith("--editable .[test,lint,distributed,engines]")
    assert tests.startswith("pytest -n 2")
    assert len(make(clone, "test")) == 2
