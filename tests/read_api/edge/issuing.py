"""An issuer with keys of its own, who signs what a test says."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from projections.credentials import NO_QUOTA, Credential, Part, Quota, TrustedIssuer
from projections.sign_in import Provider
from schemas.envelope import StreamId, TenantId

ISSUER, AUDIENCE = "https://id.acme.example/realms/acme", "factline"
ACME = TenantId("acme")

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})


def public(*keys: RSAKey | ECKey) -> list[dict[str, Any]]:
    return [{**key.as_dict(private=False), "use": "sig"} for key in keys]


def claims(**changed: Any) -> dict[str, Any]:
    """Return good claims, changed; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "tenant_id": ACME,
        "roles": ["USER"],
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def token(
    said: Mapping[str, Any] | None = None, *, key: RSAKey | ECKey = RSA, alg: str | None = None, **header: Any
) -> str:
    alg = alg or ("RS256" if isinstance(key, RSAKey) else "ES256")
    head = {"alg": alg, "kid": key.kid, "typ": "JWT", **header}
    head = {name: value for name, value in head.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    registry.max_header_length = 4_096
    return jws.serialize_compact(head, orjson.dumps(said or claims()), key, algorithms=[alg], registry=registry)


class Trusting:
    """Credentials of tenants that trust issuers, and have no keys."""

    def __init__(self, *issuers: TrustedIssuer) -> None:
        self.trusted = list(issuers)

    def find(self, key_id: str) -> Sequence[Credential]:
        del key_id
        return ()

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Credential]:
        del tenant_id
        return ()

    def tenants(self) -> Mapping[TenantId, str]:
        return {one.tenant_id: "ACTIVE" for one in self.trusted}

    def issuers(self, tenant_id: TenantId) -> Sequence[TrustedIssuer]:
        return [one for one in self.trusted if one.tenant_id == tenant_id]

    def sign_in_providers(self, tenant_id: TenantId) -> Sequence[Provider]:
        del tenant_id
        return ()

    def of_stream(self, tenant_id: TenantId, stream: StreamId) -> Sequence[Part]:
        del tenant_id, stream
        return ()

    def status_of(self, tenant_id: TenantId) -> str | None:
        del tenant_id
        return "ACTIVE"

    def quota_of(self, tenant_id: TenantId) -> Quota:
        del tenant_id
        return NO_QUOTA


def trusted(*keys: RSAKey | ECKey, tenant_id: TenantId = ACME, uri: str | None = None, **more: Any) -> TrustedIssuer:
    of = {"id": "keycloak", "issuer": ISSUER, "audiences": (AUDIENCE,), **more}
    return TrustedIssuer(tenant_id, jwks_uri=uri, keys=orjson.dumps(public(*keys)), **of)
