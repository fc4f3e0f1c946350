"""An installed package brings handlers, and one that is broken says what is wrong with it."""

import importlib
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from factline.worker import Failed
from infra.cli.main import cli
from infra.handlers.calls import calls_of_tasks
from infra.handlers.catalog import handlers
from infra.handlers.kinds import HARMLESS, KINDS, BadKinds, kinds_of
from infra.handlers.settings import HandlerSettings
from infra.handlers.web import Handler
from infra.qdrant.vectors import QdrantVectors
from tests.infra.handlers.kit import done

_ROOT = Path(__file__).parents[3]
Install = Callable[[str, str, dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Gives a function that does what pip does: a module, and the entry points of its package."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, module: str, points: dict[str, str]) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(module)
        about = tmp_path / f"{name}-0.1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        lines = [f"{kind} = {where}" for kind, where in points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[factline.handlers]", *lines]))
        importlib.invalidate_caches()

    return install


def made(kind: str, folder: Path) -> Handler:
    vectors = QdrantVectors(folder / "vectors")
    return handlers(HandlerSettings(), kinds_of(kind, ()), calls_of_tasks(), vectors)("acme")[kind]


def test_example_of_the_documentation_does_its_tasks(install: Install, tmp_path: Path) -> None:
    page = (_ROOT / "docs" / "handlers.md").read_text()
    [module] = re.findall(r"```python\n(# shop_tools\.py\n.*?)```", page, re.DOTALL)
    [project] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    points = tomllib.loads(project)["project"]["entry-points"]["factline.handlers"]
    install("shop_tools", module, points)
    assert kinds_of(None, KINDS, with_packages=True)[-1] == "shop.stock"
    assert kinds_of("http.check,shop.stock", HARMLESS) == ("http.check", "shop.stock")
    # in the embedded server it is done where it is named
    assert "shop.stock" not in kinds_of(None, HARMLESS)
    handler = made("shop.stock", tmp_path)
    assert done(handler, {"article": "A-1"}) == {"article": "A-1", "in_stock": 12}
    with pytest.raises(Failed, match="there is no article B-2"):
        done(handler, {"article": "B-2"})


def test_function_that_is_no_coroutine_is_a_handler_too(install: Install, tmp_path: Path) -> None:
    install("plain_tools", "def twice(task):\n    return 2 * task.input\n", {"plain.twice": "plain_tools:twice"})
    assert done(made("plain.twice", tmp_path), 21) == 42


@pytest.mark.parametrize(
    ("module", "points", "why"),
    [
        ("", {"a.b": "broken:gone"}, r"the handler broken:gone of broken 0\.1 cannot be loaded: AttributeError"),
        ("import sys; sys.exit('no')", {"a.b": "broken:x"}, "cannot be loaded: SystemExit: no"),
        ("import nothing_there", {"a.b": "broken:x"}, "cannot be loaded: ModuleNotFoundError: No module named"),
        ("x = 1", {"a.b": "broken:x"}, "is no function of one task"),
        ("def x(): ...", {"a.b": "broken:x"}, "is no function of one task"),
        ("class x:\n    def __init__(self, task): ...", {"a.b": "broken:x"}, "is no function of one task"),
        ("def x(task): ...", {"A B": "broken:x"}, "'A B' is no kind"),
        ("def x(task): ...", {"http.check": "broken:x"}, "http.check ships with factline"),
    ],
)
def test_broken_package_says_what_is_wrong_with_it(
    install: Install, module: str, points: dict[str, str], why: str
) -> None:
    install("broken", module, points)
    with pytest.raises(BadKinds, match=why):
        kinds_of(None, KINDS, with_packages=True)
    result = CliRunner().invoke(cli, ["worker", "tasks"], env={"FACTLINE_API_KEY": "ak_x.sk_x"})
    assert result.exit_code == 2
    assert "--kinds" in result.output
    # who wants none of it is not kept from the start
    assert kinds_of("http.check", HARMLESS) == ("http.check",)


def test_kind_that_two_packages_have_is_refused(install: Install) -> None:
    for name in ("one", "two"):
        install(name, "def x(task): ...", {"a.b": f"{name}:x"})
    with pytest.raises(BadKinds, match=r"a\.b has several handlers: the handler .* of .* 0\.1; the handler"):
        kinds_of("a.b", ())
