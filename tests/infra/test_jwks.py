"""Keys of issuers are fetched over HTTP."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from time import monotonic, sleep
from typing import ClassVar

import pytest

from infra import jwks
from infra.jwks import OVER_HTTP, fetching, issuers
from read_api.edge.issuer_keys import CannotFetch
from tests.serving import port_of


class _Answers(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        if self.path == "/drops-of-headers":
            self._drip(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            self.wfile.write(b"\r\n\r\n")
            return
        if self.path == "/ill":
            self.asked.append(self.path)
        self.send_response(200 if self.path in ("/keys", "/huge", "/drops") else 503 if self.path == "/ill" else 404)
        self.end_headers()
        if self.path == "/drops":
            self._drip(b'{"keys": []}')
            return
        self.wfile.write(b" " * 300_000 if self.path == "/huge" else b'{"keys": []}')

    def _drip(self, begins: bytes) -> None:
        """Send some blanks more, always sooner than a client would give up waiting for the next one."""
        self.wfile.write(begins)
        for _ in range(40):
            sleep(0.05)
            try:
                self.wfile.write(b" ")
            except OSError:
                self.close_connection = True
                return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with port_of(_Answers) as port:
        yield f"http://127.0.0.1:{port}"


def test_keys_are_fetched(address: str) -> None:
    assert fetching({OVER_HTTP: "1"}, issuers())(f"{address}/keys") == b'{"keys": []}'


@pytest.mark.parametrize("path", ["/nothing", "/moved", "/huge"])
def test_anything_but_an_answer_is_none(address: str, path: str) -> None:
    with pytest.raises(CannotFetch):
        fetching({OVER_HTTP: "1"}, issuers())(f"{address}{path}")


@pytest.mark.parametrize("path", ["/drops", "/drops-of-headers"])
def test_who_sends_drops_is_not_waited_for(address: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_TIMEOUT_S", 0.3)
    began = monotonic()
    with pytest.raises(CannotFetch, match="is too slow"):
        fetching({OVER_HTTP: "1"}, issuers())(f"{address}{path}")
    assert monotonic() - began < 1.5


def test_nobody_is_asked_without_encryption_unless_it_is_this_machine_and_allowed(address: str) -> None:
    with pytest.raises(CannotFetch, match="is not https"):
        fetching({}, issuers())(f"{address}/keys")
    for url in ("http://id.acme.example/keys", "http://127.0.0.1.evil.example/keys", "ftp://127.0.0.1/keys"):
        with pytest.raises(CannotFetch, match="is not https"):
            fetching({OVER_HTTP: "1"}, issuers())(url)


def test_address_that_is_away_is_no_error_of_ours() -> None:
    with pytest.raises(CannotFetch, match="does not answer"):
        fetching({OVER_HTTP: "1"}, issuers())("http://127.0.0.1:1/keys")


def test_address_whose_server_is_not_well_is_tried_again_and_then_left_alone(address: str) -> None:
    outside = issuers()
    for _ in range(3):
        with pytest.raises(CannotFetch, match=r"answers 503|not asked for now"):
            fetching({OVER_HTTP: "1"}, outside)(f"{address}/ill")
    assert len(_Answers.asked) == 5
    assert "/ill" in outside.health()
    # a missing page is an answer, and another address another system
    for _ in range(6):
        with pytest.raises(CannotFetch, match="answers 404"):
            fetching({OVER_HTTP: "1"}, outside)(f"{address}/nothing")
    assert fetching({OVER_HTTP: "1"}, outside)(f"{address}/keys") == b'{"keys": []}'
