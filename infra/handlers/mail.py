"""This handler sends an e-mail through the SMTP server that the worker was told."""

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Annotated, Any

import aiosmtplib
from pydantic import Field, StringConstraints

from factline.worker import Failed, Task
from infra.handlers.inputs import Input, checked
from infra.handlers.outgoing import Outgoing, failure_of
from infra.handlers.settings import MailServer
from infra.handlers.web import Handler
from infra.outside import NotAsked

_TIMEOUT_S = 30
_PERMANENT = 500
_UNWELL = (
    aiosmtplib.SMTPConnectError,
    aiosmtplib.SMTPServerDisconnected,
    aiosmtplib.SMTPTimeoutError,
    OSError,
)

_Address = Annotated[str, StringConstraints(max_length=320, pattern=r"^[^@\s<>,;:\"]+@[^@\s<>,;:\"]+$")]


class Email(Input):
    to: Annotated[tuple[_Address, ...], Field(min_length=1, max_length=50)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\r\n]*$")]
    text: Annotated[str, StringConstraints(max_length=60_000)]
    html: Annotated[str, StringConstraints(max_length=60_000)] | None = None
    reply_to: _Address | None = None


def notify_email(server: MailServer | None, outgoing: Outgoing) -> Handler:
    """Return the handler of `notify.email`.

    Shape: the output is {message_id, refused}: who of several was refused by the mail server. The message's id is made
    from that of the task, so that one that was sent twice can be known.
    """

    async def notify(task: Task) -> Any:
        asked = checked(Email, task.input)
        if server is None:
            raise Failed(
                "this worker knows no mail server; set FACTLINE_SMTP_URL and FACTLINE_MAIL_FROM", retryable=False
            )
        message = _message(asked, server, task.id)
        try:
            refused = await _sent(message, asked.to, server, outgoing)
        except NotAsked as error:
            raise failure_of(error, server.host) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            why = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
            raise Failed(f"the mail server takes nothing for {why}", retryable=min(codes) < _PERMANENT) from error
        except aiosmtplib.SMTPResponseException as error:
            raise Failed(
                f"the mail server answered {error.code} {error.message}", retryable=error.code < _PERMANENT
            ) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Failed(f"the mail server {server.host}:{server.port}: {error or type(error).__name__}") from error
        return {"message_id": message["Message-ID"], "refused": {to: said[1] for to, said in refused.items()}}

    return notify


async def _sent(
    message: EmailMessage, to: Sequence[str], server: MailServer, outgoing: Outgoing
) -> Mapping[str, tuple[int, str]]:
    """Send a message and return whom of several it does not reach. Raises: NotAsked; SMTPException; OSError."""
    async with outgoing.calling(server.host, server.port) as call:
        try:
            refused, _ = await aiosmtplib.send(
                message,
                sender=server.sender,
                recipients=list(to),
                hostname=server.host,
                port=server.port,
                use_tls=server.tls,
                username=server.user,
                password=server.password,
                timeout=_TIMEOUT_S,
            )
        except _UNWELL:
            call.unwell = True
            raise
        return refused


def _message(asked: Email, server: MailServer, task_id: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = ", ".join(asked.to)
    message["Subject"] = asked.subject
    message["Message-ID"] = f"<{task_id.encode().hex()}@{server.sender.rpartition('@')[2]}>"
    if asked.reply_to is not None:
        message["Reply-To"] = asked.reply_to
    message.set_content(asked.text)
    if asked.html is not None:
        message.add_alternative(asked.html, subtype="html")
    return message
