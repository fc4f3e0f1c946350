"""An operator brings tenants in, gives them keys, suspends them and makes them active again through this."""

import secrets
from contextlib import suppress
from typing import NamedTuple

from uuid_utils import uuid7

from domain import catalog
from domain.identity.api_key import IssueApiKey, Scope
from domain.identity.tenant import ReactivateTenant, RegisterTenant, SuspendTenant
from domain.message import Command
from read_api.edge.auth import secret_sha256
from schemas.envelope import Actor, TenantId
from streams.intake.http.commands import Gate
from streams.ports import LogUnavailable, Refusal, Reply, Submission

EVERYTHING: tuple[Scope, ...] = ("*",)

_TRIES = 3


class Refused(Exception):  # noqa: N818
    """A rule refused what was asked for; nothing more was done."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class NewKey(NamedTuple):
    """An API key as its owner gets it, and the command that makes it valid; the secret is in `text` alone."""

    text: str
    command: IssueApiKey


def new_key(scopes: tuple[Scope, ...] = EVERYTHING, name: str | None = None) -> NewKey:
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    command = IssueApiKey(key_id=key_id, secret_sha256=secret_sha256(secret), scopes=scopes, name=name)
    return NewKey(f"ak_{key_id}.sk_{secret}", command)


class Onboarding(NamedTuple):
    """What makes a tenant ready to be used: the commands, in order, and its first API key."""

    submissions: tuple[Submission, ...]
    api_key: str


def onboard(tenant_id: TenantId, name: str, actor: Actor) -> Onboarding:
    key = new_key(name="first key")
    commands: tuple[Command, ...] = (RegisterTenant(tenant_id=tenant_id, name=name), key.command)
    return Onboarding(tuple(_submission(tenant_id, command, actor) for command in commands), key.text)


class Given(NamedTuple):
    """An API key that is valid now, and where its event is."""

    api_key: str
    reply: Reply


class Tenants:
    """What an operator does with tenants, by way of whoever decides commands.

    Raises: Refused; LogUnavailable or Overloaded, safe to retry.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def add(self, tenant_id: TenantId, name: str, actor: Actor) -> Given:
        """Register a tenant and give it its first key."""
        onboarding = onboard(tenant_id, name, actor)
        replies = [await self._accepted(submission) for submission in onboarding.submissions]
        return Given(onboarding.api_key, replies[-1])

    async def suspend(self, tenant_id: TenantId, reason: str, actor: Actor) -> Reply:
        """Let none of a tenant's keys do anything. Shape: no events where it was not active."""
        command = SuspendTenant(tenant_id=tenant_id, reason=reason)
        return await self._accepted(_submission(tenant_id, command, actor))

    async def reactivate(self, tenant_id: TenantId, reason: str, actor: Actor) -> Reply:
        """Let a suspended tenant's keys work again. Shape: no events where it was active."""
        command = ReactivateTenant(tenant_id=tenant_id, reason=reason)
        return await self._accepted(_submission(tenant_id, command, actor))

    async def _accepted(self, submission: Submission) -> Reply:
        reply = await self._answered(submission)
        if reply.refusal is not None:
            raise Refused(reply.refusal)
        return reply

    async def _answered(self, submission: Submission) -> Reply:
        """Ask again under the same id where no answer came: a key is told with this answer or never."""
        for _ in range(_TRIES - 1):
            with suppress(LogUnavailable):
                return await self._gate.execute(submission)
        return await self._gate.execute(submission)


def _submission(tenant_id: TenantId, command: Command, actor: Actor) -> Submission:
    return Submission(str(uuid7()), tenant_id, catalog.name_of(type(command)), command, actor)
