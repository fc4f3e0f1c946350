"""The page's files as they are served."""

import gzip
import json
import re
from pathlib import Path

import pytest

from read_api.page import ROOMS
from tests.read_api.world import Caller, problem

ROOT = Path(__file__).parents[2]
# uplot 1.6.32 of the npm registry
UPLOT_INTEGRITY = "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
MOST_SCRIPT_BYTES = 250_000


def test_the_page_needs_no_key_and_no_other_host(nobody: Caller) -> None:
    response = nobody.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.findall(r"https?://", response.text)
    files = re.findall(r'(?:src|href)="(/page/[^"]+)"', response.text)
    assert files
    for file in files:
        assert nobody.get(file).status_code == 200


def test_each_file_is_asked_about_again_and_may_load_nothing_from_elsewhere(nobody: Caller) -> None:
    for path in ("/", "/devices/web-1", "/page/app.js", "/page/app.css", "/page/icon.svg"):
        headers = nobody.get(path).headers
        assert headers["cache-control"] == "no-cache"
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_file_that_is_known_already_is_not_sent_again(nobody: Caller) -> None:
    etag = nobody.get("/page/app.js").headers["etag"]
    again = nobody.get("/page/app.js", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("file", "media_type"),
    [("app.js", "text/javascript"), ("app.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_a_file_has_its_type(nobody: Caller, file: str, media_type: str) -> None:
    assert nobody.get(f"/page/{file}").headers["content-type"].startswith(media_type)


@pytest.mark.parametrize(
    "path",
    ["/page/nope.js", "/page/..%2fpage.py", "/page/%00", "/page/%2e%2e%2fpage.py", "/page/", f"/page/{'x' * 3_000}"],
)
def test_nothing_else_is_served(nobody: Caller, path: str) -> None:
    problem(nobody.get(path), 404)


def test_the_chart_library_is_as_its_makers_released_it(nobody: Caller) -> None:
    packages = json.loads((ROOT / "page" / "package-lock.json").read_text())["packages"]
    assert packages["node_modules/uplot"]["integrity"] == UPLOT_INTEGRITY
    assert "Copyright (c) 2022 Leon Sorokin" in nobody.get("/page/licenses.md").text


def test_no_package_names_the_host_that_it_came_from() -> None:
    assert "resolved" not in (ROOT / "page" / "package-lock.json").read_text()


def test_the_whole_script_is_small(nobody: Caller) -> None:
    scripts = re.findall(r'src="(/page/[^"]+[.]js)"', nobody.get("/").text)
    assert scripts == ["/page/app.js"]
    assert len(gzip.compress(nobody.get(scripts[0]).content)) < MOST_SCRIPT_BYTES


def test_an_address_that_is_pasted_gives_the_page(nobody: Caller) -> None:
    page = nobody.get("/").text
    assert nobody.get("/?stream=device-web-1").text == page
    for room in ROOMS:
        for path in (f"/{room}?status=OPEN", f"/{room}/a%2Fb?stream=a-1&version=2"):
            assert nobody.get(path).text == page


def test_every_room_of_the_rail_is_served() -> None:
    rail = re.findall(r'path: "/(\w+)"', (ROOT / "page" / "src" / "rooms.ts").read_text())
    assert rail
    assert set(rail) <= set(ROOMS)


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/devicesX", "/devices.js"])
def test_an_address_of_no_room_is_refused(nobody: Caller, path: str) -> None:
    problem(nobody.get(path), 404)
