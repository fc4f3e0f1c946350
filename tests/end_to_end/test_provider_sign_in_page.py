"""A real browser goes from the page's form to a provider on another site, and comes back signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import RedirectResponse

from tests.end_to_end.oauth_kit import held_for, registered
from tests.end_to_end.oidc_kit import provider, set_provider
from tests.end_to_end.test_who import PASSWORD, Server, cookie_of, started
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

    from tests.end_to_end.page import Page


def test_person_signs_in_with_their_provider_and_stays_signed_in(browser: "Chrome", tmp_path: "Path") -> None:
    from selenium.webdriver.common.keys import Keys  # noqa: PLC0415 - selenium comes with the full tier

    from tests.end_to_end.page import Page  # noqa: PLC0415

    with started(tmp_path) as server, provider() as people:
        # another site: the server is 127.0.0.1
        people.url = people.url.replace("127.0.0.1", "localhost")
        person = {"email": "ann@acme.example", "email_verified": True}

        def authorize(request: Request) -> RedirectResponse:
            return RedirectResponse(people.let_in(str(request.url), "s-ann", **person))

        people.app.add_api_route("/authorize", authorize)
        set_provider(server, people.url).raise_for_status()
        server.invite("ann", "ADMIN").raise_for_status()
        eventually(lambda: server.rows("/v1/users/ann", server.admin))
        browser.delete_all_cookies()
        page = Page(browser, str(server.client.base_url).rstrip("/"))

        def sign_in() -> None:
            page.open()
            page.one("label:has([value=Password])").click()
            page.one("#tenant-name").send_keys("acme", Keys.TAB)
            page.press("Sign in with Acme's people")

        person["email"] = "nobody@acme.example"
        sign_in()
        page.until_text("#sign-in-error", "nobody of this tenant is invited with your address there")
        person["email"] = "ann@acme.example"
        sign_in()
        page.until_text("#tenant", "acme")
        assert browser.current_url == f"{page.url}/"
        page.open("", "/devices")
        page.until_text("#tenant", "acme")
        page.one("#sign-out").click()
        page.one("#sign-in")
        browser.execute_script("localStorage.clear()")


@contextmanager
def signed_in(browser: "Chrome", server: Server, user: str) -> "Iterator[Page]":
    """Give the page of a new user who has signed in with their password."""
    from tests.end_to_end.page import Page  # noqa: PLC0415

    server.member(user, "VIEWER")
    eventually(lambda: server.rows(f"/v1/users/{user}", server.admin)[0]["status"] == "ACTIVE")
    browser.delete_all_cookies()
    page = Page(browser, str(server.client.base_url).rstrip("/"))
    page.open()
    page.one("label:has([value=Password])").click()
    page.fill(tenant="acme", user=user, password=PASSWORD)
    page.press("Sign in")
    page.until_text("#tenant", "acme")
    yield page
    page.one("#sign-out").click()
    page.one("#sign-in")


def test_person_links_who_they_are_at_a_provider_and_stays_signed_in(browser: "Chrome", tmp_path: "Path") -> None:
    with started(tmp_path) as server, provider() as people:
        people.url = people.url.replace("127.0.0.1", "localhost")
        is_let_in = {"bea": True, "carl": False}
        coming = list(is_let_in)

        def authorize(request: Request) -> RedirectResponse:
            user = coming.pop(0)
            url = people.let_in(str(request.url), f"s-{user}")
            return RedirectResponse(url if is_let_in[user] else url.replace("code=", "error=access_denied&not_code="))

        people.app.add_api_route("/authorize", authorize)
        set_provider(server, people.url).raise_for_status()
        for user, said in (
            ("bea", "You sign in with who you are at the provider from now on"),
            ("carl", "It was not linked: the provider did not let you in"),
        ):
            with signed_in(browser, server, user) as page:
                page.open("", "/account")
                page.press("Link with Acme's people")
                page.until_text("#sign-ins", said)
                assert browser.current_url == f"{page.url}/account"
                assert user in page.text("#who")
        eventually(lambda: server.rows("/v1/users/bea", server.admin)[0].get("linked_provider") == "people")
        assert not server.rows("/v1/users/carl", server.admin)[0].get("linked_provider")


def test_person_ends_a_session_of_theirs_and_takes_back_what_they_let_a_program_do(
    browser: "Chrome", tmp_path: "Path"
) -> None:
    from tests.end_to_end.axe import findings  # noqa: PLC0415

    with started(tmp_path) as server, signed_in(browser, server, "dora") as page:
        elsewhere = cookie_of(server.sign_in("dora").raise_for_status())
        server.member("eve", "USER")
        program = held_for(server, elsewhere, registered(server, kind="public", name="Reports", scopes=["*"]))
        page.open("", "/account")
        page.until_text("#sign-ins", "This tenant has no provider")
        page.row("#sessions", "this one")
        assert "eve" not in page.text("main")
        page.press("Take back", within="#consents")
        page.press("Take back")
        page.until_text("#consents .status", "ended")
        eventually(lambda: not server.is_in(program.access))
        assert server.is_in(elsewhere)
        assert findings(page) == []
        # the two that are not this one
        for number in (1, 2):
            page.press("End", within="#sessions")
            page.press("End")
            page.until(partial(has_ended, page, number), "it goes on")
        eventually(lambda: not server.is_in(elsewhere))
        assert "End" not in page.buttons()


def has_ended(page: "Page", number: int) -> bool | None:
    return len(page.all("#sessions .status.ended")) == number or None
