"""What an API key is compared with, and what it may do, follows from events and from what is kept apart from them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from domain.identity.api_key import ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated
from domain.identity.tenant import (
    TenantClosed,
    TenantReactivated,
    TenantRegistered,
    TenantStatus,
    TenantSuspended,
)
from projections.fields import id_of, instant_text
from schemas.envelope import Envelope, StreamId, TenantId
from schemas.payload import BadPayload, Encoded

_VERSION_1 = b"\xf1"

VERIFIER, GRANT, REVOKED, STATUS = "verifier", "grant", "revoked", "status"

_STATUS: Mapping[str, TenantStatus] = {
    TenantRegistered.TYPE: TenantStatus.ACTIVE,
    TenantSuspended.TYPE: TenantStatus.SUSPENDED,
    TenantReactivated.TYPE: TenantStatus.ACTIVE,
    TenantClosed.TYPE: TenantStatus.CLOSED,
}

TYPES = frozenset({ApiKeyIssued.TYPE, ApiKeyRotated.TYPE, ApiKeyRevoked.TYPE, *_STATUS})
"""The events that change a credential."""


class Part(NamedTuple):
    """One part of a credential, which replaces the one of the same stream, tenant and name."""

    stream: StreamId
    tenant_id: TenantId
    name: str
    value: bytes


class Credential(NamedTuple):
    """An API key as it is known. Shape: `since` is when it got its secret, an RFC 3339 text, "" where that is lost."""

    tenant_id: TenantId
    key_id: str
    secret_sha256: str
    since: str
    scopes: tuple[str, ...]
    revoked: bool


class Credentials(Protocol):
    """Knows all API keys of the log, and which tenants are active."""

    def find(self, key_id: str) -> Sequence[Credential]:
        """Return the keys of this id, of all tenants: before ids had a tag, several tenants could choose the same.

        Raises: StoreUnavailable, safe to retry.
        """

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Credential]:
        """Return all keys of a tenant, also those that were revoked.

        Raises: StoreUnavailable, safe to retry.
        """

    def tenants(self) -> Mapping[TenantId, str]:
        """Return whether each tenant that is known is ACTIVE, SUSPENDED or CLOSED.

        Raises: StoreUnavailable, safe to retry.
        """

    def status_of(self, tenant_id: TenantId) -> str | None:
        """Return whether a tenant is ACTIVE, SUSPENDED or CLOSED; None for one that is not known.

        Raises: StoreUnavailable, safe to retry.
        """


def parts_of(event: Envelope) -> Sequence[Part]:
    """Return what an event changes.

    Shape: the hash of a secret comes with an event that was decided just now, and is in the payload of the first
    version. Of an event that was read, and has a later version, there is none: its part was written with it.
    """
    if event.type not in TYPES:
        return ()
    if status := _STATUS.get(event.type):
        return (_part(event, STATUS, {"status": status.value}),)
    if event.type == ApiKeyRevoked.TYPE:
        return (_part(event, REVOKED, {}),)
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    digest = apart.get("secret_sha256") or event.data.get("secret_sha256")
    parts = []
    if digest:
        verifier = {"secret_sha256": digest, "since": instant_text(event.happened_at)}
        parts.append(_part(event, VERIFIER, verifier))
    if event.type == ApiKeyIssued.TYPE:
        parts.append(_part(event, GRANT, {"scopes": list(event.data["scopes"])}))
    return parts


def _part(event: Envelope, name: str, value: Mapping[str, Any]) -> Part:
    return Part(event.stream, event.tenant_id, name, _VERSION_1 + orjson.dumps(value))


def credentials_of(parts: Iterable[Part]) -> Sequence[Credential]:
    """Return the keys that parts make up; one that was never issued, or has lost its secret, is none.

    Raises: BadPayload.
    """
    keys: dict[tuple[TenantId, StreamId], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for part in parts:
        keys[part.tenant_id, part.stream][part.name] = _value(part)
    return [
        Credential(
            tenant_id,
            id_of(stream),
            found[VERIFIER]["secret_sha256"],
            found[VERIFIER]["since"],
            tuple(found[GRANT]["scopes"]),
            REVOKED in found,
        )
        for (tenant_id, stream), found in keys.items()
        if VERIFIER in found and GRANT in found
    ]


def status_of(part: Part) -> str:
    """Return the status of a tenant's part. Raises: BadPayload."""
    return str(_value(part)["status"])


def tenant_stream(tenant_id: TenantId) -> StreamId:
    return StreamId(f"tenant-{tenant_id}")


def _value(part: Part) -> Mapping[str, Any]:
    if part.value[:1] != _VERSION_1:
        raise BadPayload(f"a credential of {part.stream} begins with {part.value[:1].hex()}; a newer version wrote it")
    value: Mapping[str, Any] = orjson.loads(part.value[1:])
    return value
