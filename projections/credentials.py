"""Who may ask, and as whom, follows from events and from what is kept apart from them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from domain.automation.provider_key import ProviderKeyAdded, ProviderKeyRevoked, ProviderKeyRotated
from domain.identity.api_key import ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated
from domain.identity.issuer import IssuerDistrusted, IssuerTrusted
from domain.identity.tenant import (
    TenantClosed,
    TenantQuotaSet,
    TenantReactivated,
    TenantRegistered,
    TenantStatus,
    TenantSuspended,
)
from domain.integration.webhook_endpoint import (
    WebhookChanged,
    WebhookRegistered,
    WebhookRemoved,
    WebhookSecretRotated,
)
from domain.operations.delivery import DELIVER
from projections import connectors, consents, own_issuer, sign_in
from projections.fields import instant_text
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, id_of
from schemas.payload import BadPayload, Encoded

_VERSION_1 = b"\xf1"
_FIRST_WITH_LIMITS = 3
"""The version of api_key.issued that may state limits."""

VERIFIER, GRANT, REVOKED, STATUS, QUOTA = "verifier", "grant", "revoked", "status", "quota"
TRUST = "trust"
USE, SECRET = "use", "secret"
"""The parts of a provider key: what it is for, and its secret, which is sealed."""
MAKER = "maker"
"""The part of a webhook endpoint, beside those of a provider key, that says whose rights it has."""

_STATUS: Mapping[str, TenantStatus] = {
    TenantRegistered.TYPE: TenantStatus.ACTIVE,
    TenantSuspended.TYPE: TenantStatus.SUSPENDED,
    TenantReactivated.TYPE: TenantStatus.ACTIVE,
    TenantClosed.TYPE: TenantStatus.CLOSED,
}

_SAYS_ALL: Mapping[str, str] = {TenantQuotaSet.TYPE: QUOTA, IssuerTrusted.TYPE: TRUST}
"""The parts whose value is the payload of an event."""

_ENDS: Mapping[str, str] = {
    ApiKeyRevoked.TYPE: REVOKED,
    IssuerDistrusted.TYPE: TRUST,
    ProviderKeyRevoked.TYPE: SECRET,
    WebhookRemoved.TYPE: SECRET,
}
"""The parts that an event leaves empty."""

TYPES = frozenset(
    {
        ApiKeyIssued.TYPE,
        ApiKeyRotated.TYPE,
        ApiKeyRevoked.TYPE,
        IssuerTrusted.TYPE,
        IssuerDistrusted.TYPE,
        ProviderKeyAdded.TYPE,
        ProviderKeyRotated.TYPE,
        ProviderKeyRevoked.TYPE,
        TenantQuotaSet.TYPE,
        WebhookRegistered.TYPE,
        WebhookChanged.TYPE,
        WebhookSecretRotated.TYPE,
        WebhookRemoved.TYPE,
        *_STATUS,
        *sign_in.TYPES,
        *own_issuer.TYPES,
        *consents.TYPES,
        *connectors.TYPES,
    }
)
"""The events that change a credential."""


class Part(NamedTuple):
    """One part of a credential, which replaces the one of the same stream, tenant and name."""

    stream: StreamId
    tenant_id: TenantId
    name: str
    value: bytes


class RateLimits(NamedTuple):
    """How many requests may come in each window. Shape: None where nothing is said of it."""

    minute: int | None = None
    hour: int | None = None
    day: int | None = None


class Quota(NamedTuple):
    """How much a tenant may do, in all. Shape: None where it may do as much as it likes."""

    events_per_day: int | None = None
    facts_per_day: int | None = None
    live_streams: int | None = None
    requests: RateLimits = RateLimits()


NO_QUOTA = Quota()


class Credential(NamedTuple):
    """An API key as it is known.

    Shape: `since` is when it got its secret, an RFC 3339 text, "" where that is lost. `limits` is None for a key that
    was issued before keys had limits.
    """

    tenant_id: TenantId
    key_id: str
    secret_sha256: str
    since: str
    scopes: tuple[str, ...]
    revoked: bool
    limits: RateLimits | None = None


class TrustedIssuer(NamedTuple):
    """An issuer whose tokens a tenant takes, and the keys to check them with, or the address of these.

    Shape: `keys` are public keys as a JWKS has them, in JSON.
    """

    tenant_id: TenantId
    id: str
    issuer: str
    audiences: tuple[str, ...]
    jwks_uri: str | None
    keys: bytes


class ProviderSecret(NamedTuple):
    """A secret for a service outside, sealed, and the kinds of tasks that may have it."""

    provider: str
    kinds: tuple[str, ...]
    base_url: str | None
    sealed: str


class Credentials(Protocol):
    """Knows all API keys, trusted issuers, users and sessions of the log, and which tenants are active."""

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

    def issuers(self, tenant_id: TenantId) -> Sequence[TrustedIssuer]:
        """Return the issuers that a tenant trusts now.

        Raises: StoreUnavailable, safe to retry.
        """

    def sign_in_providers(self, tenant_id: TenantId) -> Sequence[sign_in.Provider]:
        """Return the providers through which people of a tenant sign in now.

        Raises: StoreUnavailable, safe to retry.
        """

    def of_stream(self, tenant_id: TenantId, stream: StreamId) -> Sequence[Part]:
        """Return the parts of one stream of a tenant, as that of a user or a session.

        Raises: StoreUnavailable, safe to retry.
        """

    def status_of(self, tenant_id: TenantId) -> str | None:
        """Return whether a tenant is ACTIVE, SUSPENDED or CLOSED; None for one that is not known.

        Raises: StoreUnavailable, safe to retry.
        """

    def quota_of(self, tenant_id: TenantId) -> Quota:
        """Return how much a tenant may do, NO_QUOTA where nothing was set.

        Raises: StoreUnavailable, safe to retry.
        """


def parts_of(event: Envelope) -> Sequence[Part]:
    """Return what an event changes.

    Shape: the hash of a secret comes with an event that was decided just now, and is in the payload of the first
    version. Of an event that was read, and has a later version, there is none: its part was written with it.
    """
    if event.type not in TYPES:
        return ()
    if event.type in sign_in.TYPES:
        return _parts_of_sign_in(event)
    for said in (own_issuer, consents, connectors):
        if event.type in said.TYPES:
            return [_part(event, name, value) for name, value in said.changes(event).items()]
    if status := _STATUS.get(event.type):
        return (_part(event, STATUS, {"status": status.value}),)
    if name := _SAYS_ALL.get(event.type):
        return (_part(event, name, event.data),)
    if name := _ENDS.get(event.type):
        return (_part(event, name, {}),)
    if event.type in {ProviderKeyAdded.TYPE, ProviderKeyRotated.TYPE}:
        return _parts_of_provider_key(event)
    if event.type in {WebhookRegistered.TYPE, WebhookChanged.TYPE, WebhookSecretRotated.TYPE}:
        return _parts_of_webhook(event)
    return _parts_of_key(event)


def _parts_of_sign_in(event: Envelope) -> Sequence[Part]:
    parts = [_part(event, name, value) for name, value in sign_in.changes(event).items()]
    if identity := sign_in.linked(event):
        # a sign-in brings the identity, and looks for the user
        whose = _part(event, sign_in.LINKED, {"user_id": id_of(event.stream)})
        parts.append(whose._replace(stream=sign_in.identity_stream(identity)))
    return parts


def _parts_of_key(event: Envelope) -> Sequence[Part]:
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    digest = apart.get("secret_sha256") or event.data.get("secret_sha256")
    parts = []
    if digest:
        verifier = {"secret_sha256": digest, "since": instant_text(event.happened_at)}
        parts.append(_part(event, VERIFIER, verifier))
    if event.type == ApiKeyIssued.TYPE:
        grant: dict[str, Any] = {"scopes": list(event.data["scopes"])}
        if event.schema_version >= _FIRST_WITH_LIMITS:
            grant["limits"] = event.data["limits"] or {}
        parts.append(_part(event, GRANT, grant))
    return parts


def _parts_of_provider_key(event: Envelope) -> Sequence[Part]:
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    parts = []
    if event.type == ProviderKeyAdded.TYPE:
        parts.append(_part(event, USE, {name: event.data[name] for name in ("provider", "kinds", "base_url")}))
    if sealed := apart.get("sealed"):
        parts.append(_part(event, SECRET, {"sealed": sealed}))
    return parts


def _parts_of_webhook(event: Envelope) -> Sequence[Part]:
    # whoever says where it sends to, or knows its newest secret, answers for what it may send
    parts = [_part(event, MAKER, {"type": event.actor.type.value, "id": event.actor.id})]
    if event.type != WebhookSecretRotated.TYPE:
        url = event.data["url"]
        parts.append(_part(event, USE, {"provider": "webhook", "kinds": [DELIVER], "base_url": url}))
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    if sealed := apart.get("sealed"):
        parts.append(_part(event, SECRET, {"sealed": sealed}))
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
            RateLimits(**found[GRANT]["limits"]) if "limits" in found[GRANT] else None,
        )
        for (tenant_id, stream), found in keys.items()
        if VERIFIER in found and GRANT in found
    ]


def issuers_of(parts: Iterable[Part]) -> Sequence[TrustedIssuer]:
    """Return the issuers that parts make up, in the order of their ids. Raises: BadPayload."""
    found = []
    for part in parts:
        if part.name == TRUST and (of := _value(part)):
            named = (of["issuer"], tuple(of["audiences"]), of["jwks_uri"], orjson.dumps(of["keys"]))
            found.append(TrustedIssuer(part.tenant_id, id_of(part.stream), *named))
    return sorted(found)


def sign_in_providers_of(parts: Iterable[Part]) -> Sequence[sign_in.Provider]:
    """Return the providers of one tenant that parts make up, in the order of their ids. Raises: BadPayload."""
    streams: dict[StreamId, list[Part]] = defaultdict(list)
    for part in parts:
        streams[part.stream].append(part)
    found = (sign_in.provider_of(id_of(stream), values_of(of)) for stream, of in streams.items())
    return sorted(provider for provider in found if provider is not None)


def provider_secret_of(parts: Iterable[Part]) -> ProviderSecret | None:
    """Return the secret that the parts of one stream make up, None where there is none. Raises: BadPayload."""
    found = {part.name: _value(part) for part in parts}
    use, secret = found.get(USE), found.get(SECRET)
    return (
        ProviderSecret(use["provider"], tuple(use["kinds"]), use["base_url"], secret["sealed"])
        if use and secret
        else None
    )


def maker_of(parts: Iterable[Part]) -> Actor | None:
    """Return whose rights the webhook endpoint of these parts has. Raises: BadPayload."""
    found = next((_value(part) for part in parts if part.name == MAKER), None)
    return Actor(ActorType(found["type"]), found["id"]) if found else None


def values_of(parts: Iterable[Part]) -> sign_in.Parts:
    """Return what the parts of one stream say, by their names. Raises: BadPayload."""
    return {part.name: _value(part) for part in parts}


def status_of(part: Part) -> str:
    """Return the status of a tenant's part. Raises: BadPayload."""
    return str(_value(part)["status"])


def quota_of(part: Part) -> Quota:
    """Return the quota of a tenant's part. Raises: BadPayload."""
    found = _value(part)
    requests = RateLimits(*(found[f"requests_per_{window}"] for window in RateLimits._fields))
    return Quota(found["events_per_day"], found["facts_per_day"], found["live_streams"], requests)


def tenant_stream(tenant_id: TenantId) -> StreamId:
    return StreamId(f"tenant-{tenant_id}")


def _value(part: Part) -> Mapping[str, Any]:
    if part.value[:1] != _VERSION_1:
        raise BadPayload(f"a credential of {part.stream} begins with {part.value[:1].hex()}; a newer version wrote it")
    value: Mapping[str, Any] = orjson.loads(part.value[1:])
    return value
