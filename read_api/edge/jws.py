"""A token is signed with RS256 or ES256, by one of the keys that it is compared with, or it is none."""

import base64
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, RSAKey, import_key

_FORM = re.compile(r"[A-Za-z0-9_-]{2,4096}\.[A-Za-z0-9_-]{0,16384}\.[A-Za-z0-9_-]{2,2048}", re.ASCII)
_SHORTEST_RSA_BITS = 2_048

_CURVE = "P-256"
_PUBLIC_PARTS = ("kty", "n", "e", "crv", "x", "y")
RS256, ES256 = ALGORITHMS = ("RS256", "ES256")


class BadToken(Exception):  # noqa: N818
    """A text is no signed token, or none that one of the keys signed; a retry gives the same answer."""


class VerifyKey(NamedTuple):
    """A public key and the one algorithm that it is for."""

    kid: str | None
    algorithm: str
    key: RSAKey | ECKey


class Unverified(NamedTuple):
    """A token as it came: nobody knows yet who wrote it."""

    text: str
    algorithm: str
    kid: str | None
    payload: bytes


def keys_of(jwks: Any) -> Sequence[VerifyKey]:
    """Return the keys of a JWKS that tokens may be signed with; others are left out. Source: RFC 7517."""
    found = jwks.get("keys") if isinstance(jwks, Mapping) else None
    listed = found if isinstance(found, list) else []
    return [key for one in listed if isinstance(one, Mapping) and (key := _key_of(one)) is not None]


def _key_of(found: Mapping[str, Any]) -> VerifyKey | None:
    given = {name: value for name, value in found.items() if value is not None}
    if given.get("use", "sig") != "sig" or "verify" not in given.get("key_ops", ["verify"]):
        return None
    public: dict[str, Any] = {name: given[name] for name in _PUBLIC_PARTS if name in given}
    try:
        with warnings.catch_warnings():
            # a key that is too short is refused below
            warnings.simplefilter("ignore", SecurityWarning)
            key = import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    match key:
        case RSAKey() if key.raw_value.key_size >= _SHORTEST_RSA_BITS:
            algorithm = RS256
        case ECKey() if key.curve_name == _CURVE:
            algorithm = ES256
        case _:
            return None
    kid = given.get("kid")
    if given.get("alg", algorithm) != algorithm or not isinstance(kid, str | None):
        return None
    return VerifyKey(kid, algorithm, key)


def read_token(text: str) -> Unverified:
    """Return what a token says of itself.

    Shape: keys, or addresses of keys, that it brings along (jwk, jku, x5c, x5u) count for nothing.
    Raises: BadToken.
    """
    if not _FORM.fullmatch(text):
        raise BadToken("it is not three parts of base64url")
    header_part, payload_part, signature_part = text.split(".")
    try:
        header = orjson.loads(_decoded(header_part))
    except orjson.JSONDecodeError:
        raise BadToken("its header is not JSON") from None
    payload, _ = _decoded(payload_part), _decoded(signature_part)
    if not isinstance(header, dict):
        raise BadToken("its header is not an object")
    # what must be understood is not: an extension could change what is signed
    if "crit" in header or "b64" in header:
        raise BadToken("its header has an extension")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise BadToken(f"its alg is not one of {', '.join(ALGORITHMS)}")
    if not isinstance(kid, str | None):
        raise BadToken("its kid is not a text")
    return Unverified(text, algorithm, kid, payload)


def _decoded(part: str) -> bytes:
    """Raises: BadToken, the text is not the only one that stands for its bytes."""
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise BadToken("a part is not base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode():
        raise BadToken("a part has bits that mean nothing")
    return decoded


def fitting(token: Unverified, keys: Sequence[VerifyKey]) -> Sequence[VerifyKey]:
    """Return the keys that may have signed a token: those of its id, or of its algorithm where it names none."""
    return [key for key in keys if key.algorithm == token.algorithm and token.kid in (None, key.kid)]


def verify_token(token: Unverified, keys: Sequence[VerifyKey]) -> None:
    """Do nothing where one of the keys signed the token. Raises: BadToken."""
    for key in fitting(token, keys):
        try:
            jws.deserialize_compact(token.text, key.key, algorithms=[key.algorithm], registry=_registry(key.algorithm))
        except (JoseError, ValueError):
            continue
        return
    raise BadToken("no key of its issuer signed it")


def _registry(algorithm: str) -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    # the form above is what bounds a token
    registry.max_header_length = 4_096
    return registry
