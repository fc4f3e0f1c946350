"""An API key of the form `ak_<id>.sk_<secret>` says who asks; it is looked up and remembered for a second."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from anyio import to_thread

from projections.credentials import NO_QUOTA, Credential, Credentials, Quota, RateLimits
from read_api.edge.problems import Problem
from schemas.envelope import Actor, ActorType, TenantId
from schemas.key_ids import has_tag

_ID_PREFIX = "ak_"
_MARK = ".sk_"
_LONGEST_HEADER = 512
# the same text for an unknown id, a wrong secret and a revoked key
_NOT_VALID = "the api key is not valid"


class Unauthenticated(Problem):
    """No valid API key came with the request; a retry with the same key gives the same answer."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, headers={"WWW-Authenticate": 'ApiKey header="X-API-Key"'})


class Forbidden(Problem):
    """The key is valid, but may not do this; a retry gives the same answer until the key or the tenant is changed."""

    def __init__(self, detail: str) -> None:
        super().__init__(403, detail)


class Key(NamedTuple):
    id: str
    secret: str


class Caller(NamedTuple):
    """Who sends a request.

    Shape: `limits` are those of the key in each window, None where it has none; `usual` are those of a key that says
    nothing of its limits. `quota` is that of the tenant.
    """

    tenant_id: TenantId
    key_id: str
    scopes: tuple[str, ...]
    limits: RateLimits | None = None
    quota: Quota = NO_QUOTA
    usual: RateLimits = RateLimits()

    @property
    def actor(self) -> Actor:
        return Actor(ActorType.API_KEY, self.key_id)


def parse_key(header: str | None) -> Key:
    """Read an `X-API-Key` header. Raises: Unauthenticated."""
    if header is None:
        raise Unauthenticated("no api key; send X-API-Key: ak_<id>.sk_<secret>")
    # the id may hold dots, a secret must not hold the mark
    id_, mark, secret = header.strip().removeprefix(_ID_PREFIX).rpartition(_MARK)
    if len(header) > _LONGEST_HEADER or not (header.strip().startswith(_ID_PREFIX) and mark and id_ and secret):
        raise Unauthenticated("the api key must look like ak_<id>.sk_<secret>")
    return Key(id_, secret)


def secret_sha256(secret: str) -> str:
    """Return what is stored of a secret, the text after `sk_`: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def verify(key: Key, stored: Sequence[Credential]) -> Credential:
    """Return the credential that this key's secret opens, comparing in constant time.

    Shape: ids of before there were tags may be the same in several tenants: of those with the same secret the one
    that had it first is meant, also where it is revoked by now.
    Raises: Unauthenticated, without saying what was wrong.
    """
    digest = secret_sha256(key.secret)
    opened = [one for one in stored if hmac.compare_digest(digest, one.secret_sha256)]
    meant = min(opened, key=lambda one: (not has_tag(key.id, one.tenant_id), one.since), default=None)
    if meant is None or meant.revoked:
        raise Unauthenticated(_NOT_VALID)
    return meant


class Authenticator:
    """Finds the caller of a request; an answer is at most `ttl_s` old, so a revocation bites within that time."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        usual: RateLimits = RateLimits(),  # noqa: B008, it cannot change
        ttl_s: float = 1.0,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._usual = usual
        self._ttl_s = ttl_s
        self._remembered = remembered
        self._clock = clock
        self._lock = Lock()
        self._callers: dict[Key, tuple[float, Caller]] = {}
        self._asked: dict[Key, asyncio.Task[Caller]] = {}

    def authenticate(self, header: str | None) -> Caller:
        """Return who sent this `X-API-Key` header.

        Raises: Unauthenticated; Forbidden, the tenant is not active; StoreUnavailable, safe to retry.
        Source: api_key.issued, api_key.rotated, api_key.revoked, tenant.registered, tenant.suspended,
        tenant.reactivated, tenant.closed.
        """
        key = parse_key(header)
        known = self._known(key)
        if known is not None:
            return known
        good_until = self._clock() + self._ttl_s
        caller = self._look_up(key)
        with self._lock:
            self._callers.pop(key, None)
            if len(self._callers) >= self._remembered:
                # the oldest entry is first, because each one is put in again at the end
                del self._callers[next(iter(self._callers))]
            self._callers[key] = (good_until, caller)
        return caller

    async def identify(self, header: str | None) -> Caller:
        """Do as `authenticate`; where credentials have to be asked, in a thread, and once for all who wait for it."""
        key = parse_key(header)
        if (known := self._known(key)) is not None:
            return known
        if (asked := self._asked.get(key)) is None:
            # not the loop's own threads: an operator's jobs, which take minutes, hold those
            asked = self._asked[key] = asyncio.create_task(to_thread.run_sync(self.authenticate, header))
            asked.add_done_callback(lambda task: self._told(key, task))
        # one that leaves takes the answer from nobody else
        return await asyncio.shield(asked)

    def _told(self, key: Key, task: "asyncio.Task[Caller]") -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # seen: where all who asked have left, asyncio must not complain

    def _known(self, key: Key) -> Caller | None:
        with self._lock:
            good_until, caller = self._callers.get(key, (0.0, None))
        return caller if self._clock() < good_until else None

    def _look_up(self, key: Key) -> Caller:
        found = verify(key, self._credentials.find(key.id))
        status = self._credentials.status_of(found.tenant_id)
        if status != "ACTIVE":
            raise Forbidden(f"the tenant is {status or 'not known'}; only an active tenant may read or write")
        limits = None if found.limits is None else filled_limits(found.limits, self._usual)
        quota = self._credentials.quota_of(found.tenant_id)
        return Caller(found.tenant_id, key.id, found.scopes, limits, quota, self._usual)


def filled_limits(limits: RateLimits, usual: RateLimits) -> RateLimits:
    """Return limits with those of a key that says nothing where nothing is said."""
    return RateLimits(*(other if own is None else own for own, other in zip(limits, usual, strict=True)))
