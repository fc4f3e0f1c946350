"""What is known of a tenant and of an API key, folded from their events."""

from dataclasses import replace
from enum import StrEnum
from typing import assert_never

from domain.identity.events import (
    ApiKeyEvent,
    ApiKeyIssued,
    ApiKeyRevoked,
    ApiKeyRotated,
    TenantClosed,
    TenantEvent,
    TenantRegistered,
    TenantSuspended,
)
from domain.message import known, value


class TenantStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


@value
class Tenant:
    name: str
    status: TenantStatus


@value
class ApiKey:
    secret_sha256: str
    scopes: tuple[str, ...]
    revoked: bool


def evolve_tenant(state: Tenant | None, event: TenantEvent) -> Tenant:
    match event:
        case TenantRegistered():
            return Tenant(name=event.name, status=TenantStatus.ACTIVE)
        case TenantSuspended():
            return replace(known(state), status=TenantStatus.SUSPENDED)
        case TenantClosed():
            return replace(known(state), status=TenantStatus.CLOSED)
        case _:
            assert_never(event)


def evolve_api_key(state: ApiKey | None, event: ApiKeyEvent) -> ApiKey:
    match event:
        case ApiKeyIssued():
            return ApiKey(secret_sha256=event.secret_sha256, scopes=event.scopes, revoked=False)
        case ApiKeyRotated():
            return replace(known(state), secret_sha256=event.secret_sha256)
        case ApiKeyRevoked():
            return replace(known(state), revoked=True)
        case _:
            assert_never(event)
