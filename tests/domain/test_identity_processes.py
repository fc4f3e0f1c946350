"""What the processes of the identity context answer."""

from dataclasses import replace
from datetime import timedelta

from domain.identity.consent import EndConsent
from domain.identity.consent_processes import USER_CONSENTS, UserConsentNoted, UserConsentsEnded
from domain.identity.processes import (
    INVITATION_EXPIRY,
    TENANT_ONBOARDING,
    OnboardingStepDone,
    TenantOnboarded,
)
from domain.identity.user import ExpireInvitation, InviteUser, Role
from domain.process import Ask, Forget, Note, Wait
from tests.examples.identity import (
    CONSENT_GIVEN,
    GIVE_CONSENT,
    INVITATION_EXPIRED,
    INVITATION_WITHDRAWN,
    ISSUE_KEY,
    KEY_ISSUED,
    ONBOARDING_STEP_DONE,
    PASSWORD_SET,
    REGISTER_TENANT,
    TENANT_REGISTERED,
    USER_CONSENT_NOTED,
    USER_CONSENTS_ENDED,
    USER_DISABLED,
    USER_INVITED,
    USER_JOINED,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.given_when_then import Runs

expiry = Runs(INVITATION_EXPIRY, "ann")
consents = Runs(USER_CONSENTS, "ann")
onboarding = Runs(TENANT_ONBOARDING, "acme")

WITH_KEY = replace(REGISTER_TENANT, first_key=ISSUE_KEY)
WITH_BOTH = replace(WITH_KEY, owner_email="ann@acme.example")
INVITE_OWNER = InviteUser(user_id="ann", email="ann@acme.example", roles=(Role.OWNER,))
KEY_ASKED = replace(ASKED, step="first_key", attempt=1)
OWNER_ASKED = replace(ASKED, step="invite_owner", attempt=1, command_id="system 4e4e")
OWNER_JOINED = replace(USER_JOINED, roles=("OWNER",))
OWNER_DONE = OnboardingStepDone(step="invite_owner")


def test_invitation_is_waited_for_until_it_is_over() -> None:
    expiry.when(USER_INVITED).then(Wait("expiry", USER_INVITED.expires_at))


def test_invitation_that_was_accepted_or_ended_is_not_waited_for() -> None:
    for event in (USER_JOINED, INVITATION_WITHDRAWN, INVITATION_EXPIRED):
        expiry.given(TIMER_SET).when(event).then(Forget("expiry"))


def test_invitation_that_is_over_expires() -> None:
    expiry.given(TIMER_SET).when(TIMER_FIRED).then(Ask("expire", ExpireInvitation(user_id="ann")))


def test_expiry_that_was_refused_is_tried_again_later_and_later_and_at_least_daily() -> None:
    for attempt, wait in [(1, timedelta(minutes=2)), (2, timedelta(minutes=4)), (99, timedelta(days=1))]:
        expiry.given(replace(ASKED, attempt=attempt)).when(ANSWERED).then(Wait("expiry", RECORDED_AT + wait))


def test_expiry_that_is_done_is_over() -> None:
    expiry.given(ASKED).when(replace(ANSWERED, outcome="accepted", kind=None, reason=None)).then()


def test_new_tenant_gets_its_first_key_and_its_owner_is_invited() -> None:
    onboarding.when(TENANT_REGISTERED, WITH_BOTH).then(Ask("first_key", ISSUE_KEY), Ask("invite_owner", INVITE_OWNER))
    nameless = replace(WITH_BOTH, owner_id=None)
    onboarding.when(TENANT_REGISTERED, nameless).then(
        Ask("first_key", ISSUE_KEY), Ask("invite_owner", replace(INVITE_OWNER, user_id="owner"))
    )


def test_tenant_that_wants_nothing_is_not_followed() -> None:
    onboarding.when(TENANT_REGISTERED, REGISTER_TENANT).then()
    onboarding.when(KEY_ISSUED).then()


def test_tenant_without_an_owner_is_onboarded_with_its_key() -> None:
    over = TenantOnboarded(steps=("first_key",))
    onboarding.given(KEY_ASKED).when(KEY_ISSUED).then(Note(ONBOARDING_STEP_DONE), Note(over))


def test_tenant_with_an_owner_is_onboarded_when_the_owner_has_joined() -> None:
    asked = (KEY_ASKED, OWNER_ASKED)
    onboarding.given(*asked).when(KEY_ISSUED).then(Note(ONBOARDING_STEP_DONE))
    given = onboarding.given(*asked, ONBOARDING_STEP_DONE)
    given.when(USER_JOINED).then()
    given.when(OWNER_JOINED).then(Note(OWNER_DONE), Note(TenantOnboarded(steps=("first_key", "invite_owner"))))


def test_owner_who_joins_before_there_is_a_key_is_waited_for_no_longer() -> None:
    asked = (KEY_ASKED, OWNER_ASKED)
    onboarding.given(*asked).when(OWNER_JOINED).then(Note(OWNER_DONE))
    over = TenantOnboarded(steps=("invite_owner", "first_key"))
    onboarding.given(*asked, OWNER_DONE).when(KEY_ISSUED).then(Note(ONBOARDING_STEP_DONE), Note(over))


def test_later_keys_and_owners_change_nothing() -> None:
    given = onboarding.given(KEY_ASKED, ONBOARDING_STEP_DONE)
    given.when(KEY_ISSUED).then()
    given.when(OWNER_JOINED).then()


def test_refusal_stays_to_be_seen_and_asks_for_nothing() -> None:
    onboarding.given(KEY_ASKED).when(replace(ANSWERED, step="first_key")).then()


END_C1 = EndConsent(consent_id="c1", reason="the user has a new password")


def test_consents_end_with_the_password_that_they_were_given_with_and_with_their_user() -> None:
    consents.when(CONSENT_GIVEN, GIVE_CONSENT).then(Note(USER_CONSENT_NOTED))
    noted = consents.given(USER_CONSENT_NOTED, replace(USER_CONSENT_NOTED, consent_id="c2"))
    noted.when(PASSWORD_SET).then(
        Ask("end", END_C1), Ask("end", replace(END_C1, consent_id="c2")), Note(USER_CONSENTS_ENDED)
    )
    consents.given(USER_CONSENT_NOTED).when(USER_DISABLED).then(
        Ask("end", replace(END_C1, reason="the user was disabled")),
        Note(UserConsentsEnded(reason="the user was disabled")),
    )


def test_consents_that_are_over_are_forgotten() -> None:
    consents.when(PASSWORD_SET).then()
    consents.given(USER_CONSENT_NOTED, USER_CONSENTS_ENDED).when(PASSWORD_SET).then()
    later = UserConsentNoted(consent_id="c2", expires_at=USER_CONSENT_NOTED.expires_at + timedelta(days=30))
    consents.given(USER_CONSENT_NOTED, later).when(PASSWORD_SET).then(
        Ask("end", replace(END_C1, consent_id="c2")), Note(USER_CONSENTS_ENDED)
    )


def test_consent_that_cannot_be_ended_now_is_ended_later() -> None:
    asked = replace(ASKED, step="end", attempt=1)
    refused = replace(ANSWERED, step="end", stream="consent-c1")
    consents.given(asked).when(refused).then(Wait("c1", RECORDED_AT + timedelta(minutes=2)))
    late = replace(END_C1, reason="the user has a new password, or was disabled")
    consents.given(replace(TIMER_SET, name="c1")).when(replace(TIMER_FIRED, name="c1")).then(Ask("end", late))
    consents.given(asked).when(replace(refused, outcome="accepted", kind=None, reason=None)).then()
