"""The rules for clients, and for the keys that their tokens are signed with."""

from dataclasses import replace

from domain.identity.client import CLIENT, ClientKind
from domain.identity.signing_key import SIGNING_KEY
from domain.rejection import Kind
from tests.examples.identity import (
    CLIENT_REGISTERED,
    CLIENT_REVOKED,
    CLIENT_SECRET_ENDED,
    CLIENT_SECRET_ROTATED,
    END_CLIENT_SECRET,
    REGISTER_CLIENT,
    REVOKE_CLIENT,
    ROTATE_CLIENT_SECRET,
    ROTATE_SIGNING_KEY,
    SIGNING_KEY_ROTATED,
)
from tests.given_when_then import Rules

client = Rules(CLIENT)
signing_key = Rules(SIGNING_KEY)
ID = REGISTER_CLIENT.client_id


def test_client_is_registered_once_and_revoked_once() -> None:
    client.given().when(REGISTER_CLIENT).then(CLIENT_REGISTERED)
    client.given(CLIENT_REGISTERED).when(REGISTER_CLIENT).then_refused(
        Kind.CONFLICT, f"client {ID} is registered already"
    )
    client.given(CLIENT_REGISTERED).when(REVOKE_CLIENT).then(CLIENT_REVOKED)
    client.given(CLIENT_REGISTERED, CLIENT_REVOKED).when(REVOKE_CLIENT).then_nothing()
    client.given().when(REVOKE_CLIENT).then_refused(Kind.NOT_FOUND, f"client {ID} is not known")


def test_confidential_client_has_a_secret_and_a_public_one_has_none() -> None:
    said = "a confidential client has a secret, and a public one has none"
    client.given().when(replace(REGISTER_CLIENT, secret_sha256=None)).then_refused(Kind.INVALID, said)
    client.given().when(replace(REGISTER_CLIENT, kind=ClientKind.PUBLIC)).then_refused(Kind.INVALID, said)


def test_two_secrets_are_good_until_one_is_ended_and_never_none() -> None:
    client.given(CLIENT_REGISTERED).when(ROTATE_CLIENT_SECRET).then(CLIENT_SECRET_ROTATED)
    client.given(CLIENT_REGISTERED).when(END_CLIENT_SECRET).then_refused(
        Kind.NOT_ALLOWED, f"client {ID} has no other secret; rotate it first"
    )
    two = client.given(CLIENT_REGISTERED, CLIENT_SECRET_ROTATED)
    two.when(replace(ROTATE_CLIENT_SECRET, secret_id="third")).then_refused(
        Kind.NOT_ALLOWED,
        f"the secrets first and 9a7b4c605f1c2d1e of client {ID} are both good; end one of them first",
    )
    two.when(END_CLIENT_SECRET).then(CLIENT_SECRET_ENDED)
    # where nobody knows the new one, it is the one that is ended
    lost = replace(CLIENT_SECRET_ENDED, secret_id="9a7b4c605f1c2d1e", place=1, good=("first",))
    two.when(replace(END_CLIENT_SECRET, secret_id="9a7b4c605f1c2d1e")).then(lost)


def test_secret_takes_the_place_that_is_free() -> None:
    third = replace(ROTATE_CLIENT_SECRET, secret_id="third")
    one = (CLIENT_REGISTERED, CLIENT_SECRET_ROTATED, CLIENT_SECRET_ENDED)
    client.given(*one).when(third).then(
        replace(CLIENT_SECRET_ROTATED, secret_id="third", place=0, good=("9a7b4c605f1c2d1e", "third"))
    )
    client.given(*one).when(END_CLIENT_SECRET).then_refused(
        Kind.NOT_FOUND, f"client {ID} has no secret first, or not any more"
    )


def test_client_without_a_secret_gets_none() -> None:
    public = replace(CLIENT_REGISTERED, kind="public", secret_sha256=None)
    client.given(public).when(ROTATE_CLIENT_SECRET).then_refused(
        Kind.NOT_ALLOWED, f"client {ID} is public and has no secret"
    )
    client.given(CLIENT_REGISTERED, CLIENT_REVOKED).when(ROTATE_CLIENT_SECRET).then_refused(
        Kind.NOT_ALLOWED, f"client {ID} is revoked"
    )
    for command in (ROTATE_CLIENT_SECRET, END_CLIENT_SECRET):
        client.given().when(command).then_refused(Kind.NOT_FOUND, f"client {ID} is not known")


def test_public_client_needs_an_address() -> None:
    public = replace(REGISTER_CLIENT, kind=ClientKind.PUBLIC, secret_sha256=None)
    client.given().when(public).then(replace(CLIENT_REGISTERED, kind="public", secret_sha256=None))
    client.given().when(replace(public, redirect_uris=())).then_refused(
        Kind.INVALID, "a public client asks for users only, so it needs redirect_uris: where they are sent back to"
    )


def test_keys_follow_each_other() -> None:
    signing_key.given().when(ROTATE_SIGNING_KEY).then(SIGNING_KEY_ROTATED)
    signing_key.given(SIGNING_KEY_ROTATED).when(replace(ROTATE_SIGNING_KEY, kid="next")).then(
        replace(SIGNING_KEY_ROTATED, kid="next", number=2)
    )
    signing_key.given(SIGNING_KEY_ROTATED).when(ROTATE_SIGNING_KEY).then_refused(
        Kind.CONFLICT, "signing key 4c1d2e3f5a6b7c8d is the tenant's already; make another one"
    )
