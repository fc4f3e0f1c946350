"""A list of 100,000 rows is scrolled in a real browser from its first row to its last one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.engines.java import ToolMissing
from tests.benchmarks.result import Result
from tests.end_to_end import browser as browsers
from tests.end_to_end.conftest import Server
from tests.end_to_end.page import Page

ROWS = 100_000
BATCH = 1_000
PIXELS = 240
"""Of one frame: six rows, faster than anybody reads."""

_SCROLL_S = 1_200
_SCROLL = """
const [step] = arguments;
const done = (found) => { window.found = found; };
const frames = [];
let before = performance.now(), begun = before, still = 0;
const go = (now) => {
  frames.push(now - before);
  before = now;
  const top = scrollY;
  scrollBy(0, step);
  still = scrollY === top ? still + 1 : 0;
  const table = document.querySelector("main table");
  const isOver = still > 60 && table.getAttribute("aria-rowcount") !== "-1";
  if (!isOver) return requestAnimationFrame(go);
  frames.sort((one, other) => one - other);
  const rows = Number(table.getAttribute("aria-rowcount")) - 1;
  const late = frames.filter((ms) => ms > 25).length;
  const seconds = (before - begun) / 1000;
  done({ rows, frames: frames.length, seconds, late, p99: frames[Math.floor(frames.length * 0.99)] });
};
requestAnimationFrame(go);
"""


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Register the devices, open their list and scroll it as a wheel does, without a pause."""
    if reason := browsers.missing():
        raise ToolMissing(reason)
    with TemporaryDirectory() as folder, Server(Path(folder) / "data") as server:
        say(f"the page: a list of {ROWS:,} devices is made")
        token = _register(server)
        with browsers.chromium(Path(folder) / "profile", width=1400) as browser:
            _wait(server, token)
            page = Page(browser, server.address)
            page.open(server.api_key, "/devices?q=&sort=hostname")
            page.until(lambda: page.all("#devices tbody a.row") or None, "no rows")
            say("it is scrolled to its end")
            page.run(_SCROLL, PIXELS)
            found: dict[str, Any] = page.until(lambda: page.run("return window.found"), "no end", seconds=_SCROLL_S)
        say(f"{found}")
        assert found["rows"] >= ROWS, found
        yield Result(f"frames while {ROWS:,} rows are scrolled", found["frames"] / found["seconds"], "/s", floor=60)
        yield Result("longest frame but for 1 of 100", found["p99"], "ms", floor=17.5, most=True)


def _register(server: Server) -> str:
    token = ""
    with server.client() as client:
        for first in range(0, ROWS, BATCH):
            commands = [
                {
                    "command": "fleet.RegisterDevice",
                    "body": {"device_id": f"d-{n:06}", "hostname": f"d-{n:06}.example"},
                }
                for n in range(first, first + BATCH)
            ]
            answer = client.post("/v1/commands", json=commands)
            token = answer.json()["replies"][-1]["position"]["token"]
    return token


def _wait(server: Server, token: str) -> None:
    with server.client() as client:
        while client.get("/v1/devices", params={"limit": 1}, headers={"X-Consistent-With": token}).is_error:
            pass
