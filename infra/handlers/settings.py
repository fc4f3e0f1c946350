"""The environment tells handlers what they may reach, and what they send e-mails with."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.handlers.mail import MailServer, mail_server
from infra.handlers.outgoing import Networks, networks
from infra.settings import BadSettings


@dataclass(frozen=True)
class HandlerSettings:
    """Shape: `allowed` are networks that tasks may reach although they are not public."""

    allowed: Networks = ()
    mail: MailServer | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "HandlerSettings":
        """Read the FACTLINE_… variables of handlers. Raises: BadSettings."""
        try:
            allowed = networks(environment.get("FACTLINE_ALLOW_NETWORKS", ""))
        except ValueError as error:
            raise BadSettings(f"FACTLINE_ALLOW_NETWORKS must look like 10.0.0.0/8,192.168.1.5: {error}") from error
        return cls(allowed, _mail(environment))


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
