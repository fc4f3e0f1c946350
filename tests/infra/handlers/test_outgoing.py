"""Requests of tasks reach public addresses only, by whatever name, and wherever they are redirected to."""

import asyncio
import socket
from ipaddress import ip_address
from threading import Event
from typing import Any

import pytest

from factline.worker import Failed, Task
from infra.handlers.calls import calls_of_tasks
from infra.handlers.outgoing import Outgoing, is_public
from infra.handlers.settings import networks
from infra.handlers.web import http_request
from tests.infra.handlers.kit import LOCAL, done
from tests.infra.handlers.web_server import Answer, Sent, web_server


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_address_that_not_everybody_reaches_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_address_that_everybody_reaches_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_loopback_is_not_reached_however_it_is_written(host: str) -> None:
    with web_server(lambda _: (200, {}, b"secret")) as server:
        url = server.url.replace("127.0.0.1", host)
        with pytest.raises(Failed, match=r"is not public.*FACTLINE_ALLOW_NETWORKS") as failed:
            done(http_request(Outgoing()), {"url": url})
        assert not failed.value.retryable
        assert server.sent == []


def test_redirect_to_an_address_that_is_not_allowed_is_not_followed() -> None:
    with web_server(lambda _: (200, {}, b"secret")) as inside:

        def answer(_: Sent) -> Answer:
            return 302, {"location": inside.url.replace("127.0.0.1", "127.0.0.2")}, b""

        with web_server(answer) as outside, pytest.raises(Failed, match=r"127\.0\.0\.2 is not public"):
            done(http_request(Outgoing(networks("127.0.0.1"))), {"url": outside.url})
        assert inside.sent == []


def test_address_that_is_checked_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    # a name server that says another address at the second question gets no second question
    asked = []

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.9", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with web_server(lambda _: (200, {}, b"here")) as server:
        url = server.url.replace("127.0.0.1", "rebinding.example")
        assert done(http_request(Outgoing(networks("127.0.0.1"))), {"url": url})["body"] == "here"
    assert asked == ["rebinding.example"]


def test_names_that_are_looked_up_for_long_keep_no_other_thread_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Event()

    def getaddrinfo(host: str, *_: Any, **__: Any) -> Any:
        goes_on.wait(30)
        raise socket.gaierror(f"{host} is not known")

    async def asked() -> Any:
        ask = http_request(LOCAL)
        urls = [f"http://web-{n}.example" for n in range(40)]
        requests = [asyncio.ensure_future(ask(Task("t", "any", 1, {"url": url}))) for url in urls]
        await asyncio.sleep(0.1)
        assert await asyncio.to_thread(lambda: not goes_on.is_set())
        goes_on.set()
        return await asyncio.gather(*requests, return_exceptions=True)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert all("has no address" in str(failed) for failed in asyncio.run(asked()))


def test_names_that_one_tenant_looks_up_for_long_keep_no_other_tenant_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Event()

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        if host.startswith("hangs"):
            goes_on.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def asked(url: str) -> Any:
        outside = calls_of_tasks()
        outgoing = Outgoing(networks("127.0.0.1"), outside, "acme")
        hang = [
            asyncio.ensure_future(
                http_request(outgoing.apart(str(n)))(Task("t", "any", 1, {"url": f"http://hangs-{n}.example:1"}))
            )
            for n in range(150)
        ]
        await asyncio.sleep(0)
        other = http_request(Outgoing(networks("127.0.0.1"), outside, "other"))
        try:
            return await other(Task("t", "any", 1, {"url": url, "timeout_s": 20}))
        finally:
            goes_on.set()
            await asyncio.gather(*hang, return_exceptions=True)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with web_server(lambda _: (200, {}, b"here")) as server:
        assert asyncio.run(asked(server.url.replace("127.0.0.1", "answers.example")))["body"] == "here"


def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server(lambda _: (200, {}, b"of the proxy")) as proxy, web_server(lambda _: (200, {}, b"own")) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert done(http_request(LOCAL), {"url": server.url})["body"] == "own"
        assert proxy.sent == []


def test_networks_are_read_from_a_text() -> None:
    assert [str(network) for network in networks("10.0.0.0/8, 192.168.1.5,")] == ["10.0.0.0/8", "192.168.1.5/32"]
    with pytest.raises(ValueError, match="host bits set"):
        networks("10.0.0.1/8")
