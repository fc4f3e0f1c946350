"""A credential, as an API key `ak_<id>.sk_<secret>`, says who asks; it is looked up and remembered for a second."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from threading import Lock
from types import MappingProxyType
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
    """No valid credential came with the request; a retry with the same one gives the same answer."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, headers={"WWW-Authenticate": 'ApiKey header="X-API-Key", Bearer'})


class Forbidden(Problem):
    """The caller is known, but may not do this; a retry gives the same answer until their rights are changed."""

    def __init__(self, detail: str) -> None:
        super().__init__(403, detail)


class Key(NamedTuple):
    id: str
    secret: str


class CredentialKind(StrEnum):
    """What a caller came with."""

    API_KEY = "api_key"
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    SESSION = "session"
    CLIENT = "client"
    CLIENT_OF_USER = "client_of_user"
    """A program that a user lets act for them: it may what both of them may."""


class Caller(NamedTuple):
    """Who asks.

    Shape: `id` is that of the key, the client, or the user. Keys and clients have scopes, users have roles.
    `credential_id` names the session, the client or the issuer of the token; of a key it is "", because its own id says
    it. `limits` are those of a key or a client in each window, None for a user and for a key that has none; `usual` are
    those of a key that says nothing of its limits. `quota` is that of the tenant.
    """

    tenant_id: TenantId
    id: str
    scopes: tuple[str, ...]
    kind: CredentialKind = CredentialKind.API_KEY
    roles: tuple[str, ...] = ()
    credential_id: str = ""
    organization_id: str | None = None
    limits: RateLimits | None = None
    quota: Quota = NO_QUOTA
    usual: RateLimits = RateLimits()

    @property
    def actor(self) -> Actor:
        return Actor(ActorType.USER if self.has_roles else ActorType.API_KEY, self.id)

    @property
    def has_roles(self) -> bool:
        """Return whether a user asks, also by way of a client."""
        return self.kind not in (CredentialKind.API_KEY, CredentialKind.CLIENT)

    @property
    def has_scopes(self) -> bool:
        return self.kind not in (CredentialKind.SESSION, CredentialKind.TOKEN)


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


LookUp = Callable[[str], Caller]
"""Returns the caller that a credential names. Raises: Unauthenticated; StoreUnavailable."""


class Authenticator:
    """Finds the caller of a request; an answer is at most `ttl_s` old, so a revocation bites within that time.

    Shape: `others` are the kinds of credentials beside API keys, by what their text begins with.
    """

    def __init__(
        self,
        credentials: Credentials,
        others: Mapping[str, LookUp] = MappingProxyType({}),
        *,
        usual: RateLimits = RateLimits(),  # noqa: B008, it cannot change
        ttl_s: float = 1.0,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._usual = usual
        self._others = others
        self._ttl_s = ttl_s
        self._remembered = remembered
        self._clock = clock
        self._lock = Lock()
        self._callers: dict[str, tuple[float, Caller]] = {}
        self._asked: dict[str, asyncio.Task[Caller]] = {}

    def authenticate(self, header: str | None) -> Caller:
        """Return who sent this API key, or what else `credential_of` found.

        Raises: Unauthenticated; Forbidden, the tenant is not active; StoreUnavailable, safe to retry; what the look-up
        of another kind of credential raises.
        Source: api_key.issued, api_key.rotated, api_key.revoked, issuer.trusted, issuer.distrusted, client.revoked,
        tenant.registered, tenant.suspended, tenant.reactivated, tenant.closed.
        """
        if header is not None and (known := self._known(header)) is not None:
            return known
        look_up = self._way_of(header)
        good_until = self._clock() + self._ttl_s
        caller = look_up()
        status = self._credentials.status_of(caller.tenant_id)
        if status != "ACTIVE":
            raise Forbidden(f"the tenant is {status or 'not known'}; only an active tenant may read or write")
        # a client asks for itself as a key does that says nothing of its limits
        limits = self._usual if caller.kind is CredentialKind.CLIENT else caller.limits
        quota = self._credentials.quota_of(caller.tenant_id)
        caller = caller._replace(limits=limits, quota=quota, usual=self._usual)
        self._remember(str(header), good_until, caller)
        return caller

    async def identify(self, shown: str | None) -> Caller:
        """Do as `authenticate`; where credentials have to be asked, in a thread, and once for all who wait for it."""
        if shown is not None and (known := self._known(shown)) is not None:
            return known
        self._way_of(shown)
        text = str(shown)
        if (asked := self._asked.get(text)) is None:
            # not the loop's own threads: an operator's jobs, which take minutes, hold those
            asked = self._asked[text] = asyncio.create_task(to_thread.run_sync(self.authenticate, text))
            asked.add_done_callback(lambda task: self._told(text, task))
        # one that leaves takes the answer from nobody else
        return await asyncio.shield(asked)

    def _way_of(self, shown: str | None) -> Callable[[], Caller]:
        """Return what finds the caller of a credential. Raises: Unauthenticated, it cannot be one."""
        for start, look_up in self._others.items():
            if shown is not None and shown.startswith(start):
                return partial(look_up, shown.removeprefix(start))
        return partial(self._of_key, parse_key(shown))

    def _remember(self, text: str, good_until: float, caller: Caller) -> None:
        with self._lock:
            self._callers.pop(text, None)
            if len(self._callers) >= self._remembered:
                # the oldest entry is first, because each one is put in again at the end
                del self._callers[next(iter(self._callers))]
            self._callers[text] = (good_until, caller)

    def _told(self, text: str, task: "asyncio.Task[Caller]") -> None:
        del self._asked[text]
        if not task.cancelled():
            task.exception()  # seen: where all who asked have left, asyncio must not complain

    def _known(self, text: str) -> Caller | None:
        with self._lock:
            good_until, caller = self._callers.get(text, (0.0, None))
        return caller if self._clock() < good_until else None

    def _of_key(self, key: Key) -> Caller:
        found = verify(key, self._credentials.find(key.id))
        limits = None if found.limits is None else filled_limits(found.limits, self._usual)
        return Caller(found.tenant_id, key.id, found.scopes, limits=limits)


def filled_limits(limits: RateLimits, usual: RateLimits) -> RateLimits:
    """Return limits with those of a key that says nothing where nothing is said."""
    return RateLimits(*(other if own is None else own for own, other in zip(limits, usual, strict=True)))
