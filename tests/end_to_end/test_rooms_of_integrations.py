"""What an administrator does all day in the room of integrations: webhooks that go out, and what comes in."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import Server
from tests.end_to_end.page import SLOWLY_S, Page
from tests.infra.handlers.web_server import WebServer, web_server

LARGE = {"type": "big", "text": "x" * 70_000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server that may send to this machine."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FACTLINE_ALLOW_NETWORKS", "127.0.0.0/8")
        with Server(tmp_path_factory.mktemp("rooms") / "data") as server:
            yield server


def once(page: Page) -> str:
    """Return what the dialog shows this once, and close it."""
    shown = page.text("dialog:modal .once")
    page.press("Close")
    return shown


def register(page: Page, taker: WebServer, endpoint_id: str) -> str:
    page.press("Register an endpoint")
    page.fill(endpoint_id=endpoint_id, url=f"{taker.url}/hooks")
    page.one("dialog:modal input[value='device.registered']").click()
    page.press("Register an endpoint")
    return once(page)


def test_administrator_registers_an_endpoint_and_watches_what_is_delivered(page: Page, server: Server) -> None:
    with web_server(lambda _: (200, {}, b"")) as taker:
        page.open(server.api_key, "/integrations")
        page.until_text("#webhooks", "Nothing is sent out yet")
        secret = register(page, taker, "shop")
        assert secret.startswith("whsec_")
        # one whose name begins so has deliveries of its own
        register(page, taker, "shop-2")
        page.row("#webhooks", "shop-2").click()
        page.until_text("#thing", "shop-2")
        page.press("Remove")
        page.fill(reason="we have <b>one</b>")
        page.press("Remove")
        page.until_text("#thing", "we have <b>one</b>")
        assert not {"Pause", "Change", "New secret", "Remove", "Send again"} & page.buttons()
        page.open(server.api_key, "/integrations/webhooks/shop")
        page.until_text("#deliveries", "Nothing was sent yet")
        server.command("fleet.RegisterDevice", device_id="sold-1", hostname="sold-1.example")
        page.until_text("#deliveries", "delivered", seconds=SLOWLY_S)
        assert {sent.path for sent in taker.sent} == {"/hooks"}
        page.press("New secret")
        page.press("New secret")
        assert once(page) not in ("", secret)
        page.press("Pause")
        page.fill(reason="the shop moves")
        page.press("Pause")
        page.until_text("#thing .status", "paused")
        server.command("fleet.RegisterDevice", device_id="sold-2", hostname="sold-2.example")
        page.press("Change")
        assert page.one("dialog:modal input[value='device.registered']").is_selected()
        page.fill(url=f"{taker.url}/moved")
        page.press("Change")
        page.until_text("#thing", "/moved")
        # what happened meanwhile is sent afterwards
        page.press("Resume")
        page.press("Resume")
        page.until(lambda: "/moved" in [sent.path for sent in taker.sent] or None, "nothing was sent", seconds=SLOWLY_S)


def test_endpoint_that_is_gone_says_why_it_is_paused(page: Page, server: Server) -> None:
    with web_server(lambda _: (410, {}, b"")) as taker:
        page.open(server.api_key, "/integrations")
        register(page, taker, "gone")
        page.row("#webhooks", "gone").click()
        server.command("fleet.RegisterDevice", device_id="late-1", hostname="late-1.example")
        page.until_text("#thing .status", "paused", seconds=SLOWLY_S)
        page.until_text("#thing", "410")
        row = page.row("#deliveries", "failed")
        assert "410" in row.text
        assert "device.registered" in row.text


def test_administrator_registers_a_connector_and_sees_what_comes_in(page: Page, server: Server) -> None:
    page.open(server.api_key, "/integrations")
    page.until_text("#connectors", "No connectors yet")
    page.until_text("#changes", "Nothing came in yet")
    page.press("Register a connector")
    said = {"connector_id": "crm", "tool_type": "postgresql", "format": "debezium: changes of a database's rows"}
    page.fill(**said, personal_fields="email  phone", person_field="customer")
    page.press("Register a connector")
    address, secret = (line.split(": ", 1)[1] for line in once(page).splitlines())
    assert address == f"{server.address}/v1/connectors/demo.crm/events"
    page.row("#connectors", "postgresql").click()
    page.until_text("#how", address)
    page.until_text("#refused", "All that it sent was taken")
    page.press("Personal fields")
    page.fill(personal_fields="phone note2")
    page.press("Personal fields")
    page.until(lambda: named(server, ["phone", "note2"]) or None, "the personal fields are others")

    def send(body: object, with_: str = secret) -> int:
        return httpx.post(address, json=body, headers={"Authorization": f"Bearer {with_}"}, timeout=10).status_code

    places = count(7)

    def changed() -> dict[str, Any]:
        # told again it would be known, and taken whatever the connector is
        source = {"db": "shop", "schema": "public", "table": "orders", "lsn": next(places)}
        return {"op": "u", "before": {"id": 7}, "after": {"id": 7, "note": "<b>paid</b>"}, "source": source, "ts_ms": 1}

    assert send(changed()) == 200
    page.row("#changes", "orders")
    assert send(LARGE) == 422
    page.row("#refused", "larger than 64 KiB")
    page.press("Pause")
    page.press("Pause")
    page.until_text("#thing .status", "paused")
    # each process knows it within a second
    page.until(lambda: send(changed()) == 503 or None, "it takes what comes")
    page.press("Resume")
    page.press("Resume")
    page.until_text("#thing .status", "active")
    page.press("New secret")
    page.press("New secret")
    newer = once(page).splitlines()[1].split(": ", 1)[1]
    page.until(lambda: send(changed(), newer) == 200 or None, "the new secret is not good")
    assert send(changed()) == 401
    page.row("#changes", "orders").click()
    page.until_text("#thing", "shop")
    page.press("History")
    page.until_text("#history", "<b>paid</b>")
    page.open(server.api_key, "/integrations?table=orders&op=d")
    page.until_text("#changes", "Nothing matches the filter")


def named(server: Server, fields: list[str]) -> bool:
    row = server.get("/v1/connectors/crm")["rows"][0]
    return bool((row["personal_fields"], row["person_field"]) == (fields, "customer"))


def test_auditor_reads_the_integrations_and_is_offered_nothing_to_change(page: Page, server: Server) -> None:
    scopes = ("webhook_endpoints:read", "connectors:read", "received_changes:read", "audit:read", "live:read")
    key = server.post("/v1/keys", {"name": "auditor", "scopes": scopes})["api_key"]
    server.post("/v1/connectors", {"connector_id": "read", "tool_type": "erp", "format": "webhook"})
    page.open(key, "/integrations")
    page.row("#connectors", "erp").click()
    page.until_text("#how", "demo.read/events")
    page.settled()
    assert not {"Pause", "New secret", "Remove"} & page.buttons()
    page.open(key, "/integrations")
    page.settled()
    assert not {"Register an endpoint", "Register a connector"} & page.buttons()


def test_technician_publishes_a_release_halts_it_and_goes_on(page: Page, server: Server) -> None:
    server.command("fleet.RegisterDevice", device_id="wave-1", hostname="wave-1.example")
    page.expected_errors = ("404",)
    page.open(server.api_key, "/releases")
    page.until_text("#releases", "No releases yet")
    page.press("Publish")
    page.fill(release_id="agent-2", version="2.0.0", digest="5f" * 32, device_ids="nobody")
    page.press("Publish")
    page.until_text("dialog:modal [role=alert]", "device nobody is not known")
    page.fill(device_ids="wave-1")
    page.press("Publish")
    page.row("#releases", "2.0.0").click()
    page.until_text("#thing .status", "rolling out")
    page.press("Halt")
    page.fill(reason="it uses too much memory")
    page.press("Halt")
    page.until_text("#thing", "it uses too much memory")
    page.press("Resume")
    page.press("Resume")
    page.until_text("#thing .status", "rolling out")
