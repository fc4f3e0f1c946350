"""The rules for API keys."""

from domain.identity.api_key import API_KEY
from domain.rejection import Kind
from tests.examples.identity import ISSUE_KEY, KEY_ISSUED, KEY_REVOKED, KEY_ROTATED, REVOKE_KEY, ROTATE_KEY
from tests.given_when_then import Rules

api_key = Rules(API_KEY)


def test_new_key_is_issued() -> None:
    api_key.given().when(ISSUE_KEY).then(KEY_ISSUED)


def test_issuing_a_key_id_twice_is_refused() -> None:
    api_key.given(KEY_ISSUED).when(ISSUE_KEY).then_refused(Kind.CONFLICT, "api key k1 is issued already")


def test_issued_key_is_rotated() -> None:
    api_key.given(KEY_ISSUED).when(ROTATE_KEY).then(KEY_ROTATED)


def test_rotating_an_unknown_key_is_refused() -> None:
    api_key.given().when(ROTATE_KEY).then_refused(Kind.NOT_FOUND, "api key k1 is not known")


def test_rotating_a_revoked_key_is_refused() -> None:
    api_key.given(KEY_ISSUED, KEY_REVOKED).when(ROTATE_KEY).then_refused(Kind.NOT_ALLOWED, "api key k1 is revoked")


def test_issued_key_is_revoked() -> None:
    api_key.given(KEY_ISSUED, KEY_ROTATED).when(REVOKE_KEY).then(KEY_REVOKED)


def test_revoking_twice_records_nothing() -> None:
    api_key.given(KEY_ISSUED, KEY_REVOKED).when(REVOKE_KEY).then_nothing()
