"""The page's files as they are served."""

import hashlib
import re

import pytest

from tests.read_api.world import Caller, problem

# uplot 1.6.32 of the npm registry
UPLOT_SHA256 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


def test_the_page_needs_no_key_and_no_other_host(nobody: Caller) -> None:
    response = nobody.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.findall(r"https?://", response.text)
    files = re.findall(r'(?:src|href)="(/page/[^"]+)"', response.text)
    assert files
    for file in files:
        assert nobody.get(file).status_code == 200


def test_each_file_is_asked_about_again_and_may_load_nothing_from_elsewhere(nobody: Caller) -> None:
    for path in ("/", "/page/app.js", "/page/app.css", "/page/icon.svg"):
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


@pytest.mark.parametrize("file", UPLOT_SHA256)
def test_the_chart_library_is_as_its_makers_released_it(nobody: Caller, file: str) -> None:
    assert hashlib.sha256(nobody.get(f"/page/{file}").content).hexdigest() == UPLOT_SHA256[file]
