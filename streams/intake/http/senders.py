"""Which system outside sends a body is found out here: by its signature, or by the secret itself."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from fastapi import Request

from domain.integration.connector import connector_stream
from domain.integration.personal import Naming
from projections.connectors import connector_of
from projections.credentials import Credentials, Quota, values_of
from read_api.edge.auth import Unauthenticated
from read_api.edge.credential import BEARER
from read_api.edge.problems import Problem
from schemas.envelope import TenantId
from schemas.standard_webhooks import signature, signing_key
from streams.intake.http.accounts import ACTIVE
from streams.intake.http.bodies import BodyBudget, body_of
from streams.intake.http.passwords import SlowDown
from streams.intake.http.provider_keys import SecretBox, opened

TOLERANCE_S = 300
"""So much may the clocks differ. Source: the libraries of Standard Webhooks."""

MAX_HELD_BYTES = 32 * 1024 * 1024
"""What bodies of systems outside may hold, beside the budget of all others: they are read before they are checked."""

_BODY_S = 30.0
_LONGEST_ID = 256
_MOST_SIGNATURES = 10
_ADDRESS = re.compile(r"([a-z0-9][a-z0-9_-]{0,62})\.([A-Za-z0-9][A-Za-z0-9._:@~-]{0,59})")
# the same for an address that is nobody's, a wrong secret and an old signature
_NOT_RIGHT = "the connector, its secret or signature, or the time of the signature is not right"


def address_of(tenant_id: TenantId, connector_id: str) -> str:
    """Return what names a connector in its path. Shape: the tenant stands in front, because no key says who it is."""
    return f"{tenant_id}.{connector_id}"


class Sender(NamedTuple):
    """A connector whose secret was shown."""

    tenant_id: TenantId
    connector_id: str
    format: str
    secret: str
    quota: Quota
    naming: Naming


class _Signed(NamedTuple):
    message_id: str
    at_s: int
    signatures: tuple[str, ...]


class Senders:
    """Finds out which connector a body comes from. Raises: StoreUnavailable, safe to retry."""

    def __init__(
        self, credentials: Credentials, box: SecretBox, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._credentials = credentials
        self._box = box
        self._now = now
        self._slow_down = SlowDown()
        self._budget = BodyBudget(MAX_HELD_BYTES)

    @asynccontextmanager
    async def sent(self, request: Request, address: str) -> AsyncIterator[tuple[Sender, bytes]]:
        """Lend the body of a request and say who sent it.

        Shape: whose secret is right is never told to wait: a secret cannot be guessed, and nobody shall be able to
        lock a connector out. A body is read where its headers may be right.
        Raises: Unauthenticated; Problem: 429, too many wrong secrets; 408, the body does not come; as `body_of`.
        """
        sender = await self._find(address)
        bearer, signed = _bearer(request), self._signed(request)
        if sender is None or (bearer is None and signed is None):
            raise self._wrong(address)
        if bearer is not None and not hmac.compare_digest(bearer.encode(), sender.secret.encode()):
            raise self._wrong(address)
        limit = asyncio.timeout(_BODY_S)
        try:
            async with limit, body_of(request, self._budget) as body:
                limit.reschedule(None)
                if bearer is None and signed is not None and not _is_right(sender.secret, signed, body):
                    raise self._wrong(address)
                yield sender, body
        except TimeoutError:
            if not limit.expired():
                raise
            raise Problem(408, f"the body did not come within {_BODY_S:g} s; send it again") from None

    def _signed(self, request: Request) -> _Signed | None:
        """Return what the headers of a signature say, None where one is missing, or is of another time."""
        said = [request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
        message_id, at, signatures = said
        if not (0 < len(message_id) <= _LONGEST_ID and re.fullmatch(r"[0-9]{1,12}", at, re.ASCII) and signatures):
            return None
        if abs(self._now().timestamp() - int(at)) > TOLERANCE_S:
            return None
        return _Signed(message_id, int(at), tuple(signatures.split()[:_MOST_SIGNATURES]))

    async def _find(self, address: str) -> Sender | None:
        named = _ADDRESS.fullmatch(address)
        return None if named is None else await asyncio.to_thread(self._known, TenantId(named[1]), named[2])

    def _known(self, tenant_id: TenantId, connector_id: str) -> Sender | None:
        stream = connector_stream(connector_id)
        found = connector_of(values_of(self._credentials.of_stream(tenant_id, stream)))
        if found is None or self._credentials.status_of(tenant_id) != ACTIVE:
            return None
        secret = opened(self._box, tenant_id, stream, found.sealed)
        if secret is None:
            return None
        quota = self._credentials.quota_of(tenant_id)
        return Sender(tenant_id, connector_id, found.format, secret, quota, found.naming)

    def _wrong(self, address: str) -> Problem:
        try:
            self._slow_down.try_once(("connector", address[: 2 * _LONGEST_ID]))
        except Problem as problem:
            return Problem(429, "too many wrong secrets; wait", headers=problem.headers)
        return Unauthenticated(_NOT_RIGHT)


def message_id(request: Request) -> str | None:
    """Return the id that the sender says a message has."""
    return request.headers.get("webhook-id") or None


def _bearer(request: Request) -> str | None:
    header = request.headers.get("Authorization", "")
    return header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER.lower() else None


def _is_right(secret: str, signed: _Signed, body: bytes) -> bool:
    """Tell if one of the signatures is right: while a secret is rotated there may be several."""
    right = signature(signing_key(secret), signed.message_id, signed.at_s, body).encode()
    return any(hmac.compare_digest(right, one.encode()) for one in signed.signatures)
