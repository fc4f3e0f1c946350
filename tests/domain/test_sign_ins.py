"""The rules for signing in through a provider: of providers, of the identity of a user, and of one sign-in."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from domain.identity.sign_in import SIGN_IN, EndSignIn, Failure
from domain.identity.sign_in_provider import SIGN_IN_PROVIDER, SetSignInProvider
from domain.identity.user import USER, IdentityUnlinked
from domain.message import Event, adapter
from domain.rejection import Kind
from tests.examples.identity import (
    DISABLE_USER,
    END_SIGN_IN,
    IDENTITY_LINKED,
    IDENTITY_UNLINKED,
    INVITATION_WITHDRAWN,
    LINK_IDENTITY,
    REMOVE_SIGN_IN_PROVIDER,
    SET_SIGN_IN_PROVIDER,
    SIGN_IN_PROVIDER_REMOVED,
    SIGN_IN_PROVIDER_SET,
    UNLINK_IDENTITY,
    USER_AUTHENTICATED,
    USER_DISABLED,
    USER_INVITED,
    USER_JOINED,
    USER_LOGIN_FAILED,
)
from tests.given_when_then import Rules

user, provider, sign_in = Rules(USER), Rules(SIGN_IN_PROVIDER), Rules(SIGN_IN)


def test_invited_user_joins_with_their_identity() -> None:
    user.given(USER_INVITED).when(LINK_IDENTITY).then(USER_JOINED, IDENTITY_LINKED)


def test_user_who_has_joined_gets_an_identity_or_another_one() -> None:
    user.given(USER_INVITED, USER_JOINED).when(LINK_IDENTITY).then(IDENTITY_LINKED)
    user.given(USER_INVITED, USER_JOINED, IDENTITY_LINKED).when(replace(LINK_IDENTITY, provider_id="other")).then(
        replace(IDENTITY_LINKED, provider_id="other")
    )


def test_who_links_themselves_has_joined() -> None:
    links = replace(LINK_IDENTITY, joins=False)
    user.given(USER_INVITED, USER_JOINED).when(links).then(IDENTITY_LINKED)
    for history, status in (
        ((USER_INVITED,), "INVITED"),
        ((USER_INVITED, USER_JOINED, USER_DISABLED), "DISABLED"),
        ((USER_INVITED, USER_JOINED, USER_DISABLED, USER_INVITED), "INVITED"),
    ):
        user.given(*history).when(links).then_refused(Kind.NOT_ALLOWED, f"user ann has not joined, they are {status}")


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        ((INVITATION_WITHDRAWN,), "the invitation of user ann was withdrawn"),
        ((USER_JOINED, USER_DISABLED), "user ann is disabled; invite them again"),
    ],
    ids=["withdrawn", "disabled"],
)
def test_identity_lets_nobody_in_who_is_out(ended: tuple[Event, ...], reason: str) -> None:
    user.given(USER_INVITED, *ended).when(LINK_IDENTITY).then_refused(Kind.NOT_ALLOWED, reason)


def test_identity_is_unlinked_once() -> None:
    linked = (USER_INVITED, USER_JOINED, IDENTITY_LINKED)
    user.given(*linked).when(UNLINK_IDENTITY).then(IDENTITY_UNLINKED)
    user.given(*linked, IDENTITY_UNLINKED).when(UNLINK_IDENTITY).then()


def test_who_is_disabled_has_no_identity_any_more_whoever_is_invited_in_their_place() -> None:
    linked = (USER_INVITED, USER_JOINED, IDENTITY_LINKED)
    ended = IdentityUnlinked(provider_id="keycloak", reason="the user is disabled")
    user.given(*linked).when(DISABLE_USER).then(USER_DISABLED, ended)


def test_provider_is_set_again_and_removed_once() -> None:
    provider.given().when(SET_SIGN_IN_PROVIDER).then(SIGN_IN_PROVIDER_SET)
    provider.given(SIGN_IN_PROVIDER_SET).when(SET_SIGN_IN_PROVIDER).then(SIGN_IN_PROVIDER_SET)
    provider.given(SIGN_IN_PROVIDER_SET).when(REMOVE_SIGN_IN_PROVIDER).then(SIGN_IN_PROVIDER_REMOVED)
    provider.given(SIGN_IN_PROVIDER_SET, SIGN_IN_PROVIDER_REMOVED).when(REMOVE_SIGN_IN_PROVIDER).then()
    provider.given().when(REMOVE_SIGN_IN_PROVIDER).then_refused(
        Kind.NOT_FOUND, "sign-in provider keycloak is not known"
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.acme.example",
        "https://ann@id.acme.example",
        "https://id.acme.example/?tenant=1",
        "https://id.acme.example/#",
        "ftp://id.acme.example",
        "id.acme.example",
        "https://[::1",
        "https://:443",
        "https://:443/realms",
        "https://id.acme.example:x",
        "https://id.acme.example:99999",
        "https://id.acme.example:0",
        "https://ann:secret@id.acme.example",
    ],
)
def test_provider_is_an_encrypted_address_without_anything_behind_it(issuer: str) -> None:
    body = {"provider_id": "p", "name": "P", "issuer": issuer, "client_id": "c", "sealed": "c2VhbGVk"}
    with pytest.raises(ValidationError):
        adapter(SetSignInProvider).validate_python(body)


FAILED = replace(END_SIGN_IN, user_id=None, failure=Failure.UNKNOWN)


def test_sign_in_ends_once() -> None:
    sign_in.given().when(END_SIGN_IN).then(USER_AUTHENTICATED)
    sign_in.given().when(FAILED).then(USER_LOGIN_FAILED)
    for ended in (USER_AUTHENTICATED, USER_LOGIN_FAILED):
        for command in (END_SIGN_IN, FAILED):
            sign_in.given(ended).when(command).then_refused(
                Kind.CONFLICT, "sign-in 5f1c2d1e9a7b4c60 has ended already; begin another one"
            )


@pytest.mark.parametrize("wrong", [replace(FAILED, failure=None), replace(FAILED, user_id="ann")])
def test_sign_in_ends_well_or_badly(wrong: EndSignIn) -> None:
    sign_in.given().when(wrong).then_refused(Kind.INVALID, "give either user_id or failure")
