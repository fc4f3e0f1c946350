"""Who may register a webhook endpoint, and which worker is given what it sends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Topic
from tests.streams.intake.http.ways_in import WaysIn, refused, ways_in

HOOK = {"endpoint_id": "shop", "url": "https://shop.example/hooks", "types": ["device.registered"]}


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path) as way:
        yield way


def claimed(way: WaysIn, key: str) -> dict[str, Any]:
    """Register an endpoint and a device, and return the delivery as a worker claims it."""
    assert way.post("/v1/webhook_endpoints", HOOK).status_code == 201
    assert way.command("fleet.RegisterDevice", {"device_id": "web-1", "hostname": "web-1"}).status_code == 200
    [row] = way.post("/v1/tasks/claim", {"kinds": ["webhook.deliver"], "worker": "w1"}, key=key).json()["rows"]
    found: dict[str, Any] = row
    return found


def test_secret_is_shown_once_and_is_in_no_event(way: WaysIn) -> None:
    answer = way.post("/v1/webhook_endpoints", HOOK).json()
    assert answer["secret"].startswith("whsec_")
    assert {name: answer[name] for name in HOOK} == HOOK
    assert not [event for event in way.entries(Topic.EVENTS) if answer["secret"] in str(event.data)]
    assert refused(way.post("/v1/webhook_endpoints", HOOK), 409)["detail"].startswith("webhook endpoint shop is there")


def test_removed_endpoint_is_registered_anew_with_another_secret(way: WaysIn) -> None:
    first = way.post("/v1/webhook_endpoints", HOOK).json()
    assert way.command("integration.RemoveWebhook", {"endpoint_id": "shop"}).status_code == 200
    again = way.post("/v1/webhook_endpoints", HOOK)
    assert again.status_code == 201
    assert again.json()["secret"] != first["secret"]


def test_endpoint_for_which_there_is_no_place_is_refused_at_once(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.intake.http.webhooks.MAX_ENDPOINTS", 2)
    for name in ("a", "b"):
        assert way.post("/v1/webhook_endpoints", {**HOOK, "endpoint_id": name}).status_code == 201
    full = refused(way.post("/v1/webhook_endpoints", HOOK), 409)["detail"]
    assert full == "there are 2 webhook endpoints already; remove one with RemoveWebhook first"
    way.command("integration.RemoveWebhook", {"endpoint_id": "a"})
    assert way.post("/v1/webhook_endpoints", HOOK).status_code == 201


@pytest.mark.parametrize(
    "url", ["http:///x", "http://[::1", "https://user:pw@host", "https://user@host/x", "http://:80/", "http://h:99999/"]
)
def test_address_needs_a_host_and_has_no_secret_in_it(way: WaysIn, url: str) -> None:
    assert "a url " in refused(way.post("/v1/webhook_endpoints", {**HOOK, "url": url}), 422)["detail"]
    assert way.post("/v1/webhook_endpoints", HOOK).status_code == 201
    refused(way.post("/v1/webhook_endpoints/shop", {"url": url}), 422)


def test_whoever_may_not_listen_registers_no_endpoint(way: WaysIn) -> None:
    for key in ("reader", "keys", "trusted"):
        refused(way.post("/v1/webhook_endpoints", HOOK, key=key), 403)
    refused(way.post("/v1/webhook_endpoints/shop/secret", key="keys"), 403)


def test_worker_that_may_have_no_secrets_is_given_no_events(way: WaysIn) -> None:
    row = claimed(way, "worker")
    assert (row["provider"], row["events"]) == (None, None)
    assert row["input"] == {"after": row["input"]["after"], "redo": [], "types": ["device.registered"]}


def test_claim_has_no_more_deliveries_than_are_read_in_a_moment(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.intake.http.tasks._MOST_DELIVERIES", 2)
    for name in ("a", "b", "c"):
        assert way.post("/v1/webhook_endpoints", {**HOOK, "endpoint_id": name}).status_code == 201
    assert way.command("fleet.RegisterDevice", {"device_id": "web-1", "hostname": "web-1"}).status_code == 200
    wanted = {"kinds": ["webhook.deliver"], "worker": "w1", "max": 100}
    claims = [way.post("/v1/tasks/claim", wanted, key="worker").json()["rows"] for _ in range(2)]
    assert [len(rows) for rows in claims] == [2, 1]


def test_worker_is_told_where_the_maker_may_not_listen_any_more(way: WaysIn) -> None:
    # the keys of these tests are known to nobody but them
    row = claimed(way, "trusted")
    assert row["provider"]["base_url"] == HOOK["url"]
    why = "api_key demo, who made or changed the endpoint last, may not listen any more"
    assert row["events"] == {"refused": why}


@pytest.mark.parametrize(
    ("task_id", "kind"), [("check", "webhook.deliver"), ("webhook-shop~1", "webhook.deliver"), ("webhook-x~1", "check")]
)
def test_nobody_but_the_process_asks_for_a_delivery(way: WaysIn, task_id: str, kind: str) -> None:
    way.post("/v1/webhook_endpoints", HOOK)
    input_ = {"after": 0, "redo": [], "types": ["lead.captured"]}
    answer = way.command("operations.RequestTask", {"task_id": task_id, "kind": kind, "input": input_})
    assert refused(answer, 403)["detail"].startswith("the kind webhook.deliver and ids like webhook-shop~1 are for")
