"""What import-linter cannot see: drivers by file name, and ports that say what they promise."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import projections.ports
import streams.ports

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "domain", "projections", "streams", "read_api", "infra")

DRIVERS = {
    "aiokafka": ("kafka", "batch_transport", "faust"),
    "cassandra": ("cassandra",),
    "clickhouse_connect": ("clickhouse",),
    "chdb": ("clickhouse",),
    "confluent_kafka": ("kafka", "confluent"),
    "eventsourcing": ("event_log", "recorder", "sqlite"),
    "faust": ("faust", "batch_", "projector"),
    "pymongo": ("mongo",),
    "river": ("river",),
    "sqlite3": ("sqlite",),
}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_driver_is_imported_only_by_files_named_after_it() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        if "engines" not in path.parts
        for name in set(imported(path)) & set(DRIVERS)
        if not any(mark in path.stem for mark in DRIVERS[name])
    ]
    assert wrong == []


def promises() -> Iterator[tuple[str, str]]:
    for module in (projections.ports, streams.ports):
        for _, port in inspect.getmembers(module, inspect.isclass):
            if port.__module__ == module.__name__ and getattr(port, "_is_protocol", False):
                for name, method in vars(port).items():
                    if not name.startswith("_") and (callable(method) or isinstance(method, property)):
                        yield f"{port.__name__}.{name}", inspect.getdoc(method) or ""


@pytest.mark.parametrize(("method", "text"), list(promises()), ids=lambda value: str(value).partition("\n")[0][:40])
def test_every_method_of_a_port_says_what_it_promises(method: str, text: str) -> None:
    assert text.partition("\n")[0].endswith(".")
    assert text.split(maxsplit=1)[0] in {
        "Return",
        "Yield",
        "Make",
        "Remove",
        "Let",
        "Write",
        "Wait",
        "Keep",
        "Forget",
        "Send",
        "Take",
    }, method


def test_every_exception_says_whether_a_retry_helps() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(isinstance(base, ast.Name) and base.id.endswith(("Exception", "Error")) for base in node.bases)
        and not any(word in (ast.get_docstring(node) or "").lower() for word in ("retry", "again", "what to do"))
    ]
    assert silent == []
