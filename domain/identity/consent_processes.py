"""This process ends the consents of a user who got a new password or was disabled, so that they say it themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from domain.backoff import backoff
from domain.identity.consent import CONSENT_LASTS, ConsentGiven, EndConsent, GiveConsent
from domain.identity.user import PasswordSet, UserDisabled
from domain.message import Event, value
from domain.process import Action, Around, Ask, Note, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope, StreamId, id_of

_END = "end"
_FIRST_RETRY = timedelta(minutes=2)

NEW_PASSWORD, DISABLED = "the user has a new password", "the user was disabled"


@value
class UserConsentNoted(Event):
    TYPE: ClassVar = "user_consent.noted"
    consent_id: str
    expires_at: datetime


@value
class UserConsentsEnded(Event):
    """All consents that were noted so far are ended, or about to be."""

    TYPE: ClassVar = "user_consents.ended"
    reason: str


Open = Mapping[str, datetime]
"""Until when the consents of a user are good, by their ids; some may be ended already."""


def evolve_user_consents(state: Open | None, event: Event) -> Open:
    match event:
        case UserConsentNoted():
            given_at = event.expires_at - CONSENT_LASTS
            good = {id_: until for id_, until in (state or {}).items() if until > given_at}
            return {**good, event.consent_id: event.expires_at}
        case UserConsentsEnded():
            return {}
        case _:
            return state or {}


_OfUser = ConsentGiven | PasswordSet | UserDisabled


def _user_of(event: _OfUser, envelope: Envelope) -> str:
    return event.user_id if isinstance(event, ConsentGiven) else id_of(envelope.stream)


def react_user_consents(
    state: Open | None, event: _OfUser | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case ConsentGiven():
            # the event does not say its own id
            command = around.command
            if not isinstance(command, GiveConsent):
                return []
            return [Note(UserConsentNoted(consent_id=command.consent_id, expires_at=event.expires_at))]
        case PasswordSet() | UserDisabled() if state:
            reason = NEW_PASSWORD if isinstance(event, PasswordSet) else DISABLED
            ends = [Ask(_END, EndConsent(consent_id=consent_id, reason=reason)) for consent_id in state]
            return [*ends, Note(UserConsentsEnded(reason=reason))]
        case ProcessAnswered() if event.refused:
            # the consent cannot be read now, or the tenant is suspended
            return [Wait(id_of(StreamId(event.stream)), around.now + backoff(_FIRST_RETRY, around.attempts[_END]))]
        case TimerFired():
            return [Ask(_END, EndConsent(consent_id=event.name, reason=f"{NEW_PASSWORD}, or was disabled"))]
        case _:
            return []


USER_CONSENTS = Process(
    name="user_consents",
    listens=(ConsentGiven, PasswordSet, UserDisabled),
    route=_user_of,
    events=(UserConsentNoted, UserConsentsEnded),
    evolve=evolve_user_consents,
    react=react_user_consents,
    needs_command=(ConsentGiven,),
)
