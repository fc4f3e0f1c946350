"""What a sign-in through a provider has to remember until the browser is back is in a cookie that nobody can read."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

LASTS_S = 600
_HEADER = {"alg": "dir", "enc": "A256GCM"}
_LONGEST = 8_000


class Links(NamedTuple):
    """A user who is signed in here and wants to sign in through a provider from now on.

    Shape: `version` is that of the user's stream: once that goes on, the id may be another person's.
    """

    user_id: str
    session_id: str
    version: int


class BegunSignIn(NamedTuple):
    """A browser that was sent to a provider.

    Shape: `links` is None where nobody is signed in here. Where a provider is asked is not in here, but looked up
    again, because a browser keeps no cookie of more than 4,096 bytes.
    Units: `until` is seconds since 1970.
    """

    tenant_id: str
    provider_id: str
    issuer: str
    says_issuer: bool
    state: str
    nonce: str
    verifier: str
    links: Links | None
    until: float

    @property
    def id(self) -> str:
        """Return the id under which is recorded how it ends; nobody can guess another one's."""
        return hashlib.sha256(self.state.encode()).hexdigest()[:32]


class SealedSignIns:
    """Puts sign-ins into texts and takes them out again. Source: RFC 7516, with a key of the deployment."""

    def __init__(self, key: bytes) -> None:
        self._key = OctKey.import_key(key)
        self._header = _header_of(self._sealed(b""))

    def seal(self, begun: BegunSignIn) -> str:
        said = {**begun._asdict(), "links": begun.links and begun.links._asdict()}
        return self._sealed(orjson.dumps(said))

    def open(self, text: str) -> BegunSignIn | None:
        """Return what was sealed, None where it was not sealed here."""
        # the library takes a header of somebody else for what it says, and not every one is refused in order
        if not text.isascii() or len(text) > _LONGEST or _header_of(text) != self._header:
            return None
        try:
            plain = jwe.decrypt_compact(text, self._key, algorithms=list(_HEADER.values())).plaintext
        except (JoseError, ValueError):
            return None
        said: Mapping[str, Any] = orjson.loads(plain or b"{}")
        try:
            return BegunSignIn(**{**said, "links": said["links"] and Links(**said["links"])})
        except (TypeError, KeyError):
            # one of another version of this server
            return None

    def _sealed(self, plain: bytes) -> str:
        return jwe.encrypt_compact(_HEADER, plain, self._key)


def _header_of(text: str) -> str:
    return text.partition(".")[0]
