"""The rules for issuers whose tokens a tenant trusts."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from domain.identity.issuer import ISSUER, PublicKey, TrustIssuer
from domain.message import adapter
from domain.rejection import Kind
from tests.examples.identity import DISTRUST_ISSUER, ISSUER_DISTRUSTED, ISSUER_TRUSTED, TRUST_ISSUER
from tests.given_when_then import Rules

issuer = Rules(ISSUER)
WITH_KEYS = replace(TRUST_ISSUER, jwks_uri=None, keys=ISSUER_TRUSTED.keys)
AT_ADDRESS = replace(ISSUER_TRUSTED, jwks_uri=TRUST_ISSUER.jwks_uri, keys=())
RSA = PublicKey(kty="RSA", n="n" * 342, e="AQAB")


def test_issuer_is_trusted_by_its_keys_or_by_their_address() -> None:
    issuer.given().when(WITH_KEYS).then(ISSUER_TRUSTED)
    issuer.given().when(TRUST_ISSUER).then(AT_ADDRESS)
    issuer.given().when(replace(WITH_KEYS, keys=(RSA,))).then(replace(ISSUER_TRUSTED, keys=(RSA,)))


@pytest.mark.parametrize("wrong", [replace(WITH_KEYS, keys=()), replace(WITH_KEYS, jwks_uri="https://id.example/keys")])
def test_issuer_has_either_keys_or_an_address(wrong: TrustIssuer) -> None:
    issuer.given().when(wrong).then_refused(
        Kind.INVALID, "give either jwks_uri or keys: the public keys that the issuer signs with"
    )


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (replace(RSA, n="n" * 341), "a key of RSA needs n of at least 2,048 bits, and e"),
        (replace(RSA, e=None), "a key of RSA needs n of at least 2,048 bits, and e"),
        (replace(ISSUER_TRUSTED.keys[0], crv=None), "a key of EC needs crv, which is P-256, and x and y"),
    ],
)
def test_key_that_checks_nothing_is_refused(key: PublicKey, reason: str) -> None:
    issuer.given().when(replace(WITH_KEYS, keys=(key,))).then_refused(Kind.INVALID, reason)


def test_same_trust_again_records_nothing_and_another_takes_its_place() -> None:
    issuer.given(ISSUER_TRUSTED).when(WITH_KEYS).then_nothing()
    issuer.given(ISSUER_TRUSTED).when(TRUST_ISSUER).then(AT_ADDRESS)


def test_issuer_is_distrusted_once_and_may_be_trusted_again() -> None:
    issuer.given(ISSUER_TRUSTED).when(DISTRUST_ISSUER).then(ISSUER_DISTRUSTED)
    issuer.given(ISSUER_TRUSTED, ISSUER_DISTRUSTED).when(DISTRUST_ISSUER).then_nothing()
    issuer.given(ISSUER_TRUSTED, ISSUER_DISTRUSTED).when(WITH_KEYS).then(ISSUER_TRUSTED)
    issuer.given().when(DISTRUST_ISSUER).then_refused(Kind.NOT_FOUND, "issuer keycloak is not known")


def command(**changed: Any) -> TrustIssuer:
    body = {"issuer_id": "k", "issuer": "https://i.example", "audiences": ["a"], "jwks_uri": "https://i.example/keys"}
    checked: TrustIssuer = adapter(TrustIssuer).validate_python({**body, **changed})
    return checked


@pytest.mark.parametrize(
    "uri",
    [
        "http://i.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "http://localhost@evil.example/keys",
        "https://user@i.example/keys",
        "file:///etc/passwd",
        "https:///keys",
        "https://i.example/a b",
    ],
)
def test_address_without_encryption_or_of_nobody_is_refused(uri: str) -> None:
    with pytest.raises(ValidationError):
        command(jwks_uri=uri)


@pytest.mark.parametrize("uri", ["https://i.example:8443/keys?x=1", "http://127.0.0.1:8080/keys", "http://localhost/k"])
def test_address_with_encryption_or_of_this_machine_is_taken(uri: str) -> None:
    assert command(jwks_uri=uri).jwks_uri == uri


def test_private_part_of_a_key_is_left_out() -> None:
    given = {"kty": "RSA", "n": "n" * 342, "e": "AQAB", "d": "secret", "use": "sig", "x5c": ["…"]}
    assert command(jwks_uri=None, keys=[given]).keys == (RSA,)
