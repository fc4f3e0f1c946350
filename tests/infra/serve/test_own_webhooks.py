"""The embedded server sends events to the endpoints that tenants have registered, until they are taken."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from factline.worker import Task
from infra.embedded import Embedded
from infra.handlers.deliver import deliver_webhooks
from infra.handlers.kinds import DELIVER
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import networks
from infra.outside import Outside
from infra.serve.embedded import create_app
from infra.serve.own_worker import Shipped
from projections.credentials import RateLimits
from schemas.standard_webhooks import signature, signing_key
from tests.infra.handlers.web_server import Answer, Sent, WebServer, web_server
from tests.infra.serve.test_own_worker import Tenant
from tests.live_files import files_with
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

_AT_ONCE = timedelta(milliseconds=1)


class Receiver:
    """A web server that takes what is sent, or answers with the status that was planned for its path."""

    def __init__(self) -> None:
        self.planned: dict[str, Callable[[Sent], int]] = {}
        self.server: WebServer

    def answer(self, sent: Sent) -> Answer:
        planned = self.planned.get(sent.path)
        return planned(sent) if planned else 204, {}, b""

    def sent(self, path: str) -> list[Sent]:
        return [one for one in self.server.sent if one.path == path]

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(one.body) for one in self.sent(path)]

    def streams(self, path: str) -> list[str]:
        return [body["data"]["stream"] for body in self.bodies(path)]


class Sender(Tenant):
    """A tenant that registers endpoints at the receiver, and whose events are devices."""

    def register(self, receiver: Receiver, id_: str, *types: str, key: str | None = None) -> str:
        body = {"endpoint_id": id_, "url": f"{receiver.server.url}/{id_}", "types": types or ("device.registered",)}
        made = Tenant(self.client, key or self.key).post("/v1/webhook_endpoints", body)
        return str(made["secret"])

    def device(self, *ids: str) -> None:
        items = [{"command": "fleet.RegisterDevice", "body": {"device_id": id_, "hostname": id_}} for id_ in ids]
        self.post("/v1/commands", items)

    def endpoint(self, id_: str) -> dict[str, Any]:
        return next(iter(self.get(f"/v1/webhook_endpoints/{id_}")), {})

    def say(self, command: str, id_: str, **more: Any) -> None:
        self.post(f"/v1/commands/integration/{command}", {"endpoint_id": id_, **more})

    def is_(self, id_: str, **fields: Any) -> dict[str, Any]:
        """Return an endpoint once it is so in the view."""
        eventually(lambda: fields.items() <= self.endpoint(id_).items(), lambda: str(self.endpoint(id_)))
        return self.endpoint(id_)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hooks")


@pytest.fixture(scope="module")
def senders(folder: Path) -> Iterator[tuple[Sender, Sender]]:
    outside = Outside("tasks", failures=100, of_all=None)

    async def twice(task: Task) -> int:
        return 2 * int(task.input)

    def handlers_of(tenant: str) -> Any:
        return {DELIVER: deliver_webhooks(Outgoing(networks("127.0.0.0/8"), outside, tenant)), "twice": twice}

    with Embedded.open(folder) as embedded:
        demo = str(embedded.first_start())
        operator = (folder / "operator.key").read_text().strip()
        app = create_app(
            embedded,
            host_metrics=False,
            usual_limits=RateLimits(),
            shipped=Shipped([DELIVER, "twice"], lambda: handlers_of, outside),
        )
        with served(app) as client:
            made = Tenant(client, operator).post("/v1/tenants", {"tenant_id": "acme", "name": "Acme"})
            yield Sender(client, demo), Sender(client, made["api_key"])


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with web_server(receiver.answer) as receiver.server:
        yield receiver


@pytest.fixture
def demo(senders: tuple[Sender, Sender]) -> Sender:
    return senders[0]


def test_event_is_sent_signed_and_once(demo: Sender, receiver: Receiver, folder: Path) -> None:
    demo.device("before")
    secret = demo.register(receiver, "first")
    demo.device("web-1")
    demo.is_("first", delivered=1, waiting=False)
    [sent] = receiver.sent("/first")
    body = json.loads(sent.body)
    assert (body["type"], body["data"]["stream"]) == ("device.registered", "device-web-1")
    assert body["data"]["data"]["hostname"] == "web-1"
    at_s = int(sent.headers["webhook-timestamp"])
    id_ = sent.headers["webhook-id"]
    assert sent.headers["webhook-signature"] == signature(signing_key(secret), id_, at_s, sent.body)
    assert files_with(secret, folder) == []


def test_events_come_in_the_order_of_the_log_and_other_tenants_hear_nothing(
    senders: tuple[Sender, Sender], receiver: Receiver
) -> None:
    demo, acme = senders
    demo.register(receiver, "order")
    acme.register(receiver, "other")
    names = [f"many-{n:03}" for n in range(250)]
    for at in range(0, 250, 50):
        demo.device(*names[at : at + 50])
    acme.device("theirs")
    demo.is_("order", delivered=250, waiting=False)
    assert receiver.streams("/order") == [f"device-{name}" for name in names]
    acme.is_("other", delivered=1)
    assert receiver.streams("/other") == ["device-theirs"]
    assert len({one.headers["webhook-id"] for one in receiver.sent("/order")}) == 250


def test_what_is_not_taken_comes_again_under_its_id_and_hides_nothing_behind_it(
    demo: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.integration.decide_webhook.FIRST_RETRY", _AT_ONCE)
    tries: Counter[str] = Counter()

    def fails_twice(sent: Sent) -> int:
        tries[sent.headers["webhook-id"]] += 1
        return 503 if tries[sent.headers["webhook-id"]] < 3 else 204

    receiver.planned["/again"] = fails_twice
    demo.register(receiver, "again")
    demo.device("a-1", "a-2")
    row = demo.is_("again", delivered=2, waiting=False)
    assert receiver.streams("/again") == ["device-a-1"] * 3 + ["device-a-2"] * 3
    assert (row["last_status"], row["last_error"]) == (503, f"{receiver.server.url}/again answered 503")
    assert row["attempt"] == 0


def test_what_was_given_up_is_sent_again_when_somebody_says_so(
    demo: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.integration.decide_webhook.MAX_ATTEMPTS", 2)
    monkeypatch.setattr("domain.integration.decide_webhook.FIRST_RETRY", _AT_ONCE)
    receiver.planned["/poison"] = lambda sent: 422 if b"device-bad" in sent.body else 200
    demo.register(receiver, "poison")
    demo.device("bad", "good")
    demo.is_("poison", delivered=1, given_up=1, waiting=False)
    assert receiver.streams("/poison") == ["device-bad", "device-bad", "device-good"]
    del receiver.planned["/poison"]
    demo.say("RedriveWebhook", "poison")
    demo.is_("poison", delivered=2, given_up=0, waiting=False)
    assert receiver.streams("/poison")[3:] == ["device-bad"]
    [first, *_, last] = receiver.sent("/poison")
    assert (first.headers["webhook-id"], first.body) == (last.headers["webhook-id"], last.body)


def test_paused_endpoint_gets_afterwards_what_happened_meanwhile(demo: Sender, receiver: Receiver) -> None:
    demo.register(receiver, "pause")
    demo.say("PauseWebhook", "pause", reason="we move")
    demo.device("p-1", "p-2", "p-3")
    demo.is_("pause", status="PAUSED", waiting=True)
    assert receiver.sent("/pause") == []
    demo.say("ResumeWebhook", "pause")
    demo.is_("pause", delivered=3, waiting=False)
    assert receiver.streams("/pause") == ["device-p-1", "device-p-2", "device-p-3"]


def test_address_that_is_gone_pauses_its_endpoint(demo: Sender, receiver: Receiver) -> None:
    receiver.planned["/gone"] = lambda _: 410
    demo.register(receiver, "gone")
    demo.device("g-1")
    row = demo.is_("gone", status="PAUSED")
    assert row["status_reason"] == f"{receiver.server.url}/gone answered 410"


def test_personal_fields_are_sent_as_far_as_the_maker_may_see_them(demo: Sender, receiver: Receiver) -> None:
    few = {"minute": 100, "hour": 1_000, "day": 10_000}

    def key(*scopes: str) -> str:
        return str(demo.post("/v1/keys", {"name": "maker", "scopes": scopes, "limits": few})["api_key"])

    every = ("integration:write", "live:read")
    demo.register(receiver, "sees", "lead.captured", key=key(*every, "personal:read"))
    poor = key(*every)
    demo.register(receiver, "masked", "lead.captured", key=poor)
    lead = {"lead_id": "l1", "source": "form", "contact_name": "Ann", "email": "ann@acme.example"}
    demo.post("/v1/commands/sales/CaptureLead", lead)
    demo.is_("sees", delivered=1)
    demo.is_("masked", delivered=1)
    [sees], [masked] = receiver.bodies("/sees"), receiver.bodies("/masked")
    assert sees["data"]["data"]["email"] == "ann@acme.example"
    assert masked["data"]["data"]["email"] == "[masked]"
    # whoever makes it may see no more than that later, and nothing once the key is gone
    key_id = poor.removeprefix("ak_").partition(".sk_")[0]
    demo.post("/v1/commands/identity/RevokeApiKey", {"key_id": key_id})
    demo.post("/v1/commands/sales/CaptureLead", {**lead, "lead_id": "l2"})
    row = demo.is_("masked", status="PAUSED")
    assert row["status_reason"].endswith("may not listen any more")
    assert len(receiver.sent("/masked")) == 1


def test_deliveries_do_not_tell_of_themselves(demo: Sender, receiver: Receiver) -> None:
    answer = demo.client.post(
        "/v1/webhook_endpoints",
        json={"endpoint_id": "loop", "url": receiver.server.url, "types": ["task.completed"]},
        headers={"X-API-Key": demo.key},
    )
    assert (answer.status_code, answer.json()["detail"].partition(";")[0]) == (
        422,
        "types: webhooks tell of no event task.completed",
    )
    demo.register(receiver, "calm")
    demo.device("c-1")
    demo.is_("calm", delivered=1, deliveries=1, waiting=False)


def test_endpoints_that_are_slow_do_not_hold_other_tasks_up(demo: Sender, receiver: Receiver) -> None:
    goes_on = Event()
    names = [f"slow-{n}" for n in range(4)]
    for name in names:
        receiver.planned[f"/{name}"] = lambda _: 204 if goes_on.wait(10) else 503
        demo.register(receiver, name)
    try:
        demo.device("s-1")
        eventually(lambda: all(receiver.sent(f"/{name}") for name in names))
        demo.request("quick", 21)
        assert demo.ended("quick")["status"] == "COMPLETED"
        assert [demo.endpoint(name)["delivered"] for name in names] == [0] * 4
    finally:
        goes_on.set()
    for name in names:
        demo.is_(name, delivered=1)


def test_endpoints_that_are_slow_hold_no_other_endpoint_up(
    demo: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.handlers.deliver._TIMEOUT_S", 300.0)
    goes_on = Event()
    names = [f"stuck-{n}" for n in range(12)]
    for name in names:
        receiver.planned[f"/{name}"] = lambda _: 204 if goes_on.wait(300) else 503
        demo.register(receiver, name, "device.tagged")
    demo.device("t-1")
    try:
        demo.post("/v1/commands/fleet/TagDevice", {"device_id": "t-1", "key": "site", "value": "north"})
        eventually(lambda: all(receiver.sent(f"/{name}") for name in names))
        demo.register(receiver, "quick")
        demo.device("t-2")
        demo.is_("quick", delivered=1)
        assert [demo.endpoint(name)["delivered"] for name in names] == [0] * 12
    finally:
        goes_on.set()
    for name in names:
        demo.is_(name, delivered=1)


def test_removed_endpoint_gets_nothing(demo: Sender, receiver: Receiver) -> None:
    demo.register(receiver, "removed")
    demo.say("RemoveWebhook", "removed", reason="enough")
    demo.device("r-1")
    demo.register(receiver, "after")
    demo.device("r-2")
    demo.is_("after", delivered=1)
    assert demo.is_("removed", status="REMOVED")["delivered"] == 0
    assert receiver.sent("/removed") == []


def test_changed_endpoint_gets_other_events_at_another_address_signed_with_another_secret(
    demo: Sender, receiver: Receiver
) -> None:
    demo.register(receiver, "old")
    changed = {"url": f"{receiver.server.url}/new", "types": ["device.retired"]}
    demo.post("/v1/webhook_endpoints/old", changed)
    secret = demo.post("/v1/webhook_endpoints/old/secret", None)["secret"]
    demo.device("n-1")
    demo.post("/v1/commands/fleet/RetireDevice", {"device_id": "n-1"})
    demo.is_("old", delivered=1, waiting=False)
    [sent] = receiver.sent("/new")
    at_s = int(sent.headers["webhook-timestamp"])
    assert sent.headers["webhook-signature"] == signature(
        signing_key(secret), sent.headers["webhook-id"], at_s, sent.body
    )
    assert receiver.sent("/old") == []
