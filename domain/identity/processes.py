"""These are the processes of the identity context: invitations end, and new tenants are made ready."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from domain.backoff import backoff
from domain.identity.api_key import ApiKeyIssued
from domain.identity.tenant import RegisterTenant, TenantRegistered
from domain.identity.user import (
    ExpireInvitation,
    InvitationExpired,
    InvitationWithdrawn,
    InviteUser,
    Role,
    UserInvited,
    UserJoined,
)
from domain.message import Event, value
from domain.process import (
    Action,
    Around,
    Ask,
    Forget,
    Note,
    Process,
    ProcessAnswered,
    ProcessAsked,
    TimerFired,
    Wait,
    same_id,
)
from schemas.envelope import Envelope

# --- an invitation ends when it is over

_EXPIRY, _EXPIRE = "expiry", "expire"
_FIRST_RETRY = timedelta(minutes=2)

_OfInvitation = UserInvited | UserJoined | InvitationWithdrawn | InvitationExpired


def react_invitation_expiry(
    _state: None, event: _OfInvitation | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case UserInvited():
            return [Wait(_EXPIRY, event.expires_at)]
        case UserJoined() | InvitationWithdrawn() | InvitationExpired():
            return [Forget(_EXPIRY)]
        case TimerFired():
            return [Ask(_EXPIRE, ExpireInvitation(user_id=around.id))]
        case ProcessAnswered():
            # the user cannot be read now, or the clock was set back
            again = around.now + backoff(_FIRST_RETRY, around.attempts[_EXPIRE])
            return [Wait(_EXPIRY, again)] if event.refused else []


INVITATION_EXPIRY = Process(
    name="invitation_expiry",
    listens=(UserInvited, UserJoined, InvitationWithdrawn, InvitationExpired),
    route=same_id,
    react=react_invitation_expiry,
)

# --- a tenant is registered, gets its first key, and its owner joins

FIRST_KEY, INVITE_OWNER = "first_key", "invite_owner"

OWNER = "owner"
"""The user id of an owner who was registered without one."""


@value
class OnboardingStepDone(Event):
    TYPE: ClassVar = "onboarding.step.done"
    step: str


@value
class TenantOnboarded(Event):
    """Every step that was wanted is done."""

    TYPE: ClassVar = "tenant.onboarded"
    steps: tuple[str, ...]


@value
class Onboarding:
    wanted: tuple[str, ...] = ()
    done: tuple[str, ...] = ()


def evolve_onboarding(state: Onboarding | None, event: Event) -> Onboarding:
    before = state or Onboarding()
    match event:
        case ProcessAsked() if event.step not in before.wanted:
            return replace(before, wanted=(*before.wanted, event.step))
        case OnboardingStepDone():
            return replace(before, done=(*before.done, event.step))
        case _:
            return before


_OfTenant = TenantRegistered | ApiKeyIssued | UserJoined


def _tenant_of(_event: _OfTenant, envelope: Envelope) -> str:
    return envelope.tenant_id


def react_onboarding(state: Onboarding | None, event: _OfTenant | ProcessAnswered, around: Around) -> Sequence[Action]:
    match event:
        case TenantRegistered():
            return _begin(around)
        case ApiKeyIssued():
            return _done(state, FIRST_KEY)
        case UserJoined():
            return _done(state, INVITE_OWNER) if Role.OWNER in event.roles else []
        case _:
            # a refusal stays visible as the instance's last error: whoever gives a key or invites an owner goes on
            return []


def _begin(around: Around) -> Sequence[Action]:
    """Ask for what the operator wants besides; the hash of a key and an address stand in the command alone."""
    command = around.command
    asked: list[Action] = []
    if isinstance(command, RegisterTenant):
        if command.first_key is not None:
            asked.append(Ask(FIRST_KEY, command.first_key))
        if command.owner_email is not None:
            owner = InviteUser(user_id=command.owner_id or OWNER, email=command.owner_email, roles=(Role.OWNER,))
            asked.append(Ask(INVITE_OWNER, owner))
    return asked


def _done(state: Onboarding | None, step: str) -> Sequence[Action]:
    """Return what follows when a step is done, by this process or by a person."""
    if state is None or step not in state.wanted or step in state.done:
        return []
    done = (*state.done, step)
    is_last = set(done) == set(state.wanted)
    over = [Note(TenantOnboarded(steps=done))] if is_last else []
    return [Note(OnboardingStepDone(step=step)), *over]


TENANT_ONBOARDING = Process(
    name="tenant_onboarding",
    listens=(TenantRegistered, ApiKeyIssued, UserJoined),
    route=_tenant_of,
    events=(OnboardingStepDone, TenantOnboarded),
    evolve=evolve_onboarding,
    react=react_onboarding,
    needs_command=(TenantRegistered,),
)
