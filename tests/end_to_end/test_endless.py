"""Log lines and events go on while one scrolls, and what is read stays where it is while new ones come."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.end_to_end.conftest import Server
from tests.end_to_end.page import Page

LINES = 250
LONG = "this talk is longer than any row is wide, " * 20
FAR_DOWN = 150


@pytest.fixture(scope="module")
def talkative(server: Server) -> Server:
    """Give the server once it has more lines and more events than a page of them."""
    server.command("fleet.RegisterDevice", device_id="talker", hostname="talker.example")
    server.post("/v1/telemetry", [_line(f"talk {number:03}", LINES - number) for number in range(LINES)])
    server.post("/v1/commands", [_tag(f"{number:03}") for number in range(LINES)])
    return server


def _tag(value: str) -> dict[str, object]:
    return {"command": "fleet.TagDevice", "body": {"device_id": "talker", "key": "number", "value": value}}


def _line(summary: str, seconds_ago: int) -> dict[str, object]:
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    data = {"severity": "info", "summary": summary}
    return {"type": "log.recorded", "device_id": "talker", "happened_at": at, "data": data}


def test_log_lines_go_on_and_stay_where_they_are(page: Page, talkative: Server) -> None:
    page.open(talkative.api_key, "/logs?contains=talk")
    page.row("#logs", "talk 249")
    _scroll(page, "#logs")
    row, before = _read(page, "#logs")
    talkative.post("/v1/telemetry", [_line(LONG, 0)])
    page.until(lambda: page.all("#logs .before button") or None, "nobody says that there is a new line")
    assert _top(page, row) == before
    assert len(page.all("#logs tbody tr")) < LINES
    page.press("From the beginning", within="#logs")
    page.row("#logs", LONG[:40]).find_element("css selector", "button").click()
    page.until_text("dialog:modal pre", LONG.strip())
    assert "talker" in page.text("dialog:modal .facts")
    page.press("Close")


def test_events_go_on_and_stay_where_they_are(page: Page, talkative: Server) -> None:
    page.open(talkative.api_key, "/events?by_stream=device-talker")
    page.row("#events", "device-talker · 251")
    _scroll(page, "#events")
    row, before = _read(page, "#events")
    talkative.command("fleet.TagDevice", device_id="talker", key="number", value="new")
    page.until(lambda: page.all("#events .before button") or None, "nobody says that there is a new event")
    assert _top(page, row) == before
    # the address is of where one is
    address = page.browser.current_url
    assert "cursor=" in address
    page.open(talkative.api_key, address.removeprefix(talkative.address))
    page.row("#events", "device-talker · 1")
    assert "device-talker · 251" not in page.text("#events")
    page.press("From the beginning", within="#events")
    page.row("#events", "device-talker · 252")


# goes down without a rest, and counts where a frame came so late that it was one
_GO_DOWN = """
window.told = 0; window.rests = 0; window.isOver = false;
const real = history.replaceState;
history.replaceState = (...said) => { if (!isOver) told += 1; return real.apply(history, said); };
let before = performance.now(), top;
const go = (now) => {
  if (now - before > 60) rests += 1;
  before = now;
  top = scrollY;
  scrollBy(0, 120);
  if (scrollY !== top) return requestAnimationFrame(go);
  isOver = true;
};
requestAnimationFrame(go);
"""


def test_address_waits_until_one_has_stopped(page: Page, talkative: Server) -> None:
    page.open(talkative.api_key, "/events?by_stream=device-talker")
    page.until(
        lambda: page.run("scrollBy(0, 1200)") or page.all("#events tr[aria-rowindex='250']") or None, "no more rows"
    )
    page.until(lambda: "cursor=" in page.browser.current_url or None, "the address does not say where one is")
    page.run("scrollTo(0, 0)")
    page.until(lambda: "cursor=" not in page.browser.current_url or None, "the address is of further down")
    page.run(_GO_DOWN)
    page.until(lambda: page.run("return isOver") or None, "it is not at the end")
    assert page.run("return told") <= page.run("return rests")
    page.until(lambda: "cursor=" in page.browser.current_url or None, "the address does not say where one is")


def _scroll(page: Page, section: str) -> None:
    def far_down() -> bool | None:
        page.run("scrollBy(0, 1200)")
        return bool(page.all(f"{section} tr[aria-rowindex='{FAR_DOWN}']")) or None

    page.until(far_down, "no more rows")
    page.run("arguments[0].scrollIntoView({block: 'center'})", page.one(f"{section} tr[aria-rowindex='{FAR_DOWN}']"))


def _read(page: Page, section: str) -> tuple[object, float]:
    row = page.one(f"{section} tr[aria-rowindex='{FAR_DOWN}']")
    return row, _top(page, row)


def _top(page: Page, row: object) -> float:
    top: float = page.run("return arguments[0].getBoundingClientRect().top", row)
    return top
