"""The page in a real browser, on a real server."""

import signal
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from infra.data_dir import operator_key
from tests.end_to_end import browser as browsers
from tests.end_to_end import retail
from tests.end_to_end.conftest import Server
from tests.end_to_end.page import SLOWLY_S, Page


@pytest.fixture(scope="module")
def shop(server: Server) -> Server:
    """Give the server once the analytics know a few invoices."""
    position = retail.send(server, retail.FEW_ROWS)
    wait_for_view(server, "/v1/analytics/revenue", position)
    wait_for_view(server, "/v1/invoices", position)
    return server


def wait_for_view(server: Server, path: str, position: str) -> None:
    headers = {"X-API-Key": server.api_key, "X-Consistent-With": position}
    assert httpx.get(server.address + path, headers=headers, timeout=30).is_success


def register(server: Server, device_id: str, hostname: str | None = None) -> None:
    server.command("fleet.RegisterDevice", device_id=device_id, hostname=hostname or f"{device_id}.example")


def test_opening_the_address_shows_this_machine_and_its_readings_within_ten_seconds(page: Page, server: Server) -> None:
    page.open(server.api_key)
    device = page.one("#devices tr[aria-current]")
    assert "online" in device.text
    page.until(lambda: readings(page, "cpu_percent") or None, "the CPU's chart has no data")
    assert page.text("[data-metric=memory_percent] figcaption").startswith("Memory, %")
    for metric in ("disk_percent", "network_received network_sent", "load_1m"):
        assert page.one(f"[data-metric='{metric}'] canvas").is_displayed()
    assert page.browser.current_url == f"{server.address}/"
    assert page.text("#tenant") == "demo"


def test_a_reading_that_comes_is_added_to_the_chart(page: Page, server: Server) -> None:
    page.open(server.api_key)
    before = page.until(lambda: readings(page, "cpu_percent") or None, "the CPU's chart has no data")
    page.until(lambda: readings(page, "cpu_percent") > before or None, "no reading was added")
    page.until(lambda: "now" in page.text("#devices tr[aria-current]") or None, "the device was not heard of now")
    assert page.run("return window.name") == "not loaded again"


def readings(page: Page, metric: str) -> int:
    label = page.one(f"[data-metric={metric}] .canvas").get_attribute("aria-label") or ""
    return int(label.split(": ")[1].split()[0])


def test_a_command_is_seen_among_the_newest_events_without_loading_the_page_again(page: Page, server: Server) -> None:
    page.open(server.api_key)
    page.row("#events", "device.registered")
    register(server, "till-9")
    assert "device.registered" in page.row("#events", "device-till-9").text
    assert "pending" in page.row("#devices", "till-9.example").text
    assert page.run("return window.name") == "not loaded again"


def test_a_click_on_a_device_shows_its_history_and_what_it_was_at_each_version(page: Page, server: Server) -> None:
    register(server, "web-1")
    server.command("fleet.ChangeDeviceStatus", device_id="web-1", status="MAINTENANCE", reason="disk swap")
    page.open(server.api_key, "/devices")
    page.row("#devices", "maintenance").click()
    page.press("History")
    page.until_text("#history label", "version 2 of 2")
    assert page.text("#history h2") == "device-web-1"
    assert page.text("#metrics-title") == "Metrics of web-1.example"
    assert [event.text for event in page.all("#history .events strong")] == [
        "device.registered",
        "device.status.changed",
    ]
    assert "disk swap" in page.text("#history .events li:last-child pre")
    page.until_text("#history .state", '"status": "MAINTENANCE"')
    assert page.text("#history .state mark").strip() == '"status": "MAINTENANCE",'

    page.one("#history [aria-label='Earlier version']").click()
    page.until_text("#history label", "version 1 of 2")
    page.until_text("#history .state", '"status": "PENDING"')
    page.one("#as-of").send_keys(Keys.ARROW_RIGHT)
    page.until_text("#history .state", '"status": "MAINTENANCE"')


def test_an_open_history_goes_on_with_what_happens(page: Page, server: Server) -> None:
    register(server, "web-2")
    page.open(server.api_key)
    page.row("#events", "device-web-2").click()
    page.until_text("#history label", "version 1 of 1")
    server.command("fleet.TagDevice", device_id="web-2", key="room", value="cellar")
    page.until_text("#history label", "version 2 of 2")
    page.until_text("#history .state", "cellar")


def test_an_event_opens_the_state_as_of_that_event(page: Page, server: Server) -> None:
    register(server, "web-3")
    server.command("fleet.TagDevice", device_id="web-3", key="room", value="attic")
    page.open(server.api_key)
    page.row("#events", "device.registered\ndevice-web-3").click()
    page.until_text("#history label", "version 1 of 2")
    page.until_text("#history .state", '"status": "PENDING"')
    assert "attic" not in page.text("#history .state")


def test_an_alert_is_opened_and_closed_with_the_keyboard_alone(page: Page, server: Server) -> None:
    server.command("fleet.RaiseAlert", alert_id="disk-1", severity="critical", rule="disk nearly full")
    page.open(server.api_key)
    row = page.row("#alerts", "disk nearly full").find_element(By.CSS_SELECTOR, "a.row")
    page.browser.execute_script("arguments[0].focus()", row)
    press(page, Keys.ENTER)
    page.until_text("#history h2", "alert-disk-1")
    page.until_text("#history .state", '"status": "OPEN"')
    assert page.browser.switch_to.active_element.text == "Close"
    press(page, Keys.ESCAPE)
    page.until(lambda: not page.all("#history") or None, "the history is still there")
    assert page.browser.switch_to.active_element.text == "disk nearly full"


def press(page: Page, key: str) -> None:
    ActionChains(page.browser).send_keys(key).perform()


def test_a_name_that_looks_like_markup_is_shown_as_text(page: Page, server: Server) -> None:
    name = "<img src=x onerror=\"document.title='broken'\">"
    register(server, "sly", name)
    server.command("fleet.RaiseAlert", alert_id="sly-1", severity="warning", rule=name, device_id="sly")
    page.open(server.api_key)
    page.row("#alerts", name)
    page.row("#devices", name).click()
    page.press("History")
    page.until_text("#history .state", "onerror")
    assert page.text("#metrics-title") == f"Metrics of {name}"
    assert page.all("img[src=x]") == []
    assert page.browser.title == "factline"


@pytest.mark.parametrize("by", ["month", "country", "day", "product"])
def test_the_revenue_bars_are_the_amounts_of_the_api(page: Page, shop: Server, by: str) -> None:
    page.open(shop.api_key, "/invoices")
    choose(page, by)
    answered = {row[by]: row["revenue"] for row in shop.get("/v1/analytics/revenue", by=by)["rows"]}
    page.until(lambda: shown_revenue(page, by) == answered or None, f"the bars are not {answered}")
    card = f"section:has([value={by}]:checked)"
    widths = page.run(
        f"return [...document.querySelectorAll('{card} .stripe')].map(bar => parseFloat(bar.style.width))"
    )
    amounts = [abs(Decimal(amount)) for amount in shown_revenue(page, by).values()]
    assert widths == pytest.approx([float(100 * amount / max(amounts)) for amount in amounts], rel=1e-3)


def choose(page: Page, by: str) -> None:
    page.one(f"label:has([value={by}])").click()
    page.until(lambda: page.text(f"section:has([value={by}]) table th") == by or None, f"no bars by {by}")
    for more in page.all(f"section:has([value={by}]) .pager button"):
        more.click()


def shown_revenue(page: Page, by: str) -> dict[str, str]:
    rows = page.all(f"section:has([value={by}]:checked) tbody tr")
    return {
        row.find_element(By.TAG_NAME, "th").text: row.find_element(By.TAG_NAME, "data").get_attribute("value") or ""
        for row in rows
    }


@pytest.mark.skipif(not retail.files(), reason=f"no files in {retail.FOLDER}; FACTLINE_SAMPLES says where they are")
def test_a_real_file_is_seen_in_the_bars_to_the_last_penny(page: Page, shop: Server) -> None:
    text = retail.files()[0].read_text()
    before = Decimal(shop.get("/v1/analytics/revenue", by="month")["rows"][0]["revenue"])
    page.open(shop.api_key)
    page.row("#revenue-over-time", "2010-12")
    retail.send(shop, text)
    page.until(
        lambda: Decimal(shown_revenue(page, "month")["2010-12"]) == before + retail.revenue(text) or None,
        f"the bar of 2010-12 does not grow by {retail.revenue(text)}",
        seconds=SLOWLY_S,
    )
    assert page.run("return window.name") == "not loaded again"


def test_invoices_are_scrolled_to_their_end_and_filtered(page: Page, shop: Server) -> None:
    wait_for_view(shop, "/v1/invoices", retail.send(shop, retail.many_rows(400)))
    page.open(shop.api_key, "/invoices?limit=25")
    page.row("#invoices", "540009")
    newest = numbers(page)

    def at_the_end() -> bool | None:
        page.run("scrollTo(0, document.body.scrollHeight)")
        # a screen or two of rows is there, however many there are
        assert len(page.all("#invoices tbody tr")) < 120
        return page.one("#invoices table").get_attribute("aria-rowcount") != "-1" or None

    page.until(at_the_end, "the list does not end", seconds=SLOWLY_S)
    known = int(page.one("#invoices table").get_attribute("aria-rowcount") or 0) - 1
    assert known == shop_invoices(shop)
    assert not numbers(page) & newest
    # the address begins where one is, and what was before is one press away
    page.until(lambda: "cursor=" in page.browser.current_url or None, "the address does not say where one is")
    page.open(shop.api_key, page.browser.current_url.removeprefix(shop.address))
    page.until(lambda: (seen := numbers(page)) and not seen & newest and seen, "the address is of the newest")
    page.press("From the beginning", within="#invoices")
    page.row("#invoices", "540009")
    page.one("#invoices [name=kind] [value=credit_note]").click()
    page.until(lambda: all(number.startswith("C") for number in numbers(page)) or None, "an invoice is no credit note")
    page.row("#invoices", "C").click()
    page.press("History")
    page.until_text("#history .state", '"kind": "credit_note"')


def shop_invoices(shop: Server) -> int:
    with shop.client() as client:
        rows, cursor = 0, None
        while True:
            answer = client.get("/v1/invoices", params={"limit": 100, **({"cursor": cursor} if cursor else {})}).json()
            rows, cursor = rows + len(answer["rows"]), answer["next"]
            if not cursor:
                return rows


def test_what_is_read_stays_where_it_is_while_others_work(page: Page, server: Server) -> None:
    for number in range(60):
        server.command("fleet.RaiseAlert", alert_id=f"stay-{number:02}", severity="info", rule=f"stay {number:02}")
    page.open(server.api_key, "/alerts?rule=&sort=-raised_at&limit=20&q=stay")
    page.row("#alerts", "stay 59")
    page.until(
        lambda: page.run("scrollTo(0, 1200)") or page.all("#alerts tr[aria-rowindex='40']") or None, "no more rows"
    )
    row = page.row("#alerts", "stay 30")
    before = row.location["y"]
    # one more above, and one that is read goes another way
    server.command("fleet.RaiseAlert", alert_id="stay-new", severity="info", rule="stay new")
    server.command("fleet.ResolveAlert", alert_id="stay-30", note="")
    page.until_text("#alerts tr[aria-rowindex='31']", "resolved")
    assert page.row("#alerts", "stay 30").location["y"] == before
    # the arrow keys go from row to row
    page.run("[...document.querySelectorAll('#alerts a.row')].find(row => row.textContent === 'stay 30').focus()")
    ActionChains(page.browser).send_keys(Keys.ARROW_DOWN).perform()
    assert page.run("return document.activeElement.textContent") == "stay 29"
    page.press("From the beginning", within="#alerts")
    page.row("#alerts", "stay new")


def numbers(page: Page) -> set[str]:
    return {row.text for row in page.all("#invoices a.row")}


def test_an_invoice_opens_whatever_its_customer_is_called(page: Page, server: Server) -> None:
    line = {"product": "a", "quantity": "1", "unit_price": "99999999999999.9999"}
    invoice = {"number": "ü/1 x", "party": "Müller & Söhne 100% <b>", "currency": "EUR", "lines": [line]}
    server.command("finance.ReceiveInvoice", **invoice, direction="in", issue_date="2026-11-20T00:00:00Z")
    page.open(server.api_key)
    row = page.row("#invoices", "Müller & Söhne 100% <b>")
    assert "99\u202f999\u202f999\u202f999\u202f999.9999 EUR" in row.text
    row.click()
    page.until_text("#invoice", "Müller & Söhne 100% <b>")
    page.press("History")
    page.until_text("#history label", "version 1 of 1")
    page.until_text("#history .events pre", "Müller & Söhne 100% <b>")


def test_a_wrong_key_is_refused_with_a_message_and_a_right_one_goes_on(page: Page, server: Server) -> None:
    page.expected_errors = ("401",)
    page.open("ak_nobody.sk_wrong")
    page.until_text("#sign-in-error", "the api key is not valid")
    assert page.browser.current_url == f"{server.address}/"
    assert not page.all("#board")
    page.one("#key").send_keys("also wrong", Keys.ENTER)
    page.until_text("#sign-in-error", "must look like ak_<id>.sk_<secret>")
    page.one("#key").clear()
    page.one("#key").send_keys(server.api_key, Keys.ENTER)
    page.row("#devices", "online")
    page.one("#sign-out").click()
    page.until(lambda: page.one("#sign-in").is_displayed() or None, "the form is not shown")
    assert page.run("return sessionStorage.length") == 0


def test_a_tenant_without_anything_is_told_how_to_begin(page: Page, shop: Server) -> None:
    headers = {"X-API-Key": operator_key(shop.data_dir) or ""}
    body = {"tenant_id": "acme", "name": "Acme Ltd"}
    acme = httpx.post(f"{shop.address}/v1/tenants", json=body, headers=headers, timeout=30).json()
    page.open(acme["api_key"])
    for section in ("#invoices", "#revenue-over-time", "#revenue-by-group"):
        page.until_text(section, "Drop a CSV file here")
    page.until_text("#devices", "No devices yet")
    page.until_text("#alerts", "No alerts")
    page.until_text("#metrics", "The charts of a device appear here")
    page.until_text("#health", "up to date with the log")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(page: Page, shop: Server, width: int) -> None:
    browsers.resize(page.browser, width, 800)
    page.open(shop.api_key)
    page.until(lambda: readings(page, "cpu_percent") or None, "the CPU's chart has no data")
    # by the keyboard: the bar of a phone may stand before it
    page.row("#events", "invoice.received").find_element(By.CSS_SELECTOR, "a.row").send_keys(Keys.ENTER)
    page.until_text("#history label", "version 1 of 1")
    assert page.run("return document.documentElement.scrollWidth") <= width
    page.open(shop.api_key, "/invoices")
    page.row("#invoices", "540009").find_element(By.CSS_SELECTOR, "a.row").send_keys(Keys.ENTER)
    page.until_text("#lines", "21730")
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_a_tab_that_nobody_sees_rests_and_knows_everything_when_it_is_seen_again(page: Page, server: Server) -> None:
    page.open(server.api_key)
    page.until_text("#connection", "Live")
    tab = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    register(server, "unseen")
    page.browser.close()
    page.browser.switch_to.window(tab)
    page.row("#events", "device-unseen")
    page.row("#devices", "unseen.example")
    page.until_text("#connection", "Live")


def test_a_page_goes_on_after_a_restart_of_the_server(page: Page, server: Server) -> None:
    # how a request ends that the server had, or was about to get, when it stopped
    page.expected_errors = (
        "ERR_CONNECTION_REFUSED",
        "ERR_CONNECTION_RESET",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_EMPTY_RESPONSE",
    )
    page.open(server.api_key)
    page.until_text("#connection", "Live")
    assert server.stop(signal.SIGINT) == 0
    page.until_text("#connection", "Reconnecting")
    assert "online" in page.text("#devices")
    server.start()
    page.until_text("#connection", "Live", seconds=SLOWLY_S)
    register(server, "after-restart")
    page.row("#events", "device-after-restart")
    before = readings(page, "cpu_percent")
    page.until(lambda: readings(page, "cpu_percent") > before or None, "no reading was added")
    assert page.run("return window.name") == "not loaded again"


FILE = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
F-1,tea,<b>green</b>,3,2026-10-01,2.50,acme,France
F-2,tea,green,three,2026-10-02,2.50,acme,France
"""


def test_a_file_that_is_dropped_is_checked_then_imported_and_again_adds_nothing(
    page: Page, server: Server, tmp_path: Path
) -> None:
    page.open(server.api_key, "/invoices")
    page.settled()
    page.run(
        "const data = new DataTransfer(); data.items.add(new File([arguments[0]], 'october.csv'));"
        "dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}))",
        FILE,
    )
    page.until_text("#file-october-csv [role=status]", "nothing is recorded yet")
    assert page.browser.current_url == f"{server.address}/import?kind=invoices"
    assert "Quantity" in page.row("#file-october-csv", "3").text
    assert server.get("/v1/invoices", q="F-1")["rows"] == []
    page.one("[name=currency]").send_keys("EUR\t")
    page.press("Import 1 row")
    page.until_text("#file-october-csv [role=status]", "Recorded")
    page.until(lambda: server.get("/v1/invoices", q="F-1")["rows"] or None, "it is in no list")
    assert server.get("/v1/invoices", q="F-1")["rows"][0]["currency"] == "EUR"
    # by the keyboard: the file is chosen
    (tmp_path / "again.csv").write_text(FILE)
    page.one("input[type=file]").send_keys(str(tmp_path / "again.csv"))
    page.press("Import 1 row", within="#file-again-csv")
    page.until_text("#file-again-csv .facts", "Recorded before\n1")


def test_a_file_that_cannot_be_read_says_why_and_offers_another_try(page: Page, server: Server, tmp_path: Path) -> None:
    page.expected_errors = ("422",)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    page.open(server.api_key, "/import?kind=invoices")
    page.one("input[type=file]").send_keys(str(tmp_path / "notes.csv"))
    page.until_text("#file-notes-csv [role=alert]", "InvoiceNo")
    page.press("Try again")
    page.until_text("#file-notes-csv [role=alert]", "InvoiceNo")
