"""Takes the README's picture from a real server: `python -m tests.end_to_end.picture` (two minutes)."""

import sys
import tempfile
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.end_to_end import browser as browsers
from tests.end_to_end import retail
from tests.end_to_end.conftest import Server

PICTURE = Path(__file__).parents[2] / "docs" / "page.png"
READINGS = 50
WAIT_S = 180


def take(server: Server, folder: Path) -> None:
    for file in retail.files():
        retail.send(server, file.read_text())
    _work(server)
    with browsers.chromium(folder / "profile") as browser:
        browsers.resize(browser, 1280, 1000, scale=1.5)
        browser.get(f"{server.address}/#key={server.api_key}")
        waiting = WebDriverWait(browser, WAIT_S)
        waiting.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#revenue-over-time .stripe"))
        browser.find_element(By.CSS_SELECTOR, "label:has([value=day])").click()
        # the charts need a while to have a shape
        waiting.until(lambda _: _readings(browser) > READINGS)
        browser.execute_script("scrollTo(0, 0)")
        browser.save_screenshot(str(PICTURE))


def _readings(browser: Chrome) -> int:
    label = browser.find_element(By.CSS_SELECTOR, "[data-metric=cpu_percent] .canvas").get_attribute("aria-label")
    return int((label or "CPU: 0").split()[1])


def _work(server: Server) -> None:
    """What people do after an import, so that the newest events are of several kinds."""
    device = server.get("/v1/devices")["rows"][0]["id"]
    invoices = server.get("/v1/invoices", kind="invoice", limit=5)["rows"]
    for invoice in invoices:
        server.command("finance.ApproveInvoice", number=invoice["number"], party=invoice["party"], note="")
    for number, invoice in enumerate(invoices[:3], 1):
        payment = {"payment_id": f"bank-{number}", "amount": invoice["total"], "method": "bank transfer"}
        server.command("finance.RecordPayment", number=invoice["number"], party=invoice["party"], **payment)
    server.command("fleet.RaiseAlert", alert_id="load-1", severity="warning", rule="load above 4", device_id=device)
    server.command("fleet.TagDevice", device_id=device, key="room", value="office")
    server.command("fleet.AcknowledgeAlert", alert_id="load-1", note="an import is running")


def main() -> None:
    if reason := browsers.missing() or (None if retail.files() else f"no files in {retail.FOLDER}"):
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data")
        server.start()
        try:
            take(server, Path(folder))
        finally:
            server.stop()
    print(PICTURE)


if __name__ == "__main__":
    main()
