"""A real browser goes from a program's page on another site to the page that asks, and back with a code."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from tests.end_to_end.oauth_kit import address, bearer, redeemed, registered
from tests.end_to_end.test_who import PASSWORD, Server, started
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

SIGN_IN = """
const [body, done] = arguments;
fetch("/v1/sign-in", {method: "POST", headers: {"Content-Type": "application/json"}, body}).then(a => done(a.status));
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("consent-page")) as server:
        yield server


class Program:
    """A program on another site: `localhost`, where the server is 127.0.0.1."""

    def __init__(self, server: Server, own_address: str) -> None:
        self.home = own_address
        self.back = f"{own_address}/signed-in"
        self.client: Any = registered(server, kind="public", redirect_uris=[self.back], scopes=["devices:read"])
        base = str(server.client.base_url).rstrip("/")
        self.asks = base + address(self.client, redirect_uri=self.back)


@pytest.fixture
def program(server: Server) -> Iterator[Program]:
    app = FastAPI()
    with served(app) as client:
        program = Program(server, f"http://localhost:{client.base_url.port}")
        link = f'<a id="go" href="{program.asks.replace("&", "&amp;")}">Sign in with factline</a>'
        app.add_api_route("/", lambda: HTMLResponse(link))
        app.add_api_route("/signed-in", lambda: HTMLResponse("<h1>Back</h1>"))
        yield program


def test_user_signs_in_allows_and_comes_back_with_a_code(browser: "Chrome", server: Server, program: Program) -> None:
    from tests.end_to_end.browser import console_errors  # noqa: PLC0415 - selenium comes with the full tier

    def title() -> str:
        return str(browser.execute_script("return document.querySelector('h1')?.textContent ?? ''"))

    def leave_for_the_page() -> None:
        browser.get(program.home)
        browser.find_element("id", "go").click()
        eventually(lambda: title() == "Allow a program")

    def press(decision: str) -> None:
        browser.find_element("css selector", f"button[value={decision}], button:only-of-type").click()

    server.member("ann", "USER")
    browser.delete_all_cookies()
    console_errors(browser)
    leave_for_the_page()
    assert "devices:read" in browser.page_source
    press("allow")
    eventually(lambda: title() == "Sign in first")
    asking = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(str(server.client.base_url))
    body = f'{{"tenant_id": "acme", "user_id": "ann", "password": "{PASSWORD}"}}'
    assert browser.execute_async_script(SIGN_IN, body) == 200
    browser.close()
    browser.switch_to.window(asking)
    browser.find_element("css selector", "button").click()
    eventually(lambda: title() == "Back")
    said = dict(parse_qsl(urlsplit(browser.current_url).query))
    assert browser.current_url.startswith(f"{program.back}?")
    assert said["state"] == "a state"
    token = bearer(redeemed(server, program.client, said["code"], redirect_uri=program.back))
    assert server.me(token)["actor"] == {"type": "user", "id": "ann"}
    # signed in by now: the browser keeps the strict cookie back from the first request, and sends it with the form
    leave_for_the_page()
    press("allow")
    eventually(lambda: title() == "Back")
    assert "code=" in browser.current_url
    leave_for_the_page()
    press("deny")
    eventually(lambda: title() == "Back")
    assert "error=access_denied" in browser.current_url
    assert not [text for text in console_errors(browser) if "favicon" not in text]
