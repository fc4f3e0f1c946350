"""These are the commands, the events, the state and the rules of a tenant."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from domain.given import Given
from domain.identity.api_key import IssueApiKey, Most, RotateApiKey, admit_key
from domain.identity.user import Email, ExpireInvitation
from domain.message import Command, Decider, Event, Personal, classes_of, filled, known, value
from domain.rejection import CommandRejected, conflict, invalid, not_allowed, not_found
from schemas.envelope import SYSTEM_TENANT, StreamId, TenantId
from schemas.values import Id, Name, TenantName, Text

# --- commands


@value
class _OfTenant(Command):
    tenant_id: TenantName

    @property
    def stream(self) -> StreamId:
        return StreamId(f"tenant-{self.tenant_id}")


@value
class RegisterTenant(_OfTenant):
    """Shape: `first_key` is issued, and the owner invited to `owner_email`, in the same transaction."""

    IS_OURS: ClassVar = True
    name: Name
    domain: Name | None = None
    owner_id: Id | None = None
    first_key: IssueApiKey | None = None
    owner_email: Annotated[Email | None, Personal()] = None


@value
class SuspendTenant(_OfTenant):
    IS_OURS: ClassVar = True
    reason: Text


@value
class ReactivateTenant(_OfTenant):
    IS_OURS: ClassVar = True
    reason: Text = ""


@value
class CloseTenant(_OfTenant):
    reason: Text


@value
class SetQuota(_OfTenant):
    """How much a tenant may do, in all, in place of what was set before.

    Shape: what is not said has no limit.
    Units: a day begins with the first event, fact or request of it, and lasts 24 hours.
    """

    IS_OURS: ClassVar = True
    events_per_day: Most | None = None
    facts_per_day: Most | None = None
    live_streams: Most | None = None
    requests_per_minute: Most | None = None
    requests_per_hour: Most | None = None
    requests_per_day: Most | None = None


TenantCommand = RegisterTenant | SuspendTenant | ReactivateTenant | CloseTenant | SetQuota

# --- events


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
class TenantReactivated(Event):
    TYPE: ClassVar = "tenant.reactivated"
    reason: str


@value
class TenantClosed(Event):
    TYPE: ClassVar = "tenant.closed"
    reason: str


@value
class TenantQuotaSet(Event):
    TYPE: ClassVar = "tenant.quota.set"
    events_per_day: int | None
    facts_per_day: int | None
    live_streams: int | None
    requests_per_minute: int | None
    requests_per_hour: int | None
    requests_per_day: int | None


TenantEvent = TenantRegistered | TenantSuspended | TenantReactivated | TenantClosed | TenantQuotaSet

# --- state


class TenantStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


@value
class Tenant:
    name: str
    status: TenantStatus
    quota: TenantQuotaSet | None = None


def evolve_tenant(state: Tenant | None, event: TenantEvent) -> Tenant:
    match event:
        case TenantRegistered():
            return Tenant(name=event.name, status=TenantStatus.ACTIVE)
        case TenantSuspended():
            return replace(known(state), status=TenantStatus.SUSPENDED)
        case TenantReactivated():
            return replace(known(state), status=TenantStatus.ACTIVE)
        case TenantClosed():
            return replace(known(state), status=TenantStatus.CLOSED)
        case TenantQuotaSet():
            return replace(known(state), quota=event)
        case _:
            assert_never(event)


# --- rules


def decide_tenant(command: TenantCommand, state: Tenant | None, _given: Given) -> tuple[TenantEvent, ...]:
    if isinstance(command, RegisterTenant):
        return _register(command, state)
    if state is None:
        raise not_found(f"tenant {command.tenant_id} is not the tenant of this key")
    if isinstance(command, SuspendTenant | CloseTenant) and command.tenant_id == SYSTEM_TENANT:
        raise not_allowed("the operator's own tenant stays active: nobody else could make it active again")
    match command:
        case SuspendTenant():
            return (TenantSuspended(reason=command.reason),) if state.status is TenantStatus.ACTIVE else ()
        case ReactivateTenant():
            if state.status is TenantStatus.CLOSED:
                raise not_allowed(f"tenant {command.tenant_id} is CLOSED, and stays closed")
            return (TenantReactivated(reason=command.reason),) if state.status is TenantStatus.SUSPENDED else ()
        case CloseTenant():
            return () if state.status is TenantStatus.CLOSED else (TenantClosed(reason=command.reason),)
        case SetQuota():
            if command.tenant_id == SYSTEM_TENANT:
                raise not_allowed("the operator's own tenant has no quota: nobody else could set another")
            wanted = filled(TenantQuotaSet, command)
            return () if wanted == (state.quota or _NO_QUOTA) else (wanted,)
        case _:
            assert_never(command)


_NO_QUOTA = TenantQuotaSet(
    events_per_day=None,
    facts_per_day=None,
    live_streams=None,
    requests_per_minute=None,
    requests_per_hour=None,
    requests_per_day=None,
)


def _register(command: RegisterTenant, state: Tenant | None) -> tuple[TenantRegistered]:
    if state is not None and state.status is not TenantStatus.ACTIVE:
        # a key would be of no use to it
        raise not_allowed(f"tenant {command.tenant_id} is registered already, and is {state.status}")
    if state is not None:
        raise conflict(f"tenant {command.tenant_id} is registered already")
    if command.owner_email is not None and "@" in (command.owner_id or ""):
        raise invalid("owner_id may not be an address: it names a stream, where nothing can be erased")
    return (filled(TenantRegistered, command),)


def admit(command: Command, tenant_id: TenantId, tenant: Tenant | None) -> CommandRejected | None:
    """Return why a tenant may not run this command at all, or None."""
    if isinstance(command, RegisterTenant):
        return admit_key(command.first_key, tenant_id) if command.first_key else None
    if tenant is None:
        return not_found("tenant is not known here; register it with `factline tenants add`")
    # time passes for the invitations of a tenant that may do nothing, too
    if isinstance(command, SuspendTenant | ReactivateTenant | SetQuota | ExpireInvitation):
        return None
    if tenant.status is not TenantStatus.ACTIVE:
        return not_allowed(f"tenant is {tenant.status.value}")
    return admit_key(command, tenant_id) if isinstance(command, IssueApiKey | RotateApiKey) else None


TENANT = Decider(
    category="tenant",
    commands=classes_of(TenantCommand),
    events=classes_of(TenantEvent),
    decide=decide_tenant,
    evolve=evolve_tenant,
)
