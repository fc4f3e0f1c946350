"""What people do in the rooms of the page all day, each under their own name."""

import httpx
import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from infra.data_dir import operator_key
from tests.end_to_end.conftest import Server
from tests.end_to_end.page import Page

INVOICE = {
    "number": "R-1",
    "party": "acme",
    "direction": "in",
    "currency": "EUR",
    "issue_date": "2026-11-01T00:00:00Z",
    "lines": [{"product": "tea", "quantity": "3", "unit_price": "50"}],
}
LINE = {
    "transaction_id": "line-2",
    "account": "DE02",
    "booked_at": "2026-11-02T00:00:00Z",
    "amount": "-3",
    "currency": "EUR",
}
PASSWORD = "correct horse battery staple"


def raised(server: Server, alert_id: str) -> None:
    server.command("fleet.RaiseAlert", alert_id=alert_id, severity="critical", rule=f"rule of {alert_id}")


def test_technician_acknowledges_many_alerts_at_once_and_resolves_one_with_a_note(page: Page, server: Server) -> None:
    for alert_id in ("t-1", "t-2", "t-3"):
        raised(server, alert_id)
    page.open(server.api_key, "/alerts?status=OPEN")
    for alert_id in ("t-1", "t-2"):
        page.row("#alerts", f"rule of {alert_id}").find_element(By.CSS_SELECTOR, "input").click()
    page.press("Acknowledge 2")
    page.fill(note="on my way")
    page.press("Acknowledge 2")
    page.until(lambda: len(page.all("#alerts tbody tr")) == 1 or None, "they are still open")
    row = page.row("#alerts", "rule of t-3")
    row.find_element(By.XPATH, ".//button[.='Resolve']").click()
    page.fill(note="plugged in again")
    page.press("Resolve")
    page.until_text("#alerts", "Nothing matches the filter")
    known = {alert["id"]: alert for alert in server.get("/v1/alerts", limit=100)["rows"]}
    assert {known[alert_id]["acknowledged_note"] for alert_id in ("t-1", "t-2")} == {"on my way"}
    assert (known["t-3"]["status"], known["t-3"]["resolved_note"]) == ("RESOLVED", "plugged in again")


def test_a_refusal_is_told_in_the_dialog_and_nothing_is_lost(page: Page, server: Server) -> None:
    page.expected_errors = ("422",)
    page.open(server.api_key, "/alerts")
    page.press("Raise")
    page.fill(rule="a rule", device_id="no id at all!")
    page.press("Raise")
    page.until_text("dialog:modal [role=alert]", "device_id")
    assert page.one("dialog:modal [name=rule]").get_attribute("value") == "a rule"
    page.press("Cancel")
    page.until(lambda: not page.all("dialog:modal") or None, "the dialog is still open")


def test_accountant_approves_an_invoice_and_pays_it(page: Page, server: Server) -> None:
    server.command("finance.ReceiveInvoice", **INVOICE)
    page.open(server.api_key, "/invoices")
    page.row("#invoices", "R-1").click()
    page.until_text("#invoice", "150.00 EUR")
    assert "tea" in page.text("#lines tbody")
    page.press("Correct")
    lines = page.one("dialog:modal [name=lines]").get_attribute("value") or ""
    page.fill(lines=lines.replace('"3"', '"4"'), reason="one was missing")
    page.press("Correct")
    page.until_text("#invoice", "200.00 EUR")
    page.press("Approve")
    page.press("Approve")
    page.until_text("#invoice", "approved")
    page.press("Record payment")
    page.press("Record payment")
    page.until_text("#invoice .status", "paid")
    page.until_text("#payments", "bank transfer")
    assert page.run("return [...document.querySelectorAll('#invoice dd')].at(-1).textContent") == "0.00 EUR"


def test_an_invited_viewer_sets_a_password_reads_and_is_offered_nothing_to_change(page: Page, server: Server) -> None:
    page.open(server.api_key, "/settings")
    page.press("Invite")
    page.fill(user_id="vera", email="vera@demo.example", role="VIEWER")
    page.press("Invite")
    token = page.text("dialog:modal .once")
    page.press("Close")
    page.row("#users", "vera")
    page.one("#sign-out").click()
    page.one("label:has([value='New password'])").click()
    page.fill(tenant="demo", user="vera", token=token, password=PASSWORD)
    page.press("Sign in")
    page.until_text("#connection", "Every 15 s")
    assert page.text("#tenant") == "demo"
    page.open("", "/alerts")
    page.settled()
    assert page.browser.current_url == f"{server.address}/alerts"
    assert not {"Raise", "Acknowledge", "Resolve"} & page.buttons()
    rail = page.text("nav.rail").splitlines()
    assert "Invoices" in rail
    assert not {"Events", "System", "Settings", "Tasks"} & set(rail)
    page.open("", "/devices")
    page.row("#devices", "online").click()
    page.until_text("#metrics-title", "Metrics of")
    page.settled()
    assert not {"History", "Tag", "Retire"} & page.buttons()
    page.one("#sign-out").click()
    page.one("#sign-in")
    assert page.run("return localStorage.length") == 0
    session = httpx.get(f"{server.address}/v1/me", cookies={c["name"]: c["value"] for c in page.browser.get_cookies()})
    assert session.status_code == 401
    page.one("label:has([value=Password])").click()
    page.fill(tenant="demo", user="vera", password="a wrong password")
    page.expected_errors = ("401",)
    page.press("Sign in")
    page.one("#sign-in-error")


def test_a_watch_is_tried_over_the_past_and_then_defined(page: Page, server: Server) -> None:
    readings = [
        {
            "type": "device.metrics.reported",
            "device_id": "old-1",
            "happened_at": f"2026-10-05T10:{minute:02}:00Z",
            "data": {"metrics": {"cpu_percent": 99 if 10 <= minute < 20 else 5}},
        }
        for minute in range(30)
    ]
    server.post("/v1/telemetry", readings)
    page.open(server.api_key, "/watches")
    page.press("Define a watch")
    page.fill(name="CPU of the old one", device_id="old-1")
    page.run("document.querySelector('[name=start]').value = '2026-10-05'")
    page.run("document.querySelector('[name=end]').value = '2026-10-06'")
    page.press("Try it over the past")
    page.until_text("#preview", "It would have raised 1 alert")
    page.press("Define")
    assert "active" in page.row("#watches", "CPU of the old one").text


def test_lead_goes_its_way_over_the_board(page: Page, server: Server) -> None:
    server.command("sales.CaptureLead", lead_id="lead-9", source="fair", company="Bolt")
    page.open(server.api_key, "/leads")
    page.until_text("#leads-new", "Bolt")
    page.one("#leads-new .lead").click()
    page.press("Qualify")
    page.press("Qualify")
    page.press("Draft quote")
    page.fill(quote_id="q-9", product="support", unit_price="99.50")
    page.press("Draft quote")
    page.open(server.api_key, "/quotes/q-9")
    page.until_text("#thing", "99.50")
    page.press("Issue")
    page.press("Issue")
    page.until_text("#thing", "issued")
    page.open(server.api_key, "/leads")
    page.until(lambda: page.all("#leads-qualified .lead, #leads-quoted .lead") or None, "the lead is on no board")


def test_operator_verifies_a_view_and_sees_how_it_went(page: Page, server: Server) -> None:
    page.open(operator_key(server.data_dir) or "", "/system")
    page.row("#projections", "devices").find_element(By.XPATH, ".//button[.='Verify']").click()
    page.press("Verify")
    page.until(lambda: "rows equal the log" in page.row("#projections", "devices").text or None, "there is no verdict")


def test_accountant_says_which_invoice_a_line_of_the_bank_pays(page: Page, server: Server) -> None:
    server.command("finance.ReceiveInvoice", **(INVOICE | {"number": "B-1", "party": "bolt", "direction": "out"}))
    page.open(server.api_key, "/transactions")
    page.until_text("#flagged", "No line of a statement needs a person")
    page.press("Record one")
    page.fill(transaction_id="line-1", account="DE02", amount="150", party="bolt", reference="for <b>tea</b>")
    page.press("Record one")
    row = page.row("#flagged", "for <b>tea</b>")
    assert "150.00 EUR" in row.text
    row.find_element(By.XPATH, ".//button[.='Assign']").click()
    assert page.one("dialog:modal [name=party]").get_attribute("value") == "bolt"
    page.fill(number="B-1")
    page.press("Assign")
    page.row("#transactions", "reconciled").click()
    page.until_text("#thing .status", "reconciled")
    assert not {"Assign", "Ignore"} & page.buttons()
    page.one("main .notice a").click()
    page.until_text("#payments", "150.00")
    server.command("finance.RecordTransaction", **LINE)
    page.open(server.api_key, "/transactions/line-2")
    page.press("Ignore")
    page.fill(reason="a fee")
    page.press("Ignore")
    page.until_text("#thing .status", "ignored")
    # a rent that is always 500 is unusual above 750
    for number, amount in enumerate(["-500"] * 8 + ["-900"]):
        rent = {"transaction_id": f"rent-{number}", "amount": amount, "party": "landlord"}
        server.command("finance.RecordTransaction", **(LINE | rent))
    page.open(server.api_key, "/transactions?amount_flag=HIGH")
    assert "high" in page.row("#transactions", "900.00 EUR").text
    assert len(page.all("#transactions tbody tr")) == 1


def test_owner_registers_a_program_changes_its_secret_and_ends_it(page: Page, server: Server) -> None:
    page.expected_errors = ("422",)
    page.open(server.api_key, "/settings")
    page.until_text("#clients", "No programs yet")
    page.press("Register", within="#clients")
    page.fill(name="Reports", scopes="devices:read, nothing")
    page.press("Register")
    page.until_text("dialog:modal [role=alert]", "scopes")
    page.fill(scopes="devices:read")
    page.press("Register")
    first = page.text("dialog:modal .once").splitlines()[1]
    page.press("Close")
    page.row("#clients", "Reports")
    page.press("New secret")
    page.press("New secret")
    assert page.text("dialog:modal .once").splitlines()[1] != first
    page.press("Close")
    page.press("End a secret")
    page.fill(secret_id="first")
    page.press("End a secret")
    page.until(lambda: "New secret" in page.buttons() or None, "the older secret is not ended")
    page.press("Revoke", within="#clients")
    page.press("Revoke")
    page.until_text("#clients .status", "revoked")
    page.until_text("#consents", "No user has let a program act for them")


def test_owner_lets_people_sign_in_through_a_provider_and_ends_a_session(page: Page, server: Server) -> None:
    invited = server.post("/v1/invitations", {"user_id": "sam", "email": "sam@demo.example", "roles": ["USER"]})
    who = {"tenant_id": "demo", "user_id": "sam", "password": PASSWORD}
    httpx.post(f"{server.address}/v1/passwords", json={**who, "token": invited["token"]}).raise_for_status()
    signed_in = httpx.post(f"{server.address}/v1/sign-in", json=who).raise_for_status()
    page.open(server.api_key, "/settings")
    page.row("#sessions", "sam").find_element(By.XPATH, ".//button[.='End']").click()
    page.press("End")
    page.until(lambda: "ended" in page.row("#sessions", "sam").text or None, "the session goes on")
    me = httpx.get(f"{server.address}/v1/me", cookies=dict(signed_in.cookies))
    assert me.status_code == 401
    page.press("Add a provider")
    about = {"name": "Demo <b>people</b>", "issuer": "https://id.demo.example", "client_secret": "hush"}
    page.fill(provider_id="people", **about)
    page.press("Add a provider")
    page.row("#sign-in-providers", "Demo <b>people</b>")
    page.press("Remove", within="#sign-in-providers")
    page.press("Remove")
    page.until_text("#sign-in-providers .status", "removed")


def test_accountant_sets_a_budget_and_sees_what_is_spent_of_it(page: Page, server: Server) -> None:
    page.open(server.api_key, "/budgets")
    page.until_text("#budgets", "No budgets yet")
    page.press("Set a budget")
    page.fill(category="hosting", amount="500")
    page.press("Set a budget")
    page.until_text("#budgets", "500.00 EUR")
    spend = {"category": "hosting", "currency": "EUR", "invoice": "R-9", "spent_at": "2026-11-02T10:00:00Z"}
    server.command("finance.RecordSpend", **spend, amount="125")
    page.until_text("#budgets", "125.00 in 2026-11")
    assert page.one("#budgets .stripe").get_attribute("style") == "width: 25%;"
    page.press("Change")
    page.fill(amount="100")
    page.press("Change")
    page.until_text("#budgets", "100.00 EUR")
    server.command("finance.RecordSpend", **(spend | {"invoice": "R-10"}), amount="1")
    page.until_text("#budgets .status", "exceeded")


def test_technician_plans_maintenance_of_a_device_and_cancels_it(page: Page, server: Server) -> None:
    page.expected_errors = ("422",)
    page.open(server.api_key, "/maintenance")
    page.press("Plan maintenance")
    page.press("Plan maintenance")
    page.until_text("dialog:modal [role=alert]", "name one of them")
    # what was refused is right now, and is taken
    page.fill(device_id="web-1", reason="a new disk")
    page.press("Plan maintenance")
    page.until_text("#maintenance .status", "planned")
    page.press("Cancel")
    page.press("Cancel")
    page.until_text("#maintenance .status", "cancelled")


def test_technician_writes_a_script_schedules_it_runs_it_and_reads_its_output(page: Page, server: Server) -> None:
    server.command("fleet.RegisterDevice", device_id="runner", hostname="runner.example")
    page.open(server.api_key, "/scripts")
    page.press("Write a script")
    page.fill(name="Free space", body="df -h")
    page.press("Write a script")
    page.row("#scripts", "Free space").click()
    page.until_text("main h1", "Free space")
    page.press("Schedule")
    page.fill(device_ids="runner", cron="30 2 * * *")
    page.press("Schedule")
    page.until_text("#schedules", "30 2 * * * (UTC)")
    page.press("Pause")
    page.press("Pause")
    page.until_text("#schedules .status", "paused")
    page.press("Run")
    page.fill(device_id="runner")
    page.press("Run")
    page.until_text("#runs .status", "pending")
    [run] = server.get("/v1/command_executions", device_id="runner")["rows"]
    server.command("execution.StartExecution", execution_id=run["id"])
    result = {"exit_code": 0, "stdout": "63% of <b>sda</b>", "duration_ms": 120}
    server.command("execution.ReportResult", execution_id=run["id"], **result)
    page.row("#runs", "completed").click()
    page.until_text("#thing", "63% of <b>sda</b>")


def test_owner_adds_an_organization_and_a_device_belongs_to_it(page: Page, server: Server) -> None:
    server.command("fleet.RegisterDevice", device_id="north-1", hostname="north-1.example")
    page.open(server.api_key, "/organizations")
    page.press("Add")
    page.fill(organization_id="north", name="North", category="retail")
    page.press("Add")
    page.row("#organizations", "North")
    page.open(server.api_key, "/devices/north-1")
    page.press("Change")
    page.fill(organization_id="north")
    page.press("Change")
    page.until_text("#device", "north")
    page.open(server.api_key, "/organizations/north")
    page.row("#devices", "north-1.example")


def test_keyboard_finds_a_device_and_back_goes_back(page: Page, server: Server) -> None:
    server.command("fleet.RegisterDevice", device_id="needle", hostname="needle.example")
    page.open(server.api_key, "/alerts")
    page.settled()
    ActionChains(page.browser).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
    page.one("#search input").send_keys("needle")
    page.until_text("#search li:first-child", "needle.example")
    page.one("#search input").send_keys(Keys.ENTER)
    page.until_text("main h1", "needle.example")
    page.browser.back()
    page.until_text("main h1", "Alerts")


def test_dragging_over_a_chart_is_an_address_of_that_time(page: Page, server: Server) -> None:
    server.post(
        "/v1/telemetry",
        [
            {
                "type": "device.metrics.reported",
                "device_id": "dragged",
                "happened_at": at,
                "data": {"metrics": {"t": 1}},
            }
            for at in ("2026-10-05T10:00:00Z", "2026-10-05T11:00:00Z", "2026-10-05T12:00:00Z")
        ],
    )
    page.open(server.api_key, "/devices/dragged")
    page.until_text("#charts", "data ends on 2026-10-05")
    over = page.one("#charts .u-over")
    ActionChains(page.browser).move_to_element_with_offset(over, -100, 0).click_and_hold().move_by_offset(
        200, 0
    ).release().perform()
    page.until(lambda: "from=2026-10-05T1" in page.browser.current_url or None, "the address names no time")
    page.until_text("[name=range]", "2026-10-05 1")
    page.browser.back()
    page.until_text("#charts", "data ends on 2026-10-05")


def test_a_heading_orders_the_list_and_is_in_the_address(page: Page, server: Server) -> None:
    for name in ("a", "z"):
        server.command("fleet.RegisterDevice", device_id=f"order-{name}", hostname=f"{name * 3}-order.example")
    page.open(server.api_key, "/devices?q=order")
    page.until(lambda: hosts(page) == ["aaa-order.example", "zzz-order.example"] or None, "they are in another order")
    page.press("Device", within="#devices")
    page.until(lambda: hosts(page) == ["zzz-order.example", "aaa-order.example"] or None, "they are in another order")
    assert "sort=-hostname" in page.browser.current_url
    assert page.one("#devices th[aria-sort=descending]").text.startswith("Device")


def hosts(page: Page) -> list[str]:
    return [link.text for link in page.all("#devices a.row")]


@pytest.mark.parametrize("room", ["/devices/nobody", "/quotes/none"])
def test_an_address_of_nothing_says_so(page: Page, server: Server, room: str) -> None:
    page.expected_errors = ("404",)
    page.open(server.api_key, room)
    page.one("main .error, main .notice")
