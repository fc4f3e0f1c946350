"""Files imported by `factline import` into a running server, beside the server and the program of an earlier commit.

`BASELINE` names a work tree of that commit (`git worktree add ../before 864c86d`); without it there is no ratio.
`IMPORT_MB` is the size of the file of log lines over which the memory of the import is watched.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from tests.benchmarks.embedded import Server, served
from tests.benchmarks.result import Result

INVOICES, ROWS_OF_ONE = 2_000, 20
READINGS = 200_000
LINES = 100_000
LARGE_MB = 200
ROUNDS = 2
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


class _Kind(NamedTuple):
    """Shape: `options` are those that both commits know; `floor` is the ratio that is asked for."""

    what: str
    rows: int
    floor: float
    write: Callable[[Path], None]
    options: tuple[str, ...]


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure each kind; the trees take turns, so that a slow minute of the machine meets both."""
    here, before = Path.cwd(), os.environ.get("BASELINE")
    trees = [Path(before), here] if before else [here]
    say("imports" + ("" if before else "; set BASELINE to a work tree of an earlier commit for a ratio"))
    with TemporaryDirectory(dir="build") as folder:
        for kind in KINDS:
            kind.write(file := (Path(folder) / kind.what).absolute())
            best = dict.fromkeys(trees, 0.0)
            for _ in range(ROUNDS):
                for tree in trees:
                    best[tree] = max(best[tree], kind.rows / _seconds(tree, kind, file))
            baseline = best[trees[0]] if before else None
            of_ratio = before is not None
            yield Result(
                f"import of {kind.what} into a running server",
                best[here],
                "rows/s",
                baseline,
                kind.floor if before else None,
                of_ratio=of_ratio,
            )
        say("the memory of an import")
        yield _memory(Path(folder).absolute())


def _seconds(tree: Path, kind: _Kind, file: Path) -> float:
    with TemporaryDirectory(dir="build") as folder, served(Path(folder).absolute(), tree) as server:
        begin = time.perf_counter()
        importing = _start(tree, server, kind, file)
        said, _ = importing.communicate()
        took = time.perf_counter() - begin
        assert importing.returncode == 0, said
        return took


def _memory(folder: Path) -> Result:
    """Compare the largest memory of the second half of an import with that of the first."""
    lines = int(float(os.environ.get("IMPORT_MB", LARGE_MB)) * 1e6 / 110)
    kind = KINDS[-1]
    _log_lines(file := folder / "large", lines)
    seen: list[float] = []
    with TemporaryDirectory(dir="build") as data, served(Path(data).absolute(), Path.cwd()) as server:
        importing = _start(Path.cwd(), server, kind, file)
        watched = psutil.Process(importing.pid)
        while importing.poll() is None:
            seen.append(watched.memory_info().rss / 1e6)
            time.sleep(0.2)
        assert importing.returncode == 0
    half = len(seen) // 2
    name = f"memory of an import of {lines:,} log lines, second half against first"
    return Result(name, max(seen[half:]), "MB", max(seen[:half]), 1.1, of_ratio=True, most=True)


def _start(tree: Path, server: Server, kind: _Kind, file: Path) -> "subprocess.Popen[str]":
    # earlier commits had the command line in one file
    main = "infra.cli.main" if (tree / "infra/cli/main.py").exists() else "infra.cli"
    command = [sys.executable, "-m", main, "import", kind.what, str(file), "--tenant", "demo", *kind.options]
    key = str(server.client.headers["X-API-Key"])
    environment = {**os.environ, "PYTHONPATH": str(tree), "FACTLINE_URL": server.url, "FACTLINE_API_KEY": key}
    return subprocess.Popen(
        command, cwd=tree, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _invoices(file: Path) -> None:
    with file.open("w") as out:
        print(_HEADER, file=out)
        for n in range(INVOICES):
            at = _BEGIN + timedelta(minutes=n)
            for row in range(ROWS_OF_ONE):
                cells = (
                    f"5{n:05}",
                    f"8{row:04}A",
                    f"WHITE HANGING HEART {row}",
                    row % 9 + 1,
                    f"{at:%Y-%m-%d %H:%M:%S}",
                )
                print(*cells, f"{row / 7 + 0.55:.2f}", 17_000 + n % 900, "United Kingdom", sep=",", file=out)


def _readings(file: Path) -> None:
    with file.open("w") as out:
        print("timestamp,value", file=out)
        for n in range(READINGS):
            print(f"{_BEGIN + timedelta(seconds=5 * n):%Y-%m-%d %H:%M:%S}", f"{n % 977 / 9.77:.3f}", sep=",", file=out)


def _log_lines(file: Path, lines: int = LINES) -> None:
    with file.open("w") as out:
        for n, pid in zip(range(lines), count(20_000)):
            at = _BEGIN + timedelta(milliseconds=250 * n)
            said = (
                f"Failed password for invalid user test{n % 50} from 192.0.2.{n % 250} port {30_000 + n % 9_000} ssh2"
            )
            print(f"{at:%Y-%m-%dT%H:%M:%S.%f}+00:00 web-1 sshd[{pid}]: {said}", file=out)


KINDS = (
    _Kind("invoices", INVOICES * ROWS_OF_ONE, 3, _invoices, ()),
    _Kind("metrics", READINGS, 5, _readings, ("--device", "web-1", "--metric", "cpu", "--unit", "percent")),
    _Kind("logs", LINES, 5, _log_lines, ("--device", "web-1")),
)
