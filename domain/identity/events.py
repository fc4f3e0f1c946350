"""What happened to tenants and their API keys."""

from typing import ClassVar

from domain.message import Event, value


@value
class TenantRegistered(Event):
    TYPE: ClassVar = "tenant.registered"
    name: str
    domain: str | None
    owner_id: str | None


@value
class TenantSuspended(Event):
    TYPE: ClassVar = "tenant.suspended"
    reason: str


@value
class TenantClosed(Event):
    TYPE: ClassVar = "tenant.closed"
    reason: str


@value
class ApiKeyIssued(Event):
    TYPE: ClassVar = "api_key.issued"
    key_id: str
    prefix: str
    secret_sha256: str
    scopes: tuple[str, ...]
    name: str | None


@value
class ApiKeyRotated(Event):
    TYPE: ClassVar = "api_key.rotated"
    key_id: str
    secret_sha256: str


@value
class ApiKeyRevoked(Event):
    TYPE: ClassVar = "api_key.revoked"
    key_id: str
    reason: str


TenantEvent = TenantRegistered | TenantSuspended | TenantClosed
ApiKeyEvent = ApiKeyIssued | ApiKeyRotated | ApiKeyRevoked
