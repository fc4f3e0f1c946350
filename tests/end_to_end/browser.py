"""Debian's Chromium, driven from Python."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def missing() -> str | None:
    """Return what a browser test needs and this machine has not."""
    without = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(without)} not found; apt-get install chromium chromium-driver" if without else None


@contextmanager
def chromium(profile: Path, *, width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options, Service(shutil.which("chromedriver")))
    resize(browser, width, height)
    try:
        yield browser
    finally:
        browser.quit()


def resize(browser: Chrome, width: int, height: int, *, scale: float = 1) -> None:
    """Set the size of the page; a window cannot be as narrow as a telephone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def console_errors(browser: Chrome) -> list[str]:
    """Return what the console showed as an error since the last call, broken policies included."""
    return [entry["message"] for entry in _log(browser, "browser") if entry["level"] == "SEVERE"]


def requested(browser: Chrome) -> list[str]:
    """Return the address of every request since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(browser, "performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


def _log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def prefer(browser: Chrome, scheme: str) -> None:
    """Set which colours the person prefers, light or dark."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
