"""axe-core looks at a page for what keeps people from using it, in light and in dark."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tests.end_to_end import browser as browsers
from tests.end_to_end.page import Page

_FIND = """
const done = arguments[arguments.length - 1];
const told = ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`;
axe.run(document, arguments[0]).then(({ violations }) => done(violations.map(told)));
"""
# what does not depend on colours is the same in the dark
_SCHEMES: Mapping[str, Mapping[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}


def findings(page: Page) -> list[str]:
    page.run(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = []
    for scheme, options in _SCHEMES.items():
        browsers.prefer(page.browser, scheme)
        found += [f"in {scheme}: {one}" for one in page.browser.execute_async_script(_FIND, options)]
    browsers.prefer(page.browser, "light")
    return found
