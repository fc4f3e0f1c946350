"""What an attacker may try against reads, as far as no other module has it: see the list in docs/security.md."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from read_api.app import Answers
from read_api.edge.safe import SAFE
from tests.read_api.world import ACME, Caller, Stores

INJECTED = (
    "' OR '1'='1",
    '"; DROP TABLE devices_v1; --',
    "1) UNION SELECT 1,2,3 --",
    '{"$ne": null}',
    "$where: sleep(9000)",
    "{{7*7}}",
    "a\x00b",
    "../../etc/passwd",
    "*" * 2_000,
)


@pytest.mark.parametrize("text", INJECTED)
def test_text_of_a_query_is_a_value_and_nothing_else(acme: Caller, stores: Stores, text: str) -> None:
    stores.put("devices", ACME, "target", hostname="target.example", status="ONLINE")
    queries: tuple[dict[str, str], ...] = (
        {"organization_id": text},
        {"q": text},
        {"sort": text},
        {"cursor": text},
        {"status": text},
    )
    for query in queries:
        answer = acme.get("/v1/devices", None, **query)
        assert answer.status_code in {200, 400, 409, 422}, answer.text
        assert answer.status_code != 200 or answer.json()["rows"] == []
    for path, query in (
        ("/v1/logs", {"contains": text}),
        ("/v1/logs", {"program": text}),
        ("/v1/audit/search", {"stream": text}),
        ("/v1/audit/events", {"types": text}),
        ("/v1/analytics/logs", {"by": text}),
    ):
        answer = acme.get(path, None, **query)
        assert answer.status_code in {200, 400, 422}, answer.text
    assert "target" in {row["id"] for row in acme.rows("/v1/devices")}


@pytest.mark.parametrize(
    "path", ["/v1/devices/x%0d%0aSet-Cookie:%20a=b", "/page/x%0d%0aX-Evil:%201", "/%0d%0aX-Evil:1"]
)
def test_line_breaks_begin_no_header(acme: Caller, path: str) -> None:
    answer = acme.get(path)
    assert answer.status_code in {404, 422}
    assert not {"set-cookie", "x-evil"} & set(answer.headers)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/devices", 200), ("/v1/nope", 404), ("/v1/devices?nope=1", 400), ("/docs", 200), ("/page/app.js", 200)],
)
def test_every_answer_says_what_browsers_may_do_with_it(acme: Caller, path: str, status: int) -> None:
    answer = acme.http.get(path)
    assert answer.status_code == status
    assert SAFE.keys() <= {name for name in SAFE if name in answer.headers}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == ("no-cache" if path.startswith("/page/") else "no-store")


def test_answer_to_a_fault_says_it_too(acme: Caller, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers.documents, "find", None)
    answer = acme.get("/v1/devices")
    assert answer.status_code == 500
    assert all(answer.headers[name] == value for name, value in SAFE.items())


@contextmanager
def connections(address: str, count: int, begins: bytes) -> Iterator[None]:
    host, _, port = address.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(begins)
        yield


@pytest.mark.parametrize("begins", [b"", b"GET /v1/devices HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["silent", "half"])
def test_connections_that_say_nothing_or_half_of_it_hold_up_nobody(acme: Caller, address: str, begins: bytes) -> None:
    with connections(address, 200, begins):
        assert acme.get("/v1/devices").status_code == 200
        assert acme.get("/v1/ops/health").status_code == 200
