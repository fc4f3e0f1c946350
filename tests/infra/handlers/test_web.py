"""`http.request` sends what the task says, and `http.check` finds out whether something answers."""

import json
import time
from typing import Any

import pytest

from factline.worker import Failed
from infra.handlers.outgoing import Outgoing
from infra.handlers.web import http_check, http_request
from tests.infra.handlers.kit import LOCAL, done
from tests.infra.handlers.web_server import Answer, Sent, web_server

REQUEST, CHECK = http_request(LOCAL), http_check(LOCAL)


def test_request_sends_json_and_gives_the_answer() -> None:
    with web_server(lambda _: (201, {"x-id": "7"}, b'{"made":true}')) as server:
        given = {"url": f"{server.url}/things", "method": "POST", "json": {"a": 1}, "headers": {"x-who": "me"}}
        output = done(REQUEST, given, task_id="task-9")
        [sent] = server.sent
    assert (sent.method, sent.path, json.loads(sent.body)) == ("POST", "/things", {"a": 1})
    assert {sent.headers[name] for name in ("content-type", "x-who")} == {"application/json", "me"}
    # an attempt that comes again is known by the task's id
    assert sent.headers["idempotency-key"] == "task-9"
    assert (output["status"], output["body"], output["headers"]["x-id"]) == (201, '{"made":true}', "7")
    assert not output["truncated"]


@pytest.mark.parametrize(("status", "retryable"), [(404, False), (408, True), (429, True), (500, True), (503, True)])
def test_status_that_is_not_expected_fails_the_attempt(status: int, *, retryable: bool) -> None:
    with web_server(lambda _: (status, {}, b"why")) as server, pytest.raises(Failed, match=f"{status}: why") as failed:
        done(REQUEST, {"url": server.url})
    assert failed.value.retryable is retryable


def test_status_that_is_expected_is_an_answer() -> None:
    with web_server(lambda _: (404, {}, b"")) as server:
        assert done(REQUEST, {"url": server.url, "expect": [404]})["status"] == 404


def test_long_answer_is_cut_and_says_so() -> None:
    with web_server(lambda _: (200, {}, "ä".encode() * 1_000_000)) as server:
        output = done(REQUEST, {"url": server.url, "max_bytes": 101})
    assert output["truncated"]
    assert output["body"] == "ä" * 50


def test_answer_that_is_no_text_is_base64() -> None:
    with web_server(lambda _: (200, {}, b"\x00\xff")) as server:
        assert done(REQUEST, {"url": server.url})["body_base64"] == "AP8="


def test_answer_that_comes_late_fails_the_attempt_and_may_be_tried_again() -> None:
    def answer(_: Sent) -> Answer:
        time.sleep(0.5)
        return 200, {}, b""

    with web_server(answer) as server, pytest.raises(Failed, match="did not answer in time") as failed:
        done(REQUEST, {"url": server.url, "timeout_s": 0.1})
    assert failed.value.retryable


def test_redirect_is_followed_when_reading_and_not_when_writing() -> None:
    def answer(sent: Sent) -> Answer:
        return (302, {"location": "/there"}, b"") if sent.path == "/" else (200, {}, b"there")

    with web_server(answer) as server:
        assert done(REQUEST, {"url": server.url})["body"] == "there"
        with pytest.raises(Failed, match="answered 302"):
            done(REQUEST, {"url": server.url, "method": "POST"})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "input: "),
        ({"url": "file:///etc/passwd"}, "input.url"),
        ({"url": "http://x", "method": "TRACE"}, "input.method"),
        ({"url": "http://x", "tomeout_s": 3}, "input.tomeout_s"),
        ({"url": "http://x", "json": 1, "body": "2"}, "say json or body, not both"),
        ({"url": "http://127.0.0.1", "headers": {"a": "b\r\nc: d"}}, "input.headers.a"),
        ({"url": "http://127.0.0.1", "headers": {"Host": "other"}}, "the header host"),
    ],
)
def test_input_that_is_wrong_is_refused_in_words(given: Any, why: str) -> None:
    with pytest.raises(Failed, match=why) as failed:
        done(REQUEST, given)
    assert not failed.value.retryable


def test_check_of_what_answers_is_ok() -> None:
    with web_server(lambda _: (200, {}, b"all is well")) as server:
        output = done(CHECK, {"url": server.url, "contains": "well"})
    assert (output["ok"], output["status"], output["error"]) == (True, 200, None)
    assert output["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("given", "error"),
    [({}, "the status is 503"), ({"expect": [503], "contains": "fine"}, "'fine' is not in the first 1024 KiB")],
)
def test_check_says_what_is_not_as_expected(given: dict[str, Any], error: str) -> None:
    with web_server(lambda _: (503, {}, b"broken")) as server:
        output = done(CHECK, {"url": server.url, **given})
    assert not output["ok"]
    assert output["error"].startswith(error)


def test_check_of_what_does_not_answer_is_an_answer_too() -> None:
    with web_server(lambda _: (200, {}, b"")) as server:
        url = server.url
    output = done(CHECK, {"url": url})
    assert (output["ok"], output["status"]) == (False, None)
    assert output["error"]


def test_check_of_an_address_that_is_not_allowed_fails_the_task() -> None:
    with pytest.raises(Failed, match="is not public"):
        done(http_check(Outgoing()), {"url": "http://127.0.0.1:1"})
