"""What systems outside may send: with which secret, to whose tenant, and once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.limits.memory import MemoryRateLimiter
from schemas.envelope import Envelope, Topic
from schemas.json_text import json_value
from schemas.standard_webhooks import signature, signing_key
from streams.intake.http import senders
from streams.intake.http.passwords import SlowDown
from tests.streams.intake.http.ways_in import WaysIn, refused, ways_in

CRM = {"connector_id": "crm", "tool_type": "postgresql", "format": "debezium"}
SHOP = {"connector_id": "shop", "tool_type": "web shop", "format": "webhook"}
AT = "/v1/connectors/demo.crm/events"
WRONG = "the connector, its secret or signature, or the time of the signature is not right"


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path) as way:
        yield way


def registered(way: WaysIn, connector: Any = CRM, key: str = "demo") -> str:
    answer = way.post("/v1/connectors", connector, key=key)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def row(number: int, op: str = "u", **more: Any) -> dict[str, Any]:
    source = {"db": "shop", "schema": "public", "table": "orders", "lsn": number}
    return {"op": op, "before": {"id": 7}, "after": {"id": 7, "n": number}, "source": source, "ts_ms": 5, **more}


def sent(way: WaysIn, body: Any, secret: str, at: str = AT, **headers: str) -> httpx.Response:
    told = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **headers}
    return way.client.post(at, content=body if isinstance(body, bytes) else json.dumps(body), headers=told)


def signed(
    way: WaysIn, body: bytes, secret: str, *, id_: str = "msg_1", ago_s: int = 0, at: str = AT, more: str = ""
) -> httpx.Response:
    at_s = int(time.time()) - ago_s
    made = signature(signing_key(secret), id_, at_s, body)
    headers = {"webhook-id": id_, "webhook-timestamp": str(at_s), "webhook-signature": more + made}
    return way.client.post(at, content=body, headers={**headers, "Content-Type": "application/json"})


def changes(way: WaysIn, tenant: str = "demo") -> list[Envelope]:
    return [event for event in way.entries(Topic.EVENTS, tenant) if event.type == "integration.received"]


def test_secret_is_shown_once_and_is_in_no_event(way: WaysIn) -> None:
    answer = way.post("/v1/connectors", CRM).json()
    assert answer["address"] == AT
    assert {name: answer[name] for name in CRM} == CRM
    assert not [event for event in way.entries(Topic.EVENTS) if answer["secret"] in str(event.data)]
    refused(way.post("/v1/connectors", CRM), 409)
    for key in ("reader", "keys", "fleet", "trusted"):
        refused(way.post("/v1/connectors", SHOP, key=key), 403)
        refused(way.post("/v1/connectors/crm/secret", key=key), 403)


def test_changes_are_recorded_in_their_order_with_all_that_they_say(way: WaysIn) -> None:
    secret = registered(way)
    body = [row(1, "c"), {"schema": {}, "payload": row(2)}, row(3, "d", after=None), row(4, "?")]
    answer = sent(way, body, secret)
    assert (answer.status_code, answer.json()) == (200, {"received": 4, "repeated": 0})
    found = changes(way)
    assert [event.data["op"] for event in found] == ["c", "u", "d", "UNKNOWN"]
    assert [json_value(event.data["payload"]) for event in found] == [row(1, "c"), row(2), body[2], body[3]]
    # all of one row: its history is its stream
    assert [event.version for event in found] == [1, 2, 3, 4]
    assert {(event.stream, event.actor.id, event.data["tool_type"]) for event in found} == {
        (found[0].stream, "crm", "postgresql")
    }


def test_what_is_sent_again_adds_nothing(way: WaysIn, tmp_path: Path) -> None:
    secret = registered(way)
    assert sent(way, [row(1), row(2), row(1, ts_ms=9)], secret).json() == {"received": 2, "repeated": 1}
    assert sent(way, row(2, ts_ms=77), secret).json() == {"received": 0, "repeated": 1}
    assert sent(way, [row(2), row(3)], secret).json() == {"received": 1, "repeated": 1}
    assert sent(way, [], secret).json() == {"received": 0, "repeated": 0}
    assert [event.data["source_position"] for event in changes(way)] == ['{"lsn":1}', '{"lsn":2}', '{"lsn":3}']


def test_signed_message_is_taken_and_its_id_counts(way: WaysIn) -> None:
    secret = registered(way, SHOP)
    at = "/v1/connectors/demo.shop/events"
    paid = b'{"type": "order.paid", "data": {"order": 7}}'
    assert signed(way, paid, secret, at=at).json() == {"received": 1, "repeated": 0}
    assert signed(way, paid, secret, at=at, ago_s=200).json() == {"received": 0, "repeated": 1}
    assert signed(way, paid, secret, at=at, id_="msg_2", more="v1,AAAA v1a,BBBB ").json()["received"] == 1
    # without an id the same body is the same message
    assert sent(way, paid, secret, at).json()["received"] == 1
    assert sent(way, paid, secret, at).json()["repeated"] == 1
    found = changes(way)
    assert {(event.data["source_event_type"], event.data["op"]) for event in found} == {("order.paid", "m")}
    assert len({event.stream for event in found}) == 3


def test_ids_that_begin_alike_are_those_of_different_messages(way: WaysIn) -> None:
    secret = registered(way, SHOP)
    for end in "ab":
        answer = sent(way, {}, secret, "/v1/connectors/demo.shop/events", **{"webhook-id": "x" * 300 + end})
        assert answer.json()["received"] == 1


def test_change_goes_out_to_a_webhook_endpoint_that_wants_it(way: WaysIn) -> None:
    secret = registered(way)
    hook = {"endpoint_id": "out", "url": "https://out.example", "types": ["integration.received"]}
    assert way.post("/v1/webhook_endpoints", hook).status_code == 201
    sent(way, row(1), secret)
    claim = {"kinds": ["webhook.deliver"], "worker": "w1"}
    [task] = way.post("/v1/tasks/claim", claim, key="trusted").json()["rows"]
    assert task["input"]["types"] == ["integration.received"]


def test_what_is_personal_is_known_from_the_next_request_on(way: WaysIn) -> None:
    secret = registered(way)
    sent(way, row(1), secret)
    answer = way.command("integration.NamePersonalFields", {"connector_id": "crm", "personal_fields": ["n"]})
    assert answer.status_code == 200
    assert sent(way, [row(2), row(3, key={"n": 3})], secret).status_code == 422
    first, second = changes(way)
    assert (first.data["personal"], second.data["personal"]) == (None, '{"/after/n":2}')
    assert json_value(second.data["payload"])["after"] == {"id": 7, "n": "[personal]"}
    assert second.data["person"] == second.stream
    [refusal] = [one for one in way.entries(Topic.EVENTS) if one.type == "connector.changes.refused"]
    assert refusal.data["reason"].startswith("change 1 has a personal field in the key")


def test_array_of_a_webhook_is_one_message(way: WaysIn) -> None:
    secret = registered(way, SHOP)
    assert sent(way, [1, 2], secret, "/v1/connectors/demo.shop/events").json()["received"] == 1
    assert [event.data["payload"] for event in changes(way)] == ["[1,2]"]


def test_nobody_else_may_send(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowDown, "try_once", lambda *_: None)
    secret = registered(way)
    others = registered(way, CRM, key="acme")
    body = json.dumps(row(1)).encode()
    json_only = {"Content-Type": "application/json"}
    key = {"X-API-Key": "demo", **json_only}
    at_s = int(time.time())
    tampered = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": signature(signing_key(secret), "msg_1", at_s, body),
        **json_only,
    }
    answers = [
        way.client.post(AT, content=body, headers=json_only),
        way.client.post(AT, content=body, headers=key),
        way.client.post(AT, content=body + b" ", headers=tampered),
        way.client.post(AT, content=body, headers={**tampered, "webhook-id": "msg_2"}),
        way.client.post(AT, content=body, headers={**tampered, "webhook-timestamp": str(at_s + 1)}),
        way.client.post(AT, content=body, headers={**tampered, "webhook-timestamp": "now"}),
        way.client.post(AT, content=body, headers={**tampered, "webhook-signature": "v1,"}),
        signed(way, body, secret, ago_s=301),
        signed(way, body, secret, ago_s=-310),
        signed(way, body, others),
        sent(way, body, others),
        sent(way, body, "whsec_"),
        sent(way, body, secret + "x"),
        sent(way, body, secret, "/v1/connectors/demo.other/events"),
        sent(way, body, secret, "/v1/connectors/crm/events"),
        sent(way, body, secret, "/v1/connectors/acme.crm/events"),
        sent(way, body, secret, "/v1/connectors/nobody.crm/events"),
    ]
    assert {refused(answer, 401)["detail"] for answer in answers} == {WRONG}
    assert changes(way) == changes(way, "acme") == []
    # the body does not say whose it is
    assert sent(way, row(1, tenant_id="demo", connector_id="crm"), others, "/v1/connectors/acme.crm/events").is_success
    assert (len(changes(way)), len(changes(way, "acme"))) == (0, 1)


def test_wrong_secrets_are_slowed_down_and_the_right_one_is_not(way: WaysIn) -> None:
    secret = registered(way)
    answers = [sent(way, row(1), "whsec_no").status_code for _ in range(8)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert sent(way, row(1), secret).json()["received"] == 1


def test_secret_that_was_rotated_or_removed_is_not_good_any_more(way: WaysIn) -> None:
    first = registered(way)
    second = str(way.post("/v1/connectors/crm/secret").json()["secret"])
    assert refused(sent(way, row(1), first), 401)["detail"] == WRONG
    assert sent(way, row(1), second).json()["received"] == 1
    assert way.command("integration.RemoveConnector", {"connector_id": "crm"}).status_code == 200
    assert refused(sent(way, row(2), second), 401)["detail"] == WRONG
    refused(way.post("/v1/connectors/crm/secret"), 403)


def test_paused_connector_tells_to_come_again(way: WaysIn) -> None:
    secret = registered(way)
    assert way.command("integration.PauseConnector", {"connector_id": "crm"}).status_code == 200
    answer = sent(way, row(1), secret)
    assert refused(answer, 503)["detail"] == "connector crm is paused; send it again later"
    assert way.command("integration.ResumeConnector", {"connector_id": "crm"}).status_code == 200
    assert sent(way, row(1), secret).json() == {"received": 1, "repeated": 0}


def test_tenant_that_is_suspended_takes_nothing(way: WaysIn) -> None:
    secret = registered(way)
    assert way.post("/v1/tenants/demo/suspend", {}, key="operator").status_code == 200
    assert refused(sent(way, row(1), secret), 401)["detail"] == WRONG


def test_what_is_too_large_is_refused_and_counted_once(way: WaysIn) -> None:
    secret = registered(way)
    body = [row(1), row(2, after={"id": 7, "text": "x" * 70_000}), row(3)]
    for received in (2, 0):
        problem = refused(sent(way, body, secret), 422)
        assert problem["detail"] == "change 1 is larger than 64 KiB as JSON; all others are recorded"
        assert (problem["received"], problem["repeated"], problem["refused"]) == (received, 2 - received, 1)
    noted = [event for event in way.entries(Topic.EVENTS) if event.type == "connector.changes.refused"]
    assert [(event.data["count"], event.data["total"]) for event in noted] == [(1, 1)]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [(b"{", 400, "the body is not JSON"), ([{}] * 501, 400, "there are more than 500 changes; send them in parts")],
)
def test_body_that_is_none_is_refused(way: WaysIn, body: Any, status: int, why: str) -> None:
    secret = registered(way)
    assert refused(sent(way, body, secret), status)["detail"].startswith(why)
    assert changes(way) == []


def test_body_is_json_and_has_the_bounds_of_all_bodies(way: WaysIn) -> None:
    secret = registered(way)
    refused(sent(way, row(1), secret, **{"Content-Type": "text/plain"}), 415)
    refused(sent(way, b" " * (16 * 1024 * 1024 + 1), secret), 413)


def test_body_that_does_not_come_is_not_waited_for(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "_BODY_S", 0.1)
    secret = registered(way)

    def slowly() -> Iterator[bytes]:
        yield b"{"
        time.sleep(0.5)
        yield b"}"

    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    assert refused(way.client.post(AT, content=slowly(), headers=headers), 408)["detail"].startswith("the body did")
    assert changes(way) == []


def test_bodies_of_systems_outside_take_nothing_of_what_others_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "MAX_HELD_BYTES", 1_000)
    with ways_in(tmp_path) as way:
        secret = registered(way)
        way.bodies.left = 0
        assert sent(way, row(1), secret).json()["received"] == 1
        refused(sent(way, {"a": "x" * 1_000}, secret), 503)
        assert sent(way, row(2), secret).json()["received"] == 1


def test_requests_and_events_count_in_the_quotas_of_the_tenant(tmp_path: Path) -> None:
    with ways_in(tmp_path, limiter=MemoryRateLimiter()) as way:
        secret = registered(way)
        quota = {"events_per_day": 2, "requests_per_minute": 3}
        assert way.post("/v1/tenants/demo/quota", quota, key="operator").status_code == 200
        assert sent(way, [row(1), row(2)], secret).json()["received"] == 2
        assert "events" in refused(sent(way, row(3), secret), 429)["detail"]
        refused(sent(way, row(3), secret), 429)
        assert "requests" in refused(sent(way, row(3), secret), 429)["detail"]
