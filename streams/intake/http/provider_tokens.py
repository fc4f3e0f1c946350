"""A provider is asked here what it is, and for the ID token of somebody who has signed in there."""

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.identity.issuer import Url
from projections.sign_in import Provider
from read_api.edge.id_token import Expected, Identity, identity_in
from read_api.edge.jws import BadToken, keys_of
from schemas.envelope import TenantId

_OK = 200
_REMEMBERED = 1_000
_FRESH_S = 60.0
_URL: TypeAdapter[str] = TypeAdapter(Url)


class Answered(NamedTuple):
    status: int
    body: bytes


class CannotAsk(Exception):  # noqa: N818
    """A provider did not answer, not as its standard says, or may not be asked; it may be tried again later."""


class AskProvider(Protocol):
    async def __call__(
        self,
        tenant_id: TenantId,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """Get what is at an address, or post a form to it, for a tenant. Raises: CannotAsk."""


class About(NamedTuple):
    """What a provider says of itself.

    Shape: `says_issuer` tells if it says who it is when it sends the browser back; `by_form` if it takes the secret in
    the form alone. Source: OpenID Connect Discovery 1.0; RFC 9207.
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    says_issuer: bool
    by_form: bool


class ProviderTokens:
    """Asks providers. What they say of themselves is remembered for a minute: anybody may begin to sign in."""

    def __init__(self, ask: AskProvider, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._about: dict[tuple[TenantId, str], tuple[float, About]] = {}

    async def about(self, tenant_id: TenantId, issuer: str) -> About:
        """Raises: CannotAsk."""
        place, now = (tenant_id, issuer), self._clock()
        if (known := self._about.get(place)) and now < known[0]:
            return known[1]
        # source: OpenID Connect Discovery 1.0, section 4.1
        said = await self._json(tenant_id, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        found = _about(said, issuer)
        self._about.pop(place, None)
        if len(self._about) >= _REMEMBERED:
            # the oldest is first, because each one is put in again at the end
            del self._about[next(iter(self._about))]
        self._about[place] = (now + _FRESH_S, found)
        return found

    async def identity(
        self,
        tenant_id: TenantId,
        about: About,
        provider: Provider,
        form: Mapping[str, str],
        *,
        secret: str,
        nonce: str,
    ) -> Identity:
        """Return who somebody is, for the code in a form that asks for a token.

        Raises: CannotAsk; BadToken, the provider gave a token that does not say it.
        """
        headers, more = {}, {"client_id": provider.client_id, "client_secret": secret}
        if not about.by_form:
            # source: RFC 6749, section 2.3.1
            both = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
            headers, more = {"authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}, {}
        said = await self._json(tenant_id, about.token_endpoint, {**form, **more}, headers)
        text = said.get("id_token")
        if not isinstance(text, str):
            raise BadToken("there is none")
        # asked each time: a key that the provider took back counts no more, and a new one at once
        keys = keys_of(await self._json(tenant_id, about.jwks_uri))
        return identity_in(text, keys, Expected(provider.issuer, provider.client_id, nonce), time.time())

    async def _json(
        self,
        tenant_id: TenantId,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """Raises: CannotAsk."""
        answer = await self._ask(tenant_id, url, form, headers)
        if answer.status != _OK:
            # of what it says an error code at most: the rest may name people
            raise CannotAsk(f"{url} answers {answer.status}")
        try:
            said = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise CannotAsk(f"{url} does not answer with an object of JSON")
        return said


def _about(said: Mapping[str, Any], issuer: str) -> About:
    """Raises: CannotAsk."""
    if said.get("issuer") != issuer:
        # else it could have tokens of somebody else's provider taken for its own
        raise CannotAsk(f"{issuer} says that it is {str(said.get('issuer'))[:200]}")
    methods = said.get("token_endpoint_auth_methods_supported")
    by_form = isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
    try:
        authorization, token, keys = (
            _URL.validate_python(said.get(name)) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        )
    except ValidationError as error:
        raise CannotAsk(f"{issuer} does not say where it is to be asked") from error
    says_issuer = said.get("authorization_response_iss_parameter_supported") is True
    return About(authorization, token, keys, says_issuer=says_issuer, by_form=by_form)
