"""Who a token names, and of which issuers' tokens anybody takes notice."""

import base64
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from joserfc.jwk import RSAKey

from read_api.edge.auth import Authenticator, Caller, CredentialKind, Unauthenticated
from read_api.edge.credential import BEARER
from read_api.edge.issuer_keys import AGAIN_S, FRESH_S, STALE_S, CannotFetch, IssuerKeys, nothing_fetched
from read_api.edge.jws import read_token
from read_api.edge.jwt import SKEW_S, Tokens
from read_api.edge.problems import Problem
from schemas.envelope import ActorType, TenantId
from tests.read_api.edge.issuing import ACME, EC, ISSUER, RSA, Trusting, claims, public, token, trusted
from tests.read_api.edge.test_auth import HandClock

BOLT = TenantId("bolt")
CREDENTIALS = Trusting(trusted(RSA, EC), trusted(RSA, tenant_id=BOLT, issuer="https://other.example"))
URI = "https://id.acme.example/keys"


NOW = 1_800_000_000.0


def said_now(**changed: Any) -> dict[str, Any]:
    return claims(**{"iat": NOW, "exp": NOW + 300, **changed})


def caller_of(text: str) -> Caller:
    return Tokens(CREDENTIALS, IssuerKeys(nothing_fetched), lambda: NOW).caller(text)


def refusal(text: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        caller_of(text)
    return refused.value.detail


def test_token_names_its_caller() -> None:
    said = said_now(roles=["USER", "offline_access", "AUDITOR", 7], aud=["account", "factline"])
    for key in (RSA, EC):
        caller = caller_of(token(said, key=key))
        assert caller == Caller(
            ACME,
            "keycloak/ann",
            (),
            kind=CredentialKind.TOKEN,
            roles=("USER", "AUDITOR"),
            credential_id="keycloak",
        )
        assert caller.actor == (ActorType.USER, "keycloak/ann")


def test_token_may_name_an_organization() -> None:
    assert caller_of(token(said_now(organization_id="north"))).organization_id == "north"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": 7},
        # the other tenant trusts another issuer: one's issuer makes no token for the other
        {"tenant_id": "bolt"},
        {"tenant_id": "nobody"},
        {"tenant_id": ["acme"]},
        {"tenant_id": None},
    ],
)
def test_token_of_nobody_whom_its_tenant_trusts_is_refused_without_a_reason(changed: Mapping[str, Any]) -> None:
    assert refusal(token(said_now(**changed))) == "the token is not valid"


@pytest.mark.parametrize(
    "text",
    ["", "a.b.c", "x" * 30_000, f"{token(said_now())}.x", token(said_now())[:-5], token(said_now()).replace(".", "")],
)
def test_text_that_is_no_token_is_refused_in_the_same_way(text: str) -> None:
    assert refusal(text) == "the token is not valid"


def test_token_with_claims_of_another_is_refused() -> None:
    head, _, signature = token(said_now()).split(".")
    payload = base64.urlsafe_b64encode(orjson.dumps(said_now(roles=["OWNER"]))).rstrip(b"=").decode()
    assert refusal(f"{head}.{payload}.{signature}") == "the token is not valid"
    assert refusal(token(said_now(), key=RSAKey.generate_key(2048, {"kid": "rsa-1"}))) == "the token is not valid"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exp": None}, "does not say when it expires"),
        ({"exp": NOW - SKEW_S - 1}, "is expired"),
        ({"exp": "tomorrow"}, "exp of the token is not a number"),
        ({"exp": True}, "exp of the token is not a number"),
        ({"nbf": NOW + SKEW_S + 30}, "not good yet"),
        ({"iat": NOW + SKEW_S + 30}, "not good yet"),
        ({"sub": None}, "needs a sub"),
        ({"sub": ""}, "needs a sub"),
        ({"sub": "a b"}, "needs a sub"),
        ({"sub": "x" * 256}, "needs a sub"),
        ({"organization_id": 7}, "organization_id"),
    ],
)
def test_token_that_is_not_good_now_is_refused_with_a_reason(changed: Mapping[str, Any], said: str) -> None:
    assert said in refusal(token(said_now(**changed)))


def test_clocks_may_differ_by_a_minute() -> None:
    assert caller_of(token(said_now(exp=NOW - SKEW_S + 20, nbf=NOW + SKEW_S - 20, iat=NOW + SKEW_S - 20)))


def test_token_without_roles_has_none() -> None:
    for roles in (None, "OWNER", [], ["owner"]):
        assert caller_of(token(said_now(roles=roles))).roles == ()


def test_issuer_that_is_not_trusted_any_more_is_out_after_a_second() -> None:
    credentials, clock = Trusting(trusted(RSA)), HandClock()
    tokens = Tokens(credentials, IssuerKeys(nothing_fetched))
    authenticator = Authenticator(credentials, {BEARER: tokens.caller}, clock=clock)
    shown = f"{BEARER}{token()}"
    assert authenticator.authenticate(shown).tenant_id == ACME
    credentials.trusted.clear()
    clock.now = 0.9
    assert authenticator.authenticate(shown).tenant_id == ACME
    clock.now = 1.0
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(shown)


# --- keys at an address


class Address:
    """An address of keys, and how often it was asked."""

    def __init__(self, *keys: RSAKey) -> None:
        self.keys: list[Any] = list(keys)
        self.asked = 0
        self.clock = HandClock()
        self.source = IssuerKeys(self.fetch, self.clock)

    def fetch(self, url: str) -> bytes:
        assert url == URI
        self.asked += 1
        if not self.keys:
            raise CannotFetch("away")
        return orjson.dumps({"keys": public(*self.keys)})

    def takes(self, key: RSAKey = RSA, tenant_id: TenantId = ACME) -> bool:
        return bool(self.source.find(trusted(tenant_id=tenant_id, uri=URI), read_token(token(key=key))))


def test_keys_are_fetched_once_and_again_when_they_are_old() -> None:
    address = Address(RSA)
    assert all(address.takes() for _ in range(3))
    assert address.asked == 1
    address.clock.now = FRESH_S
    assert address.takes()
    assert address.asked == 2


def test_new_key_is_found_and_an_unknown_one_asks_only_now_and_then() -> None:
    address, new = Address(RSA), RSAKey.generate_key(2048, {"kid": "rsa-2"})
    assert address.takes()
    assert not any(address.takes(new) for _ in range(100))
    assert address.asked == 1, "an address is not asked for each invented id"
    address.keys = [new]
    address.clock.now = AGAIN_S
    assert address.takes(new)
    assert not address.takes(RSA)
    assert address.asked == 2


def test_keys_are_used_for_a_while_when_their_address_is_away() -> None:
    address = Address(RSA)
    assert address.takes()
    address.keys = []
    address.clock.now = FRESH_S
    assert address.takes()
    assert address.takes()
    assert address.asked == 2
    address.clock.now = STALE_S
    with pytest.raises(Problem) as refused:
        address.takes()
    assert refused.value.status == 503


def test_address_that_never_answered_is_not_asked_for_each_token() -> None:
    address = Address()
    for _ in range(5):
        with pytest.raises(Problem):
            address.takes()
    assert address.asked == 1


def test_one_tenants_unknown_keys_do_not_use_up_what_another_tenant_may_ask() -> None:
    address, new = Address(RSA), RSAKey.generate_key(2048, {"kid": "rsa-2"})
    assert address.takes()
    assert not address.takes(new)
    assert address.takes(tenant_id=BOLT)
    assert address.asked == 2


def test_tenant_fetches_one_at_a_time() -> None:
    address = Address(RSA)
    seen: list[int] = []

    def slow(url: str) -> bytes:
        with pytest.raises(Problem) as refused:
            address.takes()
        seen.append(refused.value.status)
        return address.fetch(url)

    address.source._fetch = slow
    assert address.takes()
    assert seen == [503]
