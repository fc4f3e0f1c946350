"""What belongs to the quick tier of tests, and what is said of the rest."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tiers import DRIVERS

CASES = {
    "test_with_an_engine.py": "def test_case(kafka): pass\n",
    "test_long.py": "import pytest\n\n@pytest.mark.full\ndef test_case(): pass\n",
    "test_with_a_driver.py": "import infra.kafka.connection\n\ndef test_case(): pass\n",
    "test_with_a_driver_inside.py": "def test_case(): import pymongo\n",
    "test_quick.py": "def test_case(): pass\n",
}


def test_embedded_profile_is_whole_without_any_driver() -> None:
    modules = ("infra.serve.embedded", "infra.cli.imports", "infra.cli.operator", "infra.cli.replay", "read_api.app")
    without = f"import sys; sys.modules.update(dict.fromkeys({sorted(DRIVERS)!r})); import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_quick_tier_leaves_out_engines_drivers_and_what_is_marked_and_says_how_to_run_them(tmp_path: Path) -> None:
    for name, text in CASES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.tiers", "-p", "tests.engines", str(tmp_path)]
    environment = {**os.environ, "REQUIRE_ENGINES": "", "PATH": ""}
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 4 skipped" in done.stdout
    assert "REQUIRE_ENGINES=1 make test" in done.stdout
