"""What a tenant's own tokens are signed with, and which programs get them, follows from these events."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from domain.identity.client import (
    ClientKind,
    ClientRegistered,
    ClientRevoked,
    ClientSecretEnded,
    ClientSecretRotated,
)
from domain.identity.signing_key import SigningKeyRotated
from projections.fields import instant_text
from projections.sign_in import NOTHING, Parts
from schemas.envelope import Envelope, StreamId, TenantId
from schemas.payload import Encoded

ACCESS_LASTS = timedelta(minutes=10)
"""How long an access token is good."""

OVERLAP = timedelta(minutes=15)
"""How long a signing key still counts that another one took the place of: longer than the last token that it signed."""

AUDIENCE = "factline"
"""What these tokens have as `aud`: they are for this API."""

PRIVATE, CLIENT = "private", "client"
_KEY = "key."
_SECRETS = ("secret.0", "secret.1")
"""Two places. The first secret of a client is in its first part, and this counts where there is one in its place."""

TYPES = frozenset(
    event.TYPE for event in (SigningKeyRotated, ClientRegistered, ClientRevoked, ClientSecretRotated, ClientSecretEnded)
)


class SigningKey(NamedTuple):
    """The public part of a key of ES256, by which tokens are known that this server gave for the tenant."""

    number: int
    kid: str
    x: str
    y: str
    made_at: datetime

    @property
    def jwk(self) -> Mapping[str, str]:
        """Return the key as a JWKS has it. Source: RFC 7517."""
        return {"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y, "kid": self.kid, "alg": "ES256", "use": "sig"}


class PrivateKey(NamedTuple):
    """The private part of the key that is signed with now, sealed."""

    kid: str
    sealed: str


class OwnClient(NamedTuple):
    """A program that may ask for tokens. Shape: there are two secrets while one takes the place of the other."""

    name: str
    is_public: bool
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    secrets_sha256: tuple[str, ...]


def signing_key_stream(tenant_id: TenantId) -> StreamId:
    return StreamId(f"signing_key-{tenant_id}")


def client_stream(client_id: str) -> StreamId:
    return StreamId(f"client-{client_id}")


def changes(event: Envelope) -> Parts:
    """Return the parts that an event changes; what is kept apart from it comes with one that was just decided."""
    data, apart = event.data, event.data.apart if isinstance(event.data, Encoded) else {}
    match event.type:
        case SigningKeyRotated.TYPE:
            return _signing_key(event, data, apart)
        case ClientRegistered.TYPE:
            said = {name: data[name] for name in ("name", "kind", "redirect_uris", "scopes")}
            return {CLIENT: {**said, "secret_sha256": apart.get("secret_sha256")}}
        case ClientSecretRotated.TYPE:
            digest = apart.get("secret_sha256")
            return {_SECRETS[data["place"]]: {"secret_sha256": digest}} if digest else {}
        case ClientSecretEnded.TYPE:
            return {_SECRETS[data["place"]]: NOTHING}
        case _:
            return {CLIENT: NOTHING, **dict.fromkeys(_SECRETS, NOTHING)}


def _signing_key(event: Envelope, data: Mapping[str, Any], apart: Mapping[str, Any]) -> Parts:
    public: dict[str, Any] = {name: data[name] for name in ("number", "kid", "x", "y")}
    public["made_at"] = instant_text(event.happened_at)
    # the private part replaces that of the key before, which nobody needs any more
    private = {PRIVATE: {"kid": data["kid"], "sealed": apart["sealed"]}} if apart.get("sealed") else {}
    return {f"{_KEY}{data['kid']}": public, **private}


def signing_keys_of(parts: Parts, now: datetime) -> Sequence[SigningKey]:
    """Return the keys that good tokens may be signed with: the newest, which signs, is last."""
    keys = sorted(
        SigningKey(found["number"], found["kid"], found["x"], found["y"], datetime.fromisoformat(found["made_at"]))
        for name, found in parts.items()
        if name.startswith(_KEY)
    )
    replaced = [key for key, next_ in pairwise(keys) if now < next_.made_at + OVERLAP]
    return [*replaced, *keys[-1:]]


def private_key_of(parts: Parts) -> PrivateKey | None:
    found = parts.get(PRIVATE)
    return PrivateKey(found["kid"], found["sealed"]) if found else None


def client_of(parts: Parts) -> OwnClient | None:
    """Return the client of a stream, None where there is none, or not any more."""
    if not (found := parts.get(CLIENT)):
        return None
    is_public = found["kind"] == ClientKind.PUBLIC
    first, second = _SECRETS
    kept = (parts.get(first, found).get("secret_sha256"), parts.get(second, NOTHING).get("secret_sha256"))
    digests = tuple(digest for digest in kept if digest)
    return OwnClient(found["name"], is_public, tuple(found["redirect_uris"]), tuple(found["scopes"]), digests)
