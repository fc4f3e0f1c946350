"""A webhook is signed as Standard Webhooks says, so that the receivers' libraries take it."""

import base64
import json

import pytest

from factline.worker import Failed, Provider
from infra.handlers.webhook import notify_webhook
from schemas.standard_webhooks import signature, signing_key
from tests.infra.handlers.kit import LOCAL, done
from tests.infra.handlers.web_server import web_server

# the vector of the reference library's tests, and the one that Svix publishes, whose key is shorter than is allowed now
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTIFY = notify_webhook(LOCAL)
OURS = Provider("webhook", None, SECRET)
SAID = {"type": "alert.raised", "data": {"device": "web-1"}, "provider_key": "hook"}


def test_signature_is_that_of_the_published_vectors() -> None:
    made = signature(signing_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    short = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    made = signature(short, "msg_loFOjxBNrRLzqYUf", 1731705121, body)
    assert made == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_webhook_is_signed_over_what_is_sent() -> None:
    with web_server(lambda _: (204, {}, b"")) as server:
        assert done(NOTIFY, {"url": server.url, **SAID}, task_id="t7", provider=OURS) == {"status": 204}
        [sent] = server.sent
    body = json.loads(sent.body)
    assert (body["type"], body["data"]) == ("alert.raised", {"device": "web-1"})
    at_s = int(sent.headers["webhook-timestamp"])
    assert sent.headers["webhook-id"] == "t7"
    assert sent.headers["webhook-signature"] == signature(signing_key(SECRET), "t7", at_s, sent.body)


@pytest.mark.parametrize(("status", "retryable"), [(410, False), (500, True), (302, True)])
def test_receiver_that_does_not_take_it_fails_the_attempt(status: int, *, retryable: bool) -> None:
    with web_server(lambda _: (status, {"location": "/"}, b"")) as server:
        with pytest.raises(Failed, match=f"answered {status}") as failed:
            done(NOTIFY, {"url": server.url, **SAID}, provider=OURS)
        assert len(server.sent) == 1
    assert failed.value.retryable is retryable


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (None, "no secret 'hook' for tasks of the kind any: add it with"),
        ("abc", "begins with whsec_"),
        ("whsec_§", "base64"),
        ("whsec_YQ==", "24 to 64"),
    ],
)
def test_without_a_good_secret_nothing_is_sent(secret: str | None, why: str) -> None:
    with web_server(lambda _: (204, {}, b"")) as server:
        provider = None if secret is None else Provider("webhook", None, secret)
        with pytest.raises(Failed, match=why) as failed:
            done(NOTIFY, {"url": server.url, **SAID}, provider=provider)
        assert server.sent == []
    assert not failed.value.retryable
