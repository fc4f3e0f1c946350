"""`make pictures` keeps a picture of every room of the page, in light and in dark, for a desk and for a phone.

They are in docs/pictures. The few that documents show have short names and are committed, the others are not.
"""

import os
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import sleep

from tests.end_to_end import browser as browsers
from tests.end_to_end.conftest import Server
from tests.end_to_end.page import Page

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SIZES = {1400: 900, 390: 844}
SCHEMES = ("light", "dark")
SHOWN: Mapping[str, str] = {
    "overview-light-1400": "overview",
    "devices-light-1400": "devices",
    "device-dark-1400": "device",
    "execution-light-1400": "execution",
    "invoice-light-1400": "invoice",
    "leads-dark-1400": "leads",
    "alerts-light-390": "phone",
}
"""The pictures that documents show, and what they are called there."""

_QUIET_S = 90
_LOOKS, _LOOK_S = 3, 0.3
_QUALITY = 60


def main() -> None:
    if reason := browsers.missing():
        sys.exit(reason)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data")
        server.start()
        try:
            _fill(server)
            with browsers.chromium(Path(folder) / "profile") as browser:
                for name, room in _rooms(server):
                    _take(Page(browser, server.address), server, name, room)
        finally:
            server.stop()
    print(FOLDER)


def _fill(server: Server) -> None:
    environment = os.environ | {"FACTLINE_URL": server.address, "FACTLINE_API_KEY": server.api_key}
    subprocess.run([sys.executable, "-m", "infra.cli.main", "demo"], env=environment, check=True)


def _rooms(server: Server) -> Iterator[tuple[str, str]]:
    """Yield each room that the rail leads to, and one thing of each list that has things with rooms of their own."""
    yield "overview", "/"
    for room in ("devices", "alerts", "watches", "maintenance", "logs", "scripts", "runs", "releases"):
        yield room, f"/{room}"
    for room in ("organizations", "leads", "integrations", "account"):
        yield room, f"/{room}"
    for room in ("quotes", "team", "customers", "invoices", "transactions", "budgets", "content", "workflows"):
        yield room, f"/{room}"
    for room in ("executions", "tasks", "agents", "conversations", "collections", "tools", "events", "import"):
        yield room, f"/{room}"
    for room in ("system", "settings"):
        yield room, f"/{room}"
    for name, path, query in (
        ("device", "devices", {"q": "demo"}),
        ("invoice", "invoices", {"status": "APPROVED"}),
        ("execution", "executions", {"status": "COMPLETED"}),
        ("workflow", "workflows", {}),
        ("script", "scripts", {}),
        ("run", "command_executions", {}),
        ("lead", "leads", {"sort": "-score"}),
        ("piece", "content", {}),
        ("conversation", "conversations", {"status": "OPEN"}),
    ):
        [row] = server.get(f"/v1/{path}", limit=1, **query)["rows"]
        yield name, f"/{'runs' if name == 'run' else path}/{row['id']}{'?range=24h' if name == 'device' else ''}"


def _take(page: Page, server: Server, name: str, room: str) -> None:
    for width, height in SIZES.items():
        browsers.resize(page.browser, width, height)
        page.open(server.api_key, room)
        # what one part of a room has found, another one may ask about
        for _ in range(_LOOKS):
            page.until(
                lambda: "Loading…" not in page.text("main") or None, f"{room} is still loading", seconds=_QUIET_S
            )
            sleep(_LOOK_S)
        for scheme in SCHEMES:
            browsers.prefer(page.browser, scheme)
            _keep(page, f"{name}-{scheme}-{width}")


def _keep(page: Page, name: str) -> None:
    if shown := SHOWN.get(name):
        asked = {"format": "webp", "quality": _QUALITY}
        (FOLDER / f"{shown}.webp").write_bytes(
            b64decode(page.browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"])
        )
    page.browser.save_screenshot(str(FOLDER / f"{name}.png"))


if __name__ == "__main__":
    main()
