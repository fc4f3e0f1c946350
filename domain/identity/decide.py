"""The rules for tenants and their API keys."""

from typing import assert_never

from domain.identity.commands import (
    CloseTenant,
    IssueApiKey,
    RegisterTenant,
    RevokeApiKey,
    RotateApiKey,
    SuspendTenant,
)
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
from domain.identity.state import ApiKey, Tenant, TenantStatus, evolve_api_key, evolve_tenant
from domain.message import Command, Decider
from domain.rejection import CommandRejected, conflict, not_allowed, not_found

TenantCommand = RegisterTenant | SuspendTenant | CloseTenant
ApiKeyCommand = IssueApiKey | RotateApiKey | RevokeApiKey


def admit(command: Command, tenant: Tenant | None) -> CommandRejected | None:
    """Return why a tenant may not run this command at all, or None."""
    if isinstance(command, RegisterTenant):
        return None
    if tenant is None:
        return not_found("tenant is not known here; register it with `factline tenants add`")
    if tenant.status is not TenantStatus.ACTIVE:
        return not_allowed(f"tenant is {tenant.status.value}")
    return None


def decide_tenant(command: TenantCommand, state: Tenant | None) -> tuple[TenantEvent, ...]:
    if isinstance(command, RegisterTenant):
        if state is not None:
            raise conflict(f"tenant {command.tenant_id} is registered already")
        return (TenantRegistered(name=command.name, domain=command.domain, owner_id=command.owner_id),)
    if state is None:
        raise not_found(f"tenant {command.tenant_id} is not the tenant of this key")
    match command:
        case SuspendTenant():
            return (TenantSuspended(reason=command.reason),) if state.status is TenantStatus.ACTIVE else ()
        case CloseTenant():
            return () if state.status is TenantStatus.CLOSED else (TenantClosed(reason=command.reason),)
        case _:
            assert_never(command)


def decide_api_key(command: ApiKeyCommand, state: ApiKey | None) -> tuple[ApiKeyEvent, ...]:
    if isinstance(command, IssueApiKey):
        if state is not None:
            raise conflict(f"api key {command.key_id} is issued already")
        return (
            ApiKeyIssued(
                key_id=command.key_id,
                prefix=f"ak_{command.key_id}",
                secret_sha256=command.secret_sha256,
                scopes=command.scopes,
                name=command.name,
            ),
        )
    if state is None:
        raise not_found(f"api key {command.key_id} is not known")
    match command:
        case RotateApiKey():
            if state.revoked:
                raise not_allowed(f"api key {command.key_id} is revoked")
            return (ApiKeyRotated(key_id=command.key_id, secret_sha256=command.secret_sha256),)
        case RevokeApiKey():
            return () if state.revoked else (ApiKeyRevoked(key_id=command.key_id, reason=command.reason),)
        case _:
            assert_never(command)


TENANT = Decider(
    category="tenant",
    commands=(RegisterTenant, SuspendTenant, CloseTenant),
    events=(TenantRegistered, TenantSuspended, TenantClosed),
    decide=decide_tenant,
    evolve=evolve_tenant,
)
API_KEY = Decider(
    category="api_key",
    commands=(IssueApiKey, RotateApiKey, RevokeApiKey),
    events=(ApiKeyIssued, ApiKeyRotated, ApiKeyRevoked),
    decide=decide_api_key,
    evolve=evolve_api_key,
)
