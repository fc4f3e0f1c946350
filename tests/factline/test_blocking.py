"""The blocking client, against a server that answers as a test says."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from threading import Timer
from time import monotonic

import httpx
import pytest

from factline.client import (
    PATIENCE_S,
    Client,
    Conflict,
    Expired,
    Invalid,
    LiveMessage,
    NotFound,
    ServerGone,
    ServerRefused,
    TooManyRequests,
)

REPLY = {
    "command_id": "k-1",
    "outcome": "accepted",
    "repeated": False,
    "stream": "device-web-1",
    "version": 1,
    "events": [{"type": "device.registered"}],
    "position": {"partition": 0, "position": 12, "token": "events/0/12"},
}

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer, patience_s: float = PATIENCE_S) -> Client:
    transport = httpx.MockTransport(answer)
    return Client("http://127.0.0.1:8080/", "ak_1.sk_1", patience_s=patience_s, transport=transport)


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
        Client(url, "k").get("/")


def test_a_command_keeps_its_key_over_all_tries() -> None:
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(503) if len(keys) == 1 else httpx.Response(200, json=REPLY)

    with client(answer) as asking:
        reply = asking.command("fleet", "RegisterDevice", {"device_id": "web-1"})
    assert keys[0] == keys[1]
    assert (reply.version, reply.token) == (1, "events/0/12")


def test_what_a_command_is_told_is_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/commands/fleet/RegisterDevice"
        assert request.headers["Idempotency-Key"] == "k-1"
        assert request.headers["If-Match"] == "0"
        assert request.headers["X-Happened-At"] == "2026-01-31T08:30:00+00:00"
        assert float(request.headers["X-Deadline"]) == 1.5
        assert json.loads(request.content) == {"at": "2026-01-31T08:30:00+00:00", "net": "1.50", "name": "Käse"}
        return httpx.Response(200, json={**REPLY, "events": [], "position": None, "repeated": True})

    at = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    body = {"at": at, "net": Decimal("1.50"), "name": "Käse"}
    with client(answer) as asking:
        reply = asking.command(
            "fleet", "RegisterDevice", body, idempotency_key="k-1", if_match=0, happened_at=at, deadline_s=1.5
        )
    assert (reply.events, reply.token, reply.repeated) == ([], None, True)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Invalid), (422, Invalid), (404, NotFound), (409, Conflict), (412, Conflict)]
)
def test_each_refusal_has_its_own_exception_with_the_whole_problem(status: int, kind: type[ServerRefused]) -> None:
    problem = {"detail": "no", "errors": [{"where": "device_id", "what": "is missing"}]}
    with client(one_after_another(httpx.Response(status, json=problem))) as asking, pytest.raises(kind) as refused:
        asking.command("fleet", "RegisterDevice", {})
    assert refused.value.problem == problem


def test_an_outcome_that_stays_is_not_asked_for_again() -> None:
    expired = httpx.Response(504, json={"detail": "the deadline was over", "kind": "expired"})
    with client(one_after_another(expired)) as asking, pytest.raises(Expired):
        asking.command("fleet", "RegisterDevice", {})


def test_a_limit_is_waited_for_where_there_is_patience_for_it() -> None:
    limited = httpx.Response(429, headers={"Retry-After": "1"}, json={"detail": "used up"})
    with client(one_after_another(limited, httpx.Response(200, json=1))) as asking:
        assert asking.get("/") == 1
    later = httpx.Response(429, headers={"Retry-After": "3600"}, json={"detail": "used up"})
    with client(one_after_another(later)) as asking, pytest.raises(TooManyRequests) as refused:
        asking.get("/")
    assert refused.value.retry_after_s == 3600


def test_a_date_to_try_again_at_is_understood() -> None:
    busy = httpx.Response(503, headers={"Retry-After": "Sat, 31 Jan 2026 08:30:00 GMT"})
    with client(one_after_another(busy, httpx.Response(200, json=1))) as asking:
        assert asking.get("/") == 1


def test_what_may_have_been_taken_is_not_sent_again() -> None:
    with client(one_after_another(httpx.ReadError("cut"))) as asking, pytest.raises(ServerGone, match="cut"):
        asking.post("/v1/keys", {"name": "agent"})
    with client(one_after_another(httpx.ConnectError("refused"), httpx.Response(200, json=1))) as asking:
        assert asking.post("/v1/keys", {"name": "agent"}) == 1


def test_all_pages_of_a_list_are_walked() -> None:
    pages = {"": {"rows": [{"id": 1}], "next": "c"}, "c": {"rows": [{"id": 2}], "next": None}}
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        assert request.headers["X-Consistent-With"] == "events/0/12"
        return httpx.Response(200, json=pages[request.url.params.get("cursor", "")])

    with client(answer) as asking:
        rows = asking.rows("/v1/devices", consistent_with="events/0/12", status="ONLINE", limit=1, sort=None)
        assert [row["id"] for row in rows] == [1, 2]
    assert asked == [{"status": "ONLINE", "limit": "1"}, {"status": "ONLINE", "limit": "1", "cursor": "c"}]


def test_several_values_are_sent_under_one_name() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.url.params.multi_items())

    with client(answer) as asking:
        found = asking.get("/v1/alerts", severity=["warning", "critical"], start=datetime(2026, 1, 31, tzinfo=UTC))
    assert found == [["severity", "warning"], ["severity", "critical"], ["start", "2026-01-31T00:00:00+00:00"]]


def test_facts_are_sent_and_counted() -> None:
    taken = {"accepted": 1, "repeated": 0, "refused": [{"line": 2, "reason": "…"}], "position": "telemetry/0/9"}
    with client(one_after_another(httpx.Response(200, json=taken))) as asking:
        assert asking.telemetry([{}, {}]) == (1, 0, [{"line": 2, "reason": "…"}], "telemetry/0/9")


class Cut(httpx.SyncByteStream):
    """A live feed that breaks off in the middle of a record."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: 10\nid: events/0/1\n\nid: events/0/2\ndata: {"
        yield '"n": "one\u2028line"}\n\nid: events/0/3\ndata: {"n"'.encode()
        raise httpx.ReadError("cut")


def test_what_is_not_recorded_is_told_from_records_and_has_their_place() -> None:
    said = b'event: ephemeral\ndata: {"type": "task.streamed"}\n\n'

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b'id: a/0/1\ndata: {"n": 1}\n\n' + said + b'id: a/0/2\ndata: {"n": 2}\n\n')

    with client(answer) as asking:
        found = asking.live(types=["task.streamed"])
        told = [next(found) for _ in range(3)]
        found.close()
    assert told == [("a/0/1", {"n": 1}), ("a/0/1", {"type": "task.streamed"}), ("a/0/2", {"n": 2})]
    assert [isinstance(one, LiveMessage) for one in told] == [False, True, False]


def test_the_live_feed_goes_on_where_it_was_cut() -> None:
    places = []

    def answer(request: httpx.Request) -> httpx.Response:
        places.append(request.headers.get("Last-Event-ID"))
        if len(places) == 1:
            return httpx.Response(200, stream=Cut())
        if len(places) == 2:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, content=b'id: events/0/3\ndata: {"n": 3}\n\n: heartbeat\nid: events/0/9\n\n')

    with client(answer) as asking:
        found = asking.live(types=["device.registered"], after="events/0/0")
        assert next(found) == ("events/0/2", {"n": "one\u2028line"})
        assert next(found) == ("events/0/3", {"n": 3})
        found.close()
    # what was not whole is asked for again
    assert places == ["events/0/0", "events/0/2", "events/0/2"]
