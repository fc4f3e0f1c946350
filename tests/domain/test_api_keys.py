"""The rules for API keys."""

from dataclasses import replace

import pytest

from domain.identity.api_key import API_KEY
from domain.identity.tenant import Tenant, TenantStatus, admit
from domain.rejection import Kind
from schemas.envelope import TenantId
from schemas.key_ids import key_tag
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


# --- whose a key is

ACME, BOLT = TenantId("acme"), TenantId("bolt")
ACTIVE = Tenant(name="Bolt", status=TenantStatus.ACTIVE)


def test_no_two_tenants_have_one_tag() -> None:
    tags = {key_tag(TenantId(f"t{n}")) for n in range(10_000)}
    assert len(tags) == 10_000
    assert key_tag(ACME) == "accb46996fcf-", "a released tag never changes: keys would stop working"


def test_key_of_another_tenants_id_and_hash_is_not_issued() -> None:
    of_acme = replace(ISSUE_KEY, key_id=f"{key_tag(ACME)}first")
    assert admit(of_acme, ACME, ACTIVE) is None
    refusal = admit(of_acme, BOLT, ACTIVE)
    assert refusal is not None
    assert (refusal.kind, refusal.reason) == (
        Kind.INVALID,
        f"the id of a new key must begin with {key_tag(BOLT)}; POST /v1/keys makes one that does",
    )


@pytest.mark.parametrize("key_id", ["k1", "agent", "accb46996fcf", f"x{key_tag(BOLT)}"])
def test_key_whose_id_does_not_say_whose_it_is_gets_no_new_hash(key_id: str) -> None:
    issued = admit(replace(ISSUE_KEY, key_id=key_id), BOLT, ACTIVE)
    rotated = admit(replace(ROTATE_KEY, key_id=key_id), BOLT, ACTIVE)
    assert issued is not None
    assert rotated is not None
    assert (issued.kind, rotated.kind) == (Kind.INVALID, Kind.NOT_ALLOWED)
    assert admit(replace(REVOKE_KEY, key_id=key_id), BOLT, ACTIVE) is None
