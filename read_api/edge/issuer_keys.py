"""The keys of trusted issuers are fetched when they are needed, remembered, and asked for again when one is missing."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import orjson

from projections.credentials import TrustedIssuer
from read_api.edge.jws import Unverified, VerifyKey, fitting, keys_of
from read_api.edge.problems import Problem
from schemas.envelope import TenantId

_LOG = logging.getLogger(__name__)

FRESH_S = 300.0
"""So long keys are used without being asked for again: an issuer's lost key is out of use after this."""

STALE_S = 3_600.0
"""So long keys are used while their address does not answer."""

AGAIN_S = 30.0
"""No sooner an address is asked again for a key that is missing, or after it failed."""

_AT_ONCE = 8
_REMEMBERED = 1_000

Fetch = Callable[[str], bytes]
"""Returns what is at an address of keys. Raises: CannotFetch."""


class CannotFetch(Exception):  # noqa: N818
    """An address did not give its keys, or may not be asked; it is asked again later."""


def nothing_fetched(url: str) -> bytes:
    raise CannotFetch(f"{url} is not asked: this server has no client for it")


class _Kept(NamedTuple):
    """Units: seconds of a clock that only goes on."""

    keys: Sequence[VerifyKey]
    fetched_at: float
    tried_at: float


_NOTHING = _Kept((), -STALE_S, -AGAIN_S)
_Place = tuple[TenantId, str]


class IssuerKeys:
    """The keys of all issuers with an address. Any thread may ask.

    Shape: each tenant has its own memory, and fetches one at a time, so that none uses up what another one needs.
    """

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[_Place, _Kept] = {}
        self._fetching: set[TenantId] = set()

    def find(self, issuer: TrustedIssuer, token: Unverified) -> Sequence[VerifyKey]:
        """Return the issuer's keys that may have signed a token. Raises: Problem (503), they are not known for now."""
        if issuer.jwks_uri is None:
            return fitting(token, _given(issuer.keys))
        place, now = (issuer.tenant_id, issuer.jwks_uri), self._clock()
        kept = self._kept.get(place, _NOTHING)
        found = fitting(token, kept.keys)
        if found and now - kept.fetched_at < FRESH_S:
            return found
        if now - kept.tried_at >= AGAIN_S and self._begin(issuer.tenant_id):
            try:
                kept = self._ask(place, kept, now)
            finally:
                self._fetching.discard(issuer.tenant_id)
            found = fitting(token, kept.keys)
        if now - kept.fetched_at >= STALE_S:
            raise Problem(503, "the keys of the token's issuer are not known for now; try again", retry_after_s=1)
        return found

    def _begin(self, tenant_id: TenantId) -> bool:
        with self._lock:
            if tenant_id in self._fetching or len(self._fetching) >= _AT_ONCE:
                return False
            self._fetching.add(tenant_id)
            return True

    def _ask(self, place: _Place, before: _Kept, now: float) -> _Kept:
        try:
            kept = _Kept(keys_of(orjson.loads(self._fetch(place[1]))), now, now)
        except (CannotFetch, orjson.JSONDecodeError) as error:
            _LOG.warning("the keys of an issuer of %s are not there: %s", place[0], error)
            kept = before._replace(tried_at=now)
        with self._lock:
            self._kept.pop(place, None)
            if len(self._kept) >= _REMEMBERED:
                # the oldest is first, because each one is put in again at the end
                del self._kept[next(iter(self._kept))]
            self._kept[place] = kept
        return kept


@lru_cache(maxsize=_REMEMBERED)
def _given(keys: bytes) -> Sequence[VerifyKey]:
    return keys_of({"keys": orjson.loads(keys)})
