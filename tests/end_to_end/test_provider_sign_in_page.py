"""A real browser goes from the page's form to a provider on another site, and comes back signed in."""

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import RedirectResponse

from tests.end_to_end.oidc_kit import provider, set_provider
from tests.end_to_end.test_who import started
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome


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
