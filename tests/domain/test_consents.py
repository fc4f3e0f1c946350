"""The rules for consents."""

from dataclasses import replace
from datetime import datetime

from domain.given import Given
from domain.identity.consent import CODE_LASTS, CONSENT, CONSENT_LASTS
from domain.rejection import Kind
from tests.examples.identity import (
    CODE_REDEEMED,
    CONSENT_ENDED,
    CONSENT_GIVEN,
    END_CONSENT,
    GIVE_CONSENT,
    REDEEM_CODE,
    REFRESH_TOKEN_ROTATED,
    ROTATE_REFRESH_TOKEN,
)
from tests.examples.moments import RECORDED_AT
from tests.given_when_then import GIVEN, Rules

consent = Rules(CONSENT)
A_MOMENT = CODE_LASTS / 1_000


def at(now: datetime) -> Given:
    return GIVEN._replace(now=now)


def test_consent_is_given_once() -> None:
    consent.given().when(GIVE_CONSENT).then(CONSENT_GIVEN)
    consent.given(CONSENT_GIVEN).when(GIVE_CONSENT).then_refused(Kind.CONFLICT, "consent c1 is given already")


def test_code_is_redeemed_once_within_its_minute() -> None:
    end = RECORDED_AT + CODE_LASTS
    consent.given(CONSENT_GIVEN).when(REDEEM_CODE, at(end - A_MOMENT)).then(CODE_REDEEMED)
    consent.given(CONSENT_GIVEN).when(REDEEM_CODE, at(end)).then_refused(
        Kind.NOT_ALLOWED, f"it was good until {end.isoformat()}; the user has to give another consent"
    )
    consent.given(CONSENT_GIVEN, CODE_REDEEMED).when(REDEEM_CODE).then_refused(
        Kind.NOT_ALLOWED, "the code was redeemed already"
    )
    consent.given().when(REDEEM_CODE).then_refused(Kind.NOT_FOUND, "consent c1 is not known")


def test_refresh_tokens_follow_each_other_for_thirty_days() -> None:
    end = RECORDED_AT + CONSENT_LASTS
    redeemed = consent.given(CONSENT_GIVEN, CODE_REDEEMED)
    redeemed.when(ROTATE_REFRESH_TOKEN, at(end - A_MOMENT)).then(REFRESH_TOKEN_ROTATED)
    third = replace(REFRESH_TOKEN_ROTATED, number=3)
    consent.given(CONSENT_GIVEN, CODE_REDEEMED, REFRESH_TOKEN_ROTATED).when(ROTATE_REFRESH_TOKEN).then(third)
    redeemed.when(ROTATE_REFRESH_TOKEN, at(end)).then_refused(
        Kind.NOT_ALLOWED, f"it was good until {end.isoformat()}; the user has to give another consent"
    )
    consent.given(CONSENT_GIVEN).when(ROTATE_REFRESH_TOKEN).then_refused(
        Kind.NOT_ALLOWED, "the code was not redeemed yet, so there is no refresh token"
    )


def test_consent_that_is_ended_gives_nothing_more() -> None:
    consent.given(CONSENT_GIVEN).when(END_CONSENT).then(CONSENT_ENDED)
    consent.given(CONSENT_GIVEN, CONSENT_ENDED).when(END_CONSENT).then_nothing()
    said = "the consent is ended; the user has to give another one"
    consent.given(CONSENT_GIVEN, CONSENT_ENDED).when(REDEEM_CODE).then_refused(Kind.NOT_ALLOWED, said)
    ended = consent.given(CONSENT_GIVEN, CODE_REDEEMED, CONSENT_ENDED)
    ended.when(ROTATE_REFRESH_TOKEN).then_refused(Kind.NOT_ALLOWED, said)
