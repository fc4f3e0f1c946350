"""Events are sent in their order, and the output says up to which one all were taken."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from factline.worker import Failed, Postponed, Provider, Task
from infra.handlers.deliver import deliver_webhooks
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import networks
from infra.outside import Outside
from tests.infra.handlers.kit import LOCAL
from tests.infra.handlers.test_webhook import SECRET
from tests.infra.handlers.web_server import Answer, Sent, WebServer, web_server

STATUS: dict[str, int] = {}


def row(position: int) -> Mapping[str, Any]:
    about = {"event_id": f"e{position}", "type": "device.registered", "happened_at": "2026-01-31T08:30:00Z"}
    return {"position": position, "id": f"msg_{position}", "record": about}


def given(*positions: int, redo: tuple[int | None, ...] = (), more: bool = False) -> dict[str, Any]:
    again = [None if position is None else row(position) for position in redo]
    return {"redo": again, "rows": [row(position) for position in positions], "looked_to": 50, "more": more}


@pytest.fixture
def server() -> Iterator[WebServer]:
    STATUS.clear()

    def answer(sent: Sent) -> Answer:
        return STATUS.get(json.loads(sent.body)["data"]["event_id"], 204), {}, b""

    with web_server(answer) as server:
        yield server


def delivered(
    server: WebServer, events: Any, outgoing: Outgoing = LOCAL, task_id: str = "webhook-shop~1", **more: Any
) -> Any:
    async def doing() -> Any:
        provider = Provider("webhook", f"{server.url}/hook", SECRET)
        input_ = {"after": 10, "redo": [], "types": ["device.registered"]}
        task = Task(task_id, "webhook.deliver", 1, input_, provider, events=events)
        return await deliver_webhooks(outgoing, **more)(task)

    return asyncio.run(doing())


def ids(server: WebServer) -> list[str]:
    return [sent.headers["webhook-id"] for sent in server.sent]


def output(events: int, looked_to: int | None, **more: Any) -> dict[str, Any]:
    return {"events": events, "redone": 0, "looked_to": looked_to, "more": False, "stopped": None, **more}


def test_events_are_sent_in_their_order_those_that_come_again_first(server: WebServer) -> None:
    assert delivered(server, given(11, 20)) == output(2, 50)
    assert delivered(server, given(21, redo=(3, None, 7), more=True)) == output(3, 50, redone=3, more=True)
    assert ids(server) == ["msg_11", "msg_20", "msg_3", "msg_7", "msg_21"]
    assert json.loads(server.sent[0].body) == {
        "type": "device.registered",
        "timestamp": "2026-01-31T08:30:00Z",
        "data": row(11)["record"],
    }


@pytest.mark.parametrize(("status", "gone"), [(500, False), (302, False), (410, True)])
def test_first_that_is_not_taken_stops_the_delivery(server: WebServer, status: int, *, gone: bool) -> None:
    STATUS["e20"] = status
    about = {"position": 20, "event_id": "e20", "type": "device.registered", "status": status, "gone": gone}
    stopped = {**about, "error": f"{server.url}/hook answered {status}"}
    assert delivered(server, given(11, 20, 30)) == output(1, 11, stopped=stopped)
    assert delivered(server, given(30, redo=(7, 20))) == output(1, 10, redone=1, stopped=stopped)
    assert ids(server) == ["msg_11", "msg_20", "msg_7", "msg_20"]


def test_host_that_does_not_answer_stops_it_too(server: WebServer) -> None:
    nowhere = WebServer(1)
    said = delivered(nowhere, given(11))
    assert said["stopped"]["status"] is None
    assert said["stopped"]["error"].startswith("http://127.0.0.1:1/hook: ")
    assert ids(server) == []


def test_private_address_is_not_sent_to(server: WebServer) -> None:
    said = delivered(server, given(11), Outgoing())
    assert said["stopped"]["error"].startswith("127.0.0.1 is not public")
    assert ids(server) == []


def test_host_that_rests_postpones_a_delivery_that_has_sent_nothing_and_ends_another(server: WebServer) -> None:
    resting = Outgoing(networks("127.0.0.0/8"), Outside("tasks", failures=1, of_all=None))
    STATUS["e1"] = 500
    assert delivered(server, given(1), resting)["stopped"]["status"] == 500
    with pytest.raises(Postponed):
        delivered(server, given(2), resting)
    assert ids(server) == ["msg_1"]


def test_endpoint_that_is_dead_is_nothing_to_another_of_its_host(server: WebServer) -> None:
    resting = Outgoing(networks("127.0.0.0/8"), Outside("tasks", failures=1, of_all=None))
    STATUS["e1"] = 500
    assert delivered(server, given(1), resting)["stopped"]["status"] == 500
    assert delivered(server, given(2), resting, task_id="webhook-other~1") == output(1, 50)


def test_delivery_that_takes_long_ends_with_what_it_has_sent(server: WebServer) -> None:
    times = iter([0.0, 9.0, 11.0])
    assert delivered(server, given(11, 20, 30), clock=lambda: next(times)) == output(2, 20, more=True)


def test_maker_who_may_not_listen_any_more_ends_all_deliveries(server: WebServer) -> None:
    said = delivered(server, {"refused": "ann may not listen any more"})
    assert said == output(0, None, stopped={"error": "ann may not listen any more", "gone": True})


def test_worker_that_is_given_nothing_sends_nothing(server: WebServer) -> None:
    with pytest.raises(Failed, match="nothing that may be sent") as failed:
        delivered(server, None)
    assert not failed.value.retryable
    assert ids(server) == []
