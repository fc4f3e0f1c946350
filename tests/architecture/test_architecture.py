"""This checks what import-linter cannot see: that ports and exceptions say what they promise."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import projections.keys
import projections.operations
import projections.readers
import projections.stores
import streams.ports

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "domain", "projections", "streams", "read_api", "infra", "factline")


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def promises() -> Iterator[tuple[str, str]]:
    for module in (projections.stores, projections.readers, projections.operations, projections.keys, streams.ports):
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


def test_every_router_is_found_by_the_index_of_routes() -> None:
    past_it = [
        str(path.relative_to(ROOT))
        for path in modules()
        if ".include_router(" in path.read_text(encoding="utf-8") and path.name != "route_index.py"
    ]
    assert past_it == [], "use read_api.edge.route_index.include"
