from collections.abc import Callable, Iterator
from threading import Timer
from time import monotonic

import httpx
import pytest

from infra.cli.client import PATIENCE_S, ServerClient, ServerGone, ServerRefused

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer, patience_s: float = PATIENCE_S) -> ServerClient:
    transport = httpx.MockTransport(answer)
    return ServerClient("http://127.0.0.1:8080/", "ak_1.sk_1", patience_s=patience_s, transport=transport)


def one_after_another(*answers: httpx.Response | Exception) -> Answer:
    waiting: Iterator[httpx.Response | Exception] = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        found = next(waiting)
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def test_a_request_carries_the_key_and_its_body() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        said = {"key": request.headers["X-API-Key"], "path": request.url.path, "body": request.content.decode()}
        return httpx.Response(200, json=said)

    asking = client(answer)
    assert asking.post("/v1/commands", b"[]") == {"key": "ak_1.sk_1", "path": "/v1/commands", "body": "[]"}
    asking.close()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507])
def test_a_busy_server_is_asked_again(status: int) -> None:
    asking = client(
        one_after_another(httpx.Response(status), httpx.ConnectError("refused"), httpx.Response(200, json=1))
    )
    assert asking.get("/") == 1
    asking.close()


def test_the_time_that_a_server_asks_for_is_waited() -> None:
    busy = httpx.Response(503, headers={"Retry-After": "1"})
    asking = client(one_after_another(busy, httpx.Response(200, json=1)))
    began = monotonic()
    asking.get("/")
    assert monotonic() - began >= 1
    asking.close()


def test_a_limit_that_ends_soon_is_waited_for() -> None:
    limited = httpx.Response(429, headers={"Retry-After": "1"})
    asking = client(one_after_another(limited, httpx.Response(200, json=1)))
    began = monotonic()
    assert asking.get("/") == 1
    assert monotonic() - began >= 1
    asking.close()


def test_a_limit_that_lasts_longer_than_the_patience_is_told_at_once() -> None:
    limited = httpx.Response(429, headers={"Retry-After": "90"}, json={"detail": "send this one again in 90 s"})
    asking = client(one_after_another(limited), patience_s=30)
    with pytest.raises(ServerRefused, match="again in 90 s"):
        asking.get("/")
    asking.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_a_retry_would_not_change_is_told_at_once(status: int) -> None:
    asking = client(one_after_another(httpx.Response(status, json={"detail": "the api key is not valid"})))
    with pytest.raises(ServerRefused, match="the api key is not valid") as refused:
        asking.get("/")
    assert refused.value.status == status
    asking.close()


def test_an_answer_that_is_no_problem_document_is_named_by_its_status() -> None:
    asking = client(one_after_another(httpx.Response(404, text="<html>")))
    with pytest.raises(ServerRefused, match="answered 404 Not Found"):
        asking.get("/v1/x")
    asking.close()


def test_something_that_is_not_factline_is_refused() -> None:
    asking = client(one_after_another(httpx.Response(200, text="<html>")))
    with pytest.raises(ServerRefused, match="did not answer with JSON"):
        asking.get("/")
    asking.close()


def test_a_server_that_stays_away_is_given_up_with_the_last_reason() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(507, json={"detail": "the disk under the log is full"})

    asking = client(answer)
    with pytest.raises(ServerGone, match="did not answer for 1 s: the disk under the log is full"):
        asking.get("/", patience_s=1)
    asking.close()


def test_what_must_not_be_sent_twice_is_sent_once_and_the_answer_told() -> None:
    asking = client(one_after_another(httpx.Response(503, json={"detail": "the queue is full"})), patience_s=0)
    with pytest.raises(ServerRefused, match="the queue is full"):
        asking.post("/v1/tenants", b"{}")
    asking.close()
    asking = client(one_after_another(httpx.ConnectError("refused")), patience_s=0)
    with pytest.raises(ServerGone, match="does not answer: refused"):
        asking.delete("/")
    asking.close()


class Breaks(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b'{"done": 1}\n{"do'
        yield b'ne": 2}\n'
        raise httpx.ReadError("")


def test_what_a_job_says_is_told_line_by_line_until_the_server_is_gone() -> None:
    asking = client(one_after_another(httpx.Response(200, stream=Breaks())), patience_s=0)
    said = asking.lines("POST", "/job")
    assert [next(said), next(said)] == [{"done": 1}, {"done": 2}]
    with pytest.raises(ServerGone, match="broke off its answer: ReadError"):
        next(said)
    asking.close()


def test_a_client_that_is_stopped_waits_no_longer() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    asking = client(answer)
    Timer(0.3, asking.stop).start()
    began = monotonic()
    with pytest.raises(ServerGone):
        asking.get("/")
    assert monotonic() - began < 10
    asking.close()


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://[::", ""])
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(ServerGone, match="is no address of a server"):
        ServerClient(url, "k").get("/")
