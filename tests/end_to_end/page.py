"""What a person does with the page in a real browser, and sees on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.end_to_end import browser as browsers

T = TypeVar("T")

SOON_S = 10
SLOWLY_S = 40


class Page:
    """One tab."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        self.expected_errors: tuple[str, ...] = ()

    def open(self, key: str = "", room: str = "/") -> None:
        # a document of another address first: with the fragment alone changed, a browser would not load the page again
        self.browser.get("about:blank")
        self.browser.get(f"{self.url}{room}#key={key}" if key else f"{self.url}{room}")
        self.run("window.name = 'not loaded again'")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        return self.until(lambda: next(iter(self.all(css)), None), f"nothing is at {css}")

    def text(self, css: str) -> str:
        return self.one(css).text

    def press(self, words: str, *, within: str = "") -> None:
        """Press the button that is called so: that of the open dialog, where there is one."""

        def found() -> WebElement | None:
            buttons = self.all("dialog:modal button") or self.all(f"{within} button")
            return next((one for one in buttons if one.text == words and one.is_displayed()), None)

        self.until(found, f"there is no button {words}").click()

    def fill(self, **values: str) -> None:
        """Write into the fields of the open dialog, or of the page."""
        for name, value in values.items():
            places = [f"dialog:modal [name={name}]", f"[name={name}]"]
            field = next(iter([one for css in places for one in self.all(css)]))
            if field.tag_name == "select":
                Select(field).select_by_visible_text(value)
            else:
                field.clear()
                field.send_keys(value)

    def settled(self) -> None:
        """Wait until nothing is being loaded any more."""
        self.until(lambda: "Loading…" not in self.text("main") or None, "something is still being loaded")

    def buttons(self) -> set[str]:
        return {button.text for button in self.all("main button")}

    def row(self, section: str, words: str) -> WebElement:
        """Wait for the row of a section's table that has these words."""

        def found() -> WebElement | None:
            return next((row for row in self.all(f"{section} tbody tr") if words in row.text), None)

        return self.until(found, f"no row of {section} says {words}")

    def until(self, look: Callable[[], T | None], otherwise: str, *, seconds: float = SOON_S) -> T:
        waiting = WebDriverWait(
            self.browser, seconds, 0.1, (NoSuchElementException, StaleElementReferenceException, AssertionError)
        )
        found: T | None = waiting.until(lambda _: look(), otherwise)
        assert found is not None
        return found

    def until_text(self, css: str, words: str, *, seconds: float = SOON_S) -> None:
        self.until(lambda: words in self.text(css) or None, f"{css} does not say {words}", seconds=seconds)


@contextmanager
def tab(browser: Chrome, url: str) -> Iterator[Page]:
    """Give a tab of its own; afterwards nothing was asked of another host, and nothing went wrong unseen."""
    first_tab = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browsers.resize(browser, 1280, 900)
    page = Page(browser, url)
    try:
        yield page
        requests = [url for url in browsers.requested(browser) if not url.startswith(("about:", "chrome://", "data:"))]
        errors = [
            error
            for error in browsers.console_errors(browser)
            if not any(expected in error for expected in page.expected_errors)
        ]
    finally:
        browser.close()
        browser.switch_to.window(first_tab)
    assert requests
    elsewhere = [one for one in requests if not one.startswith(f"{url}/")]
    assert elsewhere == [], elsewhere
    assert errors == [], errors
