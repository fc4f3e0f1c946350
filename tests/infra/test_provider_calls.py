"""Providers through which people sign in are asked over HTTP, with bounds."""

import asyncio
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler

import pytest

from infra import provider_calls
from infra.jwks import OVER_HTTP
from infra.outside import Outside
from infra.provider_calls import asking, providers
from infra.settings import BadSettings
from schemas.envelope import TenantId
from streams.intake.http.provider_tokens import Answered, CannotAsk
from tests.serving import port_of

ACME, OTHER = TenantId("acme"), TenantId("other")
HERE = {OVER_HTTP: "1"}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        moved = self.path == "/moved"
        self.send_response(302 if moved else 503 if self.path == "/ill" else 200)
        if moved:
            self.send_header("Location", "/said")
        self.end_headers()
        self.wfile.write(b" " * 300_000 if self.path == "/huge" else b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.headers['Content-Type']} {self.headers['Authorization']} {body.decode()}".encode())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with port_of(_Answers) as port:
        yield f"http://127.0.0.1:{port}"


def asked(
    url: str, environment: Mapping[str, str] = HERE, outside: Outside | None = None, tenant: TenantId = ACME
) -> Answered:
    return asyncio.run(asking(environment, outside or providers())(tenant, url))


def test_form_is_posted_with_its_headers(address: str) -> None:
    ask = asking(HERE, providers())
    answer = asyncio.run(ask(ACME, f"{address}/token", {"code": "a b&c"}, {"authorization": "Basic x"}))
    assert answer == Answered(200, b"application/x-www-form-urlencoded Basic x code=a+b%26c")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.0.0.8/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:192.168.1.1]/x",
    ],
)
def test_provider_in_a_network_of_the_server_is_not_asked(url: str) -> None:
    for environment in ({}, HERE):
        with pytest.raises(CannotAsk, match="is not public"):
            asked(url, environment)


def test_network_that_is_allowed_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_calls, "_TIMEOUT_S", 0.5)
    with pytest.raises(CannotAsk, match="does not answer"):
        asked("https://127.0.0.1:1/x", {"FACTLINE_ALLOW_NETWORKS": "127.0.0.0/8"})
    with pytest.raises(BadSettings, match="FACTLINE_ALLOW_NETWORKS"):
        asking({"FACTLINE_ALLOW_NETWORKS": "all"}, providers())


@pytest.mark.parametrize("url", ["http://id.acme.example/x", "ftp://127.0.0.1/x", "http://127.0.0.1.nip.io/x"])
def test_nobody_is_asked_without_encryption_but_this_machine(url: str, address: str) -> None:
    with pytest.raises(CannotAsk, match="is not https"):
        asked(url)
    with pytest.raises(CannotAsk, match="is not https"):
        asked(f"{address}/said", {})


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://[x]/token", "https://id.example:x/", "https:///token", f"https://{'a' * 64}.x/"]
)
def test_what_is_no_address_cannot_be_asked(url: str) -> None:
    with pytest.raises(CannotAsk):
        asked(url)


def test_anything_but_an_answer_is_none(address: str) -> None:
    # where it leads to is not asked
    assert asked(f"{address}/moved").status == 302
    with pytest.raises(CannotAsk, match="says too much"):
        asked(f"{address}/huge")


def test_slow_providers_of_one_tenant_leave_places_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked_by_many() -> None:
        may_answer = asyncio.Event()

        async def slow(*_: object) -> Answered:
            await may_answer.wait()
            return Answered(200, b"{}")

        monkeypatch.setattr(provider_calls, "_asked", slow)
        ask = asking({}, providers())
        ours = [asyncio.create_task(ask(ACME, f"https://id-{n}.acme.example/")) for n in range(17)]
        await asyncio.sleep(0)
        theirs = asyncio.create_task(ask(OTHER, "https://id.other.example/"))
        await asyncio.sleep(0)
        may_answer.set()
        *answered, refused = await asyncio.gather(*ours, return_exceptions=True)
        assert answered == [Answered(200, b"{}")] * 16
        assert isinstance(refused, CannotAsk)
        assert (await theirs).status == 200
        # their places are free again
        assert (await ask(ACME, "https://id.acme.example/")).status == 200

    asyncio.run(asked_by_many())


def test_provider_that_is_not_well_is_left_alone_for_the_tenant_that_asks(address: str) -> None:
    outside = providers()
    for _ in range(5):
        assert asked(f"{address}/ill", outside=outside).status == 503
    with pytest.raises(CannotAsk, match="failed 5 times in a row"):
        asked(f"{address}/said", outside=outside)
    assert asked(f"{address}/said", outside=outside, tenant=OTHER).status == 200
