"""The environment tells handlers what they may reach, what they send e-mails with, and where vectors are kept."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from infra.qdrant.vectors import QdrantServer
from infra.settings import BadSettings

Networks = Sequence[IPv4Network | IPv6Network]

_SUBMISSION, _IMPLICIT_TLS = 587, 465


def networks(text: str) -> Networks:
    """Read networks and addresses with commas between them. Raises: ValueError."""
    return [ip_network(part.strip()) for part in text.split(",") if part.strip()]


class MailServer(NamedTuple):
    """Where e-mails go, and whom they are from.

    Shape: `tls` says that the connection begins with it; else it changes to TLS where the server can.
    """

    host: str
    port: int
    tls: bool
    sender: str
    user: str | None = None
    password: str | None = None


def mail_server(url: str, sender: str) -> MailServer:
    """Read `smtp://user:password@host:587` or `smtps://…`. Raises: ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("the address of a mail server looks like smtp://user:password@host:587, or smtps://…")
    try:
        Address(addr_spec=sender)
    except (MessageError, ValueError, IndexError) as error:
        raise ValueError(f"{sender!r} is no address that e-mails could be from") from error
    tls = parts.scheme == "smtps"
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return MailServer(
        parts.hostname, parts.port or (_IMPLICIT_TLS if tls else _SUBMISSION), tls, sender, user, password
    )


@dataclass(frozen=True)
class HandlerSettings:
    """Shape: `allowed` are networks that tasks may reach although they are not public; `qdrant` keeps vectors."""

    allowed: Networks = ()
    mail: MailServer | None = field(default=None, repr=False)
    qdrant: QdrantServer | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "HandlerSettings":
        """Read the FACTLINE_… variables of handlers. Raises: BadSettings."""
        try:
            allowed = networks(environment.get("FACTLINE_ALLOW_NETWORKS", ""))
        except ValueError as error:
            raise BadSettings(f"FACTLINE_ALLOW_NETWORKS must look like 10.0.0.0/8,192.168.1.5: {error}") from error
        return cls(allowed, _mail(environment), _qdrant(environment))


def _mail(environment: Mapping[str, str]) -> MailServer | None:
    url, sender = environment.get("FACTLINE_SMTP_URL"), environment.get("FACTLINE_MAIL_FROM")
    if not url:
        return None
    if not sender:
        raise BadSettings("FACTLINE_SMTP_URL is set; say in FACTLINE_MAIL_FROM whom e-mails are from")
    try:
        return mail_server(url, sender)
    except ValueError as error:
        raise BadSettings(f"FACTLINE_SMTP_URL or FACTLINE_MAIL_FROM: {error}") from error


def _qdrant(environment: Mapping[str, str]) -> QdrantServer | None:
    url, key = environment.get("FACTLINE_QDRANT_URL"), environment.get("FACTLINE_QDRANT_API_KEY")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadSettings(f"FACTLINE_QDRANT_URL is {url}; it looks like http://127.0.0.1:6333")
    return QdrantServer(url, key)
