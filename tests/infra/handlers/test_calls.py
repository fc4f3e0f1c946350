"""A host that fails or hangs is left alone for a while, for the tenant that asked it; nothing else waits for it."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from factline.worker import Failed, Postponed, Provider, Task
from infra.handlers.calls import calls_of_tasks
from infra.handlers.chat import chat_complete
from infra.handlers.mail import notify_email
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import mail_server, networks
from infra.handlers.web import Handler, http_check, http_request
from infra.handlers.webhook import notify_webhook
from infra.outside import Outside
from tests.infra.handlers.kit import done
from tests.infra.handlers.web_server import Answer, Sent, web_server

NETWORKS = networks("127.0.0.0/8")
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Hands:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def why(handler: Handler, input_: Any, provider: Provider | None = None) -> Failed:
    with pytest.raises(Failed) as failed:
        done(handler, input_, provider=provider)
    return failed.value


def test_host_that_fails_is_left_alone_until_it_answers_again() -> None:
    clock, status = Hands(), [500]
    outside = Outside("tasks", failures=3, clock=clock)
    ask = http_request(Outgoing(NETWORKS, outside, "acme"))
    with web_server(lambda _: (status[0], {}, b"")) as server:
        asked = {"url": f"{server.url}/a"}
        for _ in range(3):
            assert str(why(ask, asked)).startswith(f"{server.url}/a answered 500")
        postponed = why(ask, {"url": f"{server.url}/b"})
        assert isinstance(postponed, Postponed)
        assert postponed.retryable
        assert postponed.retry_after_s == 30
        host = server.url.removeprefix("http://")
        assert str(postponed) == f"{host} failed 3 times in a row and is not asked for now"
        assert len(server.sent) == 3
        # another tenant asks for itself
        assert not isinstance(why(http_request(Outgoing(NETWORKS, outside, "other")), asked), Postponed)
        clock.at, status[0] = 131, 200
        assert done(ask, asked)["status"] == 200
        assert done(ask, asked)["status"] == 200


def test_every_handler_that_calls_a_host_learns_from_the_others() -> None:
    outside = Outside("tasks", failures=1)
    outgoing = Outgoing(NETWORKS, outside, "acme")
    with web_server(lambda _: (503, {}, b"")) as server:
        assert not isinstance(why(http_request(outgoing), {"url": server.url}), Postponed)
        hook = {"url": server.url, "type": "x", "data": 1, "provider_key": "hook"}
        chat = {"provider_key": "m", "model": "m-1", "messages": [{"role": "user", "content": "?"}]}
        mail = {"to": ["eva@example.com"], "subject": "?", "text": "?"}
        smtp = mail_server(server.url.replace("http", "smtp"), "it@example.com")
        assert isinstance(why(notify_webhook(outgoing), hook, Provider("webhook", None, SECRET)), Postponed)
        assert isinstance(why(chat_complete(outgoing), chat, Provider("ollama", server.url, "s")), Postponed)
        assert isinstance(why(notify_email(smtp, outgoing), mail), Postponed)
        assert len(server.sent) == 1


def test_mail_server_that_is_away_is_left_alone() -> None:
    send = notify_email(
        mail_server("smtp://127.0.0.1:1", "it@example.com"), Outgoing(NETWORKS, Outside("t", failures=2))
    )
    mail = {"to": ["eva@example.com"], "subject": "?", "text": "?"}
    assert [isinstance(why(send, mail), Postponed) for _ in range(3)] == [False, False, True]


def test_check_of_a_host_that_is_left_alone_says_that_it_was_not_made() -> None:
    check = http_check(Outgoing(NETWORKS, Outside("tasks", failures=1)))
    gone = {"url": "http://127.0.0.1:1"}
    first, second = done(check, gone), done(check, gone)
    assert (first["ok"], first["checked"], first["status"]) == (False, True, None)
    assert (second["ok"], second["checked"], second["status"]) == (False, False, None)
    assert second["error"] == "not checked: 127.0.0.1:1 failed 1 times in a row and is not asked for now"


def test_status_that_is_expected_or_a_refusal_says_nothing_against_a_host() -> None:
    outgoing = Outgoing(NETWORKS, Outside("tasks", failures=1))
    status = [503]
    with web_server(lambda _: (status[0], {}, b"")) as server:
        for _ in range(2):
            assert not done(http_check(outgoing), {"url": server.url})["ok"]
            assert done(http_request(outgoing), {"url": server.url, "expect": [503]})["status"] == 503
        status[0] = 404
        for _ in range(2):
            assert "answered 404" in str(why(http_request(outgoing), {"url": server.url}))
    refused = http_request(Outgoing((), Outside("tasks", failures=1)))
    for _ in range(2):
        assert "is not public" in str(why(refused, {"url": "http://127.0.0.1:1"}))


def test_host_that_hangs_leaves_places_for_other_hosts_and_is_left_alone_then() -> None:
    hangs = threading.Event()

    def answer(_: Sent) -> Answer:
        hangs.wait(30)
        return 200, {}, b""

    async def ended(asked: Sequence[tuple[str, float]]) -> Sequence[str]:
        """Return how calls end that begin together, in the order in which they end."""
        ends: list[str] = []

        async def one(url: str, timeout_s: float) -> None:
            try:
                await ask(Task("t", "http.request", 1, {"url": url, "timeout_s": timeout_s}))
            except Failed as failed:
                ends.append(type(failed).__name__)
            else:
                ends.append("done")

        await asyncio.gather(*(one(url, timeout_s) for url, timeout_s in asked))
        return ends

    ask = http_request(Outgoing(NETWORKS, calls_of_tasks(4)))
    with web_server(answer) as slow, web_server(lambda _: (200, {}, b"")) as quick:
        try:
            # three of four places are the slow host's; the fourth is given back long before they are free
            found = asyncio.run(ended([*[(slow.url, 6)] * 4, (quick.url, 6)]))
            assert found == ["done", "Postponed", "Failed", "Failed", "Failed"]
            assert asyncio.run(ended([(slow.url, 0.2)] * 2)) == ["Failed", "Failed"]
            assert asyncio.run(ended([(slow.url, 6)])) == ["Postponed"]
            assert len(slow.sent) == 5
        finally:
            hangs.set()
