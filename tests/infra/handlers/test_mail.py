"""An e-mail goes to a real SMTP server, and what that refuses is said."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from factline.worker import Failed
from infra.handlers.mail import notify_email
from infra.handlers.settings import MailServer, mail_server
from tests.infra.handlers.kit import LOCAL, done
from tests.tour import free_port

SAID = {"to": ["eva@example.com"], "subject": "Überfällig", "text": "Die Rechnung 7 ist fällig."}


class _Inbox:
    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - the library calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        if address.startswith("full"):
            return "452 mailbox is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(envelope)
        return "250 OK"


def _login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
    return AuthResult(success=given == LoginPassword(b"it", b"p/w"), handled=False)


@pytest.fixture
def inbox() -> Iterator[tuple[_Inbox, int]]:
    inbox = _Inbox()
    port = free_port()  # the library wants to know it before it listens
    controller = Controller(inbox, hostname="127.0.0.1", port=port, authenticator=_login, auth_require_tls=False)
    controller.start()
    try:
        yield inbox, port
    finally:
        controller.stop()


def server_at(port: int, password: str = "p%2Fw") -> MailServer:
    return mail_server(f"smtp://it:{password}@127.0.0.1:{port}", "it@example.com")


def test_email_is_taken_by_the_server(inbox: tuple[_Inbox, int]) -> None:
    box, port = inbox
    said = {**SAID, "html": "<p>Die Rechnung 7</p>", "reply_to": "ann@example.com"}
    output = done(notify_email(server_at(port), LOCAL), said, task_id="t1")
    [taken] = box.taken
    assert (taken.mail_from, taken.rcpt_tos) == ("it@example.com", ["eva@example.com"])
    assert isinstance(taken.content, bytes)
    message = message_from_bytes(taken.content, policy=policy.default)
    assert (message["Subject"], message["Reply-To"]) == ("Überfällig", "ann@example.com")
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Die Rechnung 7 ist fällig."
    # the same task gives the same id: an e-mail that was sent twice can be known
    assert output == {"message_id": message["Message-ID"], "refused": {}}
    assert output["message_id"] == "<7431@example.com>"


def test_recipient_who_is_refused_is_said_and_the_others_get_it(inbox: tuple[_Inbox, int]) -> None:
    box, port = inbox
    output = done(notify_email(server_at(port), LOCAL), {**SAID, "to": ["eva@example.com", "nobody@example.com"]})
    assert output["refused"] == {"nobody@example.com": "no such mailbox"}
    assert [taken.rcpt_tos for taken in box.taken] == [["eva@example.com"]]


@pytest.mark.parametrize(("to", "retryable"), [("nobody@example.com", False), ("full@example.com", True)])
def test_email_that_nobody_gets_fails(inbox: tuple[_Inbox, int], to: str, *, retryable: bool) -> None:
    with pytest.raises(Failed, match=to) as failed:
        done(notify_email(server_at(inbox[1]), LOCAL), {**SAID, "to": [to]})
    assert failed.value.retryable is retryable


def test_wrong_password_fails_without_saying_it(inbox: tuple[_Inbox, int]) -> None:
    with pytest.raises(Failed, match="535") as failed:
        done(notify_email(server_at(inbox[1], "wrong"), LOCAL), SAID)
    assert not failed.value.retryable
    assert "wrong" not in str(failed.value)


def test_server_that_is_not_there_may_be_tried_again() -> None:
    with pytest.raises(Failed, match=r"127\.0\.0\.1:1") as failed:
        done(notify_email(server_at(1), LOCAL), SAID)
    assert failed.value.retryable


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"subject": "a\r\nBcc: x@example.com"}, "input.subject"),
        ({"to": ["a@example.com, b@example.com"]}, "input.to.0"),
        ({"to": []}, "input.to"),
    ],
)
def test_input_that_would_say_more_than_it_may_is_refused(change: Any, why: str) -> None:
    with pytest.raises(Failed, match=why):
        done(notify_email(server_at(1), LOCAL), {**SAID, **change})


def test_worker_without_a_mail_server_says_what_to_set() -> None:
    with pytest.raises(Failed, match="FACTLINE_SMTP_URL") as failed:
        done(notify_email(None, LOCAL), SAID)
    assert not failed.value.retryable


@pytest.mark.parametrize(("url", "sender"), [("http://mail", "a@b.example"), ("smtp://mail", "no address")])
def test_mail_server_that_cannot_be_is_refused(url: str, sender: str) -> None:
    with pytest.raises(ValueError, match="mail"):
        mail_server(url, sender)
