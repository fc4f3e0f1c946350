"""Signatures: Wycheproof's vectors, and what else an attacker writes into a header.

The vectors are of https://github.com/C2SP/wycheproof, under the Apache License 2.0; `wycheproof_jws.json` says which.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from read_api.edge.jws import ALGORITHMS, BadToken, keys_of, read_token, verify_token
from tests.read_api.edge.issuing import EC, RSA, public, token

VECTORS = json.loads(Path(__file__).with_name("wycheproof_jws.json").read_text(encoding="utf-8"))


def vectors() -> Iterator[Any]:
    for group in VECTORS["groups"]:
        for vector in group["tests"]:
            yield pytest.param(group["public"], vector, id=f"{vector['tcId']}-{vector['comment']}")


def accepts(jwks: Any, text: str) -> bool:
    try:
        verify_token(read_token(text), keys_of(jwks))
    except BadToken:
        return False
    return True


def algorithm_of(text: str) -> str:
    head = text.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"])


@pytest.mark.parametrize(("key", "vector"), list(vectors()))
def test_wycheproof(key: Mapping[str, Any], vector: Mapping[str, Any]) -> None:
    text = vector["jws"]
    is_good = vector["result"] == "valid" and {algorithm_of(text), key["alg"]} <= {*ALGORITHMS}
    assert accepts({"keys": [key]}, text) == is_good


def test_vectors_have_good_and_bad_ones_of_both_algorithms() -> None:
    counted = {
        (group["public"].get("alg"), vector["result"]) for group in VECTORS["groups"] for vector in group["tests"]
    }
    assert {(alg, result) for alg in ALGORITHMS for result in ("valid", "invalid")} <= counted


JWKS = {"keys": public(RSA, EC)}


@pytest.mark.parametrize("key", [RSA, EC])
def test_token_of_a_known_key_is_good_with_and_without_its_id(key: RSAKey | ECKey) -> None:
    assert accepts(JWKS, token(key=key))
    assert accepts(JWKS, token(key=key, kid=None))
    assert not accepts(JWKS, token(key=key, kid="another"))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"kid": 7},
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"alg": "ES256"},
        {"alg": None},
    ],
)
def test_header_that_says_anything_else_is_refused(header: Mapping[str, Any]) -> None:
    _, payload, signature = token().split(".")
    head = orjson.dumps({"alg": "RS256", "kid": "rsa-1", **header})
    text = f"{base64.urlsafe_b64encode(head).rstrip(b'=').decode()}.{payload}.{signature}"
    assert not accepts(JWKS, text)


def test_keys_and_addresses_in_the_header_count_for_nothing() -> None:
    own = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    [jwk] = public(own)
    for header in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/cert"}):
        assert not accepts(JWKS, token(key=own, **header))
        assert accepts(JWKS, token(**header))


def test_public_key_is_no_secret_of_a_symmetric_signature() -> None:
    pem = RSA.as_pem(private=False)
    secret = OctKey.import_key(pem) if b"PUBLIC" not in pem else OctKey.import_key(base64.b64encode(pem))
    text = token(key=secret, alg="HS256", kid="rsa-1")  # type: ignore[arg-type]
    assert not accepts(JWKS, text)


@pytest.mark.parametrize(
    "changed",
    [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "PS256"}, {"kid": 1}, {"kty": "oct"}, {"n": "AQAB"}, {"n": "!"}],
)
def test_key_for_something_else_is_left_out(changed: Mapping[str, Any]) -> None:
    [rsa] = public(RSA)
    assert keys_of({"keys": [rsa]})
    assert not keys_of({"keys": [{**rsa, **changed}]})


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": [None, "x", {}]}])
def test_what_is_no_set_of_keys_has_none(jwks: object) -> None:
    assert not keys_of(jwks)


def test_short_keys_and_other_curves_are_left_out() -> None:
    assert not keys_of({"keys": public(ECKey.generate_key("P-384"))})
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024)
    assert not keys_of({"keys": public(short)})
