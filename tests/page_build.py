"""Makes the page's files from `page/`: `python -m tests.page_build`, and `--check` says if they are as committed.

The types of the script come from the API's own description, so a change of the API that breaks the page does not
compile. It needs Node 20.19 or newer, and npm's registry once; nothing else of factline needs them.
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from domain.catalog import OFFERED
from infra.embedded import Embedded
from infra.serve.embedded import create_app

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "page"
BUILT = ROOT / "read_api" / "page"
_OLDEST_NODE = (20, 19)


class CannotBuildError(Exception):
    """Node or the packages cannot be had here."""


def prepare() -> None:
    """Install the packages that the lock file names. Raises: CannotBuildError."""
    try:
        version = _run("node", "--version").stdout.strip().lstrip("v")
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBuildError("node is missing: install Node 20.19 or newer, with npm") from error
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_NODE:
        raise CannotBuildError(f"node is too old: this is {version}, install 20.19 or newer")
    lock, installed = SOURCE / "package-lock.json", SOURCE / "node_modules" / ".package-lock.json"
    if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    try:
        _run("npm", "ci", "--no-fund", "--no-audit", "--fetch-retries", "1")
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise CannotBuildError(f"npm could not fetch the packages; check the network: {said.strip()[-500:]}") from error


def build(into: Path) -> None:
    """Write the files of the page. Raises: CalledProcessError, with what the compiler or the bundler said."""
    _describe(SOURCE / "build")
    _run("npm", "run", "--silent", "types")
    _run("npm", "run", "--silent", "check")
    _run("npm", "run", "--silent", "bundle", "--", "--outDir", str(into), "--emptyOutDir")


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of the files that are not byte for byte the same in both folders."""
    names = sorted({path.name for folder in (one, other) for path in folder.iterdir()})
    same, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    return [name for name in names if name not in same]


def _describe(into: Path) -> None:
    """Write what the page is compiled with: the API's description, and the types of events that webhooks tell of."""
    into.mkdir(exist_ok=True)
    (into / "offered.json").write_text(json.dumps(sorted(OFFERED)))
    with TemporaryDirectory() as folder, Embedded.open(Path(folder)) as embedded:
        app = create_app(embedded, host_metrics=False)
        (into / "openapi.json").write_text(json.dumps(app.openapi(), indent=1))


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=True)


def check() -> str | None:
    """Return what is wrong with the committed files."""
    with TemporaryDirectory() as folder:
        build(Path(folder))
        wrong = differences(Path(folder), BUILT)
    return f"read_api/page is not what page/ makes: {', '.join(wrong)}; run make page" if wrong else None


def main() -> str | None:
    parser = argparse.ArgumentParser(prog="python -m tests.page_build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="build beside, and compare byte for byte")
    asked = parser.parse_args()
    try:
        prepare()
    except CannotBuildError as error:
        said = f"the page was not built: {error}"
        if not asked.check or os.environ.get("REQUIRE_ENGINES") == "1":
            return said
        print(f"{said}; read_api/page was not compared with page/")
        return None
    try:
        if asked.check:
            return check()
        build(BUILT)
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd)}:\n{error.stdout}{error.stderr}"
    return None


if __name__ == "__main__":
    sys.exit(main())
