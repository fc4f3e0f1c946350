"""An operator brings tenants in, gives them keys, suspends them and makes them active again through this."""

import secrets
from contextlib import suppress
from typing import NamedTuple

from domain import catalog
from domain.identity.api_key import IssueApiKey, RequestLimits, Scope
from domain.identity.processes import FIRST_KEY, TENANT_ONBOARDING
from domain.identity.tenant import ReactivateTenant, RegisterTenant, SetQuota, SuspendTenant
from domain.message import Command
from domain.rejection import Kind
from read_api.edge.auth import secret_sha256
from schemas.envelope import Actor, TenantId
from schemas.key_ids import key_tag
from streams.identifiers import new_id
from streams.intake.http.accepting import Refused, checked
from streams.intake.http.commands import Gate
from streams.intake.live_keys import HasKey
from streams.ports import LogUnavailable, Refusal, Reply, Submission
from streams.write.plan import asked_id
from streams.write.processes import actor_of

EVERYTHING: tuple[Scope, ...] = ("*",)

OWN_HOUSE = RequestLimits(minute=600_000, hour=36_000_000, day=864_000_000)
"""Limits of the keys that a server or its operator makes: ten thousand requests a second, the whole day long."""

_FIRST = "first"
_FIRST_NAME = "first key"
_TRIES = 3


class NewKey(NamedTuple):
    """An API key as its owner gets it, and the command that makes it valid; the secret is in `text` alone."""

    text: str
    command: IssueApiKey


def new_key(
    tenant_id: TenantId,
    scopes: tuple[Scope, ...] = EVERYTHING,
    name: str | None = None,
    *,
    limits: RequestLimits | None = OWN_HOUSE,
    unique: str | None = None,
) -> NewKey:
    """Make a key; its id ends with `unique`, or with something random."""
    key_id, secret = key_tag(tenant_id) + (unique or secrets.token_hex(8)), secrets.token_urlsafe(32)
    command = IssueApiKey(key_id=key_id, secret_sha256=secret_sha256(secret), scopes=scopes, name=name, limits=limits)
    return NewKey(f"ak_{key_id}.sk_{secret}", command)


class Onboarding(NamedTuple):
    """What makes a tenant ready to be used: the commands, in order, and its first API key."""

    submissions: tuple[Submission, ...]
    api_key: str


def onboard(tenant_id: TenantId, name: str, actor: Actor) -> Onboarding:
    key = new_key(tenant_id, name=_FIRST_NAME)
    commands: tuple[Command, ...] = (RegisterTenant(tenant_id=tenant_id, name=name), key.command)
    return Onboarding(tuple(_submission(tenant_id, command, actor) for command in commands), key.text)


class Given(NamedTuple):
    """An API key that is valid now, the reply that made it so, and if its tenant was registered for it."""

    api_key: str
    key_id: str
    reply: Reply
    registered: bool = False


class Owner(NamedTuple):
    """Who owns a tenant; the address is that of an invitation, where there shall be one."""

    owner_id: str | None = None
    owner_email: str | None = None


NO_OWNER = Owner()


class Tenants:
    """What an operator does with tenants, by way of whoever decides commands.

    Raises: Refused; LogUnavailable or Overloaded, safe to retry.
    """

    def __init__(self, gate: Gate, has_key: HasKey) -> None:
        self._gate = gate
        self._has_key = has_key

    async def add(self, tenant_id: TenantId, name: str, actor: Actor, owner: Owner = NO_OWNER) -> Given:
        """Register a tenant, give it its first key and invite its owner, in one transaction of the process.

        Shape: a tenant that was registered before, by an earlier version or without a key, and has none that works,
        gets one; its owner is not invited again.
        """
        # its id is the same each time: of those who take up one onboarding, one gives the first key
        key = new_key(tenant_id, name=_FIRST_NAME, unique=_FIRST)
        command = RegisterTenant(tenant_id=tenant_id, name=name, first_key=key.command, **owner._asdict())
        reply = await self._answered(_submission(tenant_id, command, actor))
        if reply.refusal is None:
            # issued already, and then this is its answer; where the process has failed it is issued now
            issued = await self._accepted(_asked_by_onboarding(tenant_id, key.command))
            return Given(key.text, key.command.key_id, issued, registered=True)
        checked(reply, but=Kind.CONFLICT)
        if await self._has_key(tenant_id):
            raise _has_one(tenant_id)
        reply = await self._answered(_submission(tenant_id, key.command, actor))
        if reply.refusal is None:
            return Given(key.text, key.command.key_id, reply)
        checked(reply, but=Kind.CONFLICT)
        # it was issued before; if it is revoked by now, the tenant may have none
        if await self._has_key(tenant_id, issued=key.command.key_id):
            raise _has_one(tenant_id)
        return await self.give_key(tenant_id, actor)

    async def give_key(
        self,
        tenant_id: TenantId,
        actor: Actor,
        scopes: tuple[Scope, ...] = EVERYTHING,
        name: str | None = None,
        *,
        limits: RequestLimits | None = OWN_HOUSE,
    ) -> Given:
        """Give a tenant one more key."""
        key = new_key(tenant_id, scopes, name, limits=limits)
        reply = await self._accepted(_submission(tenant_id, key.command, actor))
        return Given(key.text, key.command.key_id, reply)

    async def suspend(self, tenant_id: TenantId, reason: str, actor: Actor) -> Reply:
        """Let none of a tenant's keys do anything. Shape: no events where it was not active."""
        command = SuspendTenant(tenant_id=tenant_id, reason=reason)
        return await self._accepted(_submission(tenant_id, command, actor))

    async def reactivate(self, tenant_id: TenantId, reason: str, actor: Actor) -> Reply:
        """Let a suspended tenant's keys work again. Shape: no events where it was active."""
        command = ReactivateTenant(tenant_id=tenant_id, reason=reason)
        return await self._accepted(_submission(tenant_id, command, actor))

    async def set_quota(self, command: SetQuota, actor: Actor) -> Reply:
        """Say how much a tenant may do. Shape: no events where it is what was set before."""
        return await self._accepted(_submission(TenantId(command.tenant_id), command, actor))

    async def _accepted(self, submission: Submission) -> Reply:
        return checked(await self._answered(submission))

    async def _answered(self, submission: Submission) -> Reply:
        """Ask again under the same id where no answer came: a key is told with this answer or never."""
        for _ in range(_TRIES - 1):
            with suppress(LogUnavailable):
                return await self._gate.execute(submission)
        return await self._gate.execute(submission)


def _has_one(tenant_id: TenantId) -> Refused:
    reason = f"tenant {tenant_id} is registered already and has a key; `factline tenants key {tenant_id}` gives another"
    return Refused(Refusal(Kind.CONFLICT, reason))


def _asked_by_onboarding(tenant_id: TenantId, command: IssueApiKey) -> Submission:
    """Return the command as the process asks it, under the same id."""
    stream = TENANT_ONBOARDING.stream(tenant_id)
    asked = asked_id(stream, FIRST_KEY, 1)
    return _submission(tenant_id, command, actor_of(stream))._replace(command_id=asked)


def _submission(tenant_id: TenantId, command: Command, actor: Actor) -> Submission:
    return Submission(new_id(), tenant_id, catalog.name_of(type(command)), command, actor)
