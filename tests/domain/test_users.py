"""The rules for users: they are invited, and join in time or not."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.identity.user import INVITATION_LASTS, USER, InviteUser, Role
from domain.message import Event, adapter
from domain.rejection import Kind
from tests.examples.identity import (
    ACCEPT_INVITATION,
    CHANGE_ROLE,
    DISABLE_USER,
    EXPIRE_INVITATION,
    INVITATION_EXPIRED,
    INVITATION_WITHDRAWN,
    INVITE_USER,
    OFFER_PASSWORD,
    PASSWORD_OFFERED,
    PASSWORD_SET,
    ROLE_CHANGED,
    SET_PASSWORD,
    USER_DISABLED,
    USER_INVITED,
    USER_JOINED,
    WITHDRAW_INVITATION,
)
from tests.examples.moments import RECORDED_AT
from tests.given_when_then import GIVEN, Rules

user = Rules(USER)
OVER = GIVEN._replace(now=RECORDED_AT + INVITATION_LASTS)
ALMOST = GIVEN._replace(now=OVER.now - timedelta(microseconds=1))
UNTIL = "2026-02-07T08:30:00.250000+00:00"


def test_invitation_lasts_seven_days_where_nobody_says_how_long() -> None:
    user.given().when(INVITE_USER).then(USER_INVITED)


def test_invitation_lasts_as_long_as_was_said() -> None:
    until = RECORDED_AT + timedelta(hours=1)
    user.given().when(replace(INVITE_USER, expires_at=until)).then(replace(USER_INVITED, expires_at=until))


def test_invitation_that_is_over_when_it_is_made_is_refused() -> None:
    user.given().when(replace(INVITE_USER, expires_at=RECORDED_AT)).then_refused(
        Kind.INVALID, f"expires_at must be later than now, {RECORDED_AT.isoformat()}"
    )


def test_invited_user_joins_until_the_last_moment() -> None:
    user.given(USER_INVITED).when(ACCEPT_INVITATION, ALMOST).then(USER_JOINED)


@pytest.mark.parametrize("more", [(), (INVITATION_EXPIRED,)], ids=["not told yet", "told"])
def test_invitation_that_is_over_is_not_accepted_whether_its_process_was_there_or_not(more: tuple[Event, ...]) -> None:
    user.given(USER_INVITED, *more).when(ACCEPT_INVITATION, OVER).then_refused(
        Kind.NOT_ALLOWED, f"the invitation of user ann expired at {UNTIL}; invite them again"
    )


def test_invitation_that_was_withdrawn_is_not_accepted() -> None:
    user.given(USER_INVITED, INVITATION_WITHDRAWN).when(ACCEPT_INVITATION).then_refused(
        Kind.NOT_ALLOWED, "the invitation of user ann was withdrawn"
    )


@pytest.mark.parametrize("ended", [INVITATION_EXPIRED, INVITATION_WITHDRAWN])
def test_user_whose_invitation_ended_is_invited_again_and_joins(ended: Event) -> None:
    user.given(USER_INVITED, ended).when(INVITE_USER).then(USER_INVITED)
    user.given(USER_INVITED, ended, USER_INVITED).when(ACCEPT_INVITATION).then(USER_JOINED)


def test_user_is_invited_again_when_the_invitation_is_over_also_before_its_process_was_there() -> None:
    later = replace(USER_INVITED, expires_at=OVER.now + INVITATION_LASTS)
    user.given(USER_INVITED).when(INVITE_USER, OVER).then(later)


def test_the_same_invitation_again_records_nothing_and_another_one_is_refused() -> None:
    user.given(USER_INVITED).when(INVITE_USER).then_nothing()
    user.given(USER_INVITED).when(replace(INVITE_USER, roles=(Role.OWNER,))).then_refused(
        Kind.CONFLICT, "user ann is invited already; withdraw that invitation first"
    )


def test_user_who_has_joined_is_neither_invited_nor_has_an_invitation() -> None:
    joined = user.given(USER_INVITED, USER_JOINED)
    joined.when(INVITE_USER).then_refused(Kind.CONFLICT, "user ann has joined already")
    joined.when(WITHDRAW_INVITATION).then_refused(Kind.NOT_ALLOWED, "user ann has joined already")
    joined.when(EXPIRE_INVITATION, OVER).then_nothing()
    joined.when(ACCEPT_INVITATION, OVER).then_nothing()


def test_invitation_is_withdrawn_once() -> None:
    user.given(USER_INVITED).when(WITHDRAW_INVITATION).then(INVITATION_WITHDRAWN)
    user.given(USER_INVITED, INVITATION_WITHDRAWN).when(WITHDRAW_INVITATION).then_nothing()


def test_invitation_expires_when_it_is_over_and_not_before() -> None:
    user.given(USER_INVITED).when(EXPIRE_INVITATION, OVER).then(INVITATION_EXPIRED)
    user.given(USER_INVITED, INVITATION_EXPIRED).when(EXPIRE_INVITATION, OVER).then_nothing()
    user.given(USER_INVITED).when(EXPIRE_INVITATION, ALMOST).then_refused(
        Kind.NOT_ALLOWED, f"the invitation of user ann lasts until {UNTIL}"
    )


joined = user.given(USER_INVITED, USER_JOINED)


def test_who_sets_a_password_with_an_invitation_joins() -> None:
    user.given(USER_INVITED).when(SET_PASSWORD).then(USER_JOINED, PASSWORD_SET)
    user.given(USER_INVITED).when(SET_PASSWORD, OVER).then_refused(
        Kind.NOT_ALLOWED, f"the invitation of user ann expired at {UNTIL}; invite them again"
    )


def test_passwords_are_counted_also_over_a_second_invitation() -> None:
    joined.when(SET_PASSWORD).then(PASSWORD_SET)
    second = replace(PASSWORD_SET, number=2)
    again = user.given(USER_INVITED, USER_JOINED, PASSWORD_SET, USER_DISABLED, USER_INVITED)
    again.when(SET_PASSWORD).then(USER_JOINED, second)


def test_password_is_offered_to_who_joined_or_was_invited() -> None:
    joined.when(OFFER_PASSWORD).then(PASSWORD_OFFERED)
    user.given(USER_INVITED).when(OFFER_PASSWORD).then(PASSWORD_OFFERED)
    user.given(USER_INVITED, INVITATION_WITHDRAWN).when(OFFER_PASSWORD).then_refused(
        Kind.NOT_ALLOWED, "user ann has not joined, they are WITHDRAWN"
    )


def test_roles_are_changed_once() -> None:
    joined.when(CHANGE_ROLE).then(ROLE_CHANGED)
    user.given(USER_INVITED, USER_JOINED, ROLE_CHANGED).when(CHANGE_ROLE).then_nothing()
    user.given(USER_INVITED).when(CHANGE_ROLE).then_refused(
        Kind.NOT_ALLOWED, "user ann has not joined, they are INVITED"
    )


def test_disabled_user_does_nothing_until_they_are_invited_again() -> None:
    joined.when(DISABLE_USER).then(USER_DISABLED)
    disabled = user.given(USER_INVITED, USER_JOINED, USER_DISABLED)
    disabled.when(DISABLE_USER).then_nothing()
    disabled.when(CHANGE_ROLE).then_refused(Kind.NOT_ALLOWED, "user ann has not joined, they are DISABLED")
    disabled.when(SET_PASSWORD).then_refused(Kind.NOT_ALLOWED, "user ann is disabled; invite them again")
    disabled.when(INVITE_USER).then(USER_INVITED)


def test_invitation_with_a_token_is_another_one() -> None:
    with_token = replace(INVITE_USER, token_sha256="c3" * 32)
    user.given().when(with_token).then(replace(USER_INVITED, token_sha256="c3" * 32))
    user.given(USER_INVITED).when(with_token).then_refused(
        Kind.CONFLICT, "user ann is invited already; withdraw that invitation first"
    )


@pytest.mark.parametrize("command", [ACCEPT_INVITATION, WITHDRAW_INVITATION, EXPIRE_INVITATION])
def test_user_who_was_not_invited_is_not_known(command: InviteUser) -> None:
    user.given().when(command).then_refused(Kind.NOT_FOUND, "user ann is not known; invite them first")


@pytest.mark.parametrize(
    "wrong", [{"user_id": "ann@acme.example"}, {"email": "ann"}, {"roles": []}, {"roles": ["KING"]}]
)
def test_invitation_needs_an_address_and_a_role_and_an_id_that_is_no_address(wrong: dict[str, object]) -> None:
    body = {"user_id": "ann", "email": "ann@acme.example", "roles": ["ADMIN"]}
    adapter(InviteUser).validate_python(body)
    with pytest.raises(ValidationError):
        adapter(InviteUser).validate_python(body | wrong)
