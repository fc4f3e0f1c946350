"""Providers through which people sign in are asked here: what they are, for a token, and for their keys."""

from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from infra.handlers.settings import HandlerSettings, Networks
from infra.jwks import LOOPBACK, OVER_HTTP
from infra.outside import NotAsked, Outside
from schemas.envelope import TenantId
from streams.intake.http.provider_tokens import Answered, AskProvider, CannotAsk

if TYPE_CHECKING:
    from infra.handlers.outgoing import Outgoing

_TIMEOUT_S = 5.0
_LARGEST = 256 * 1024
_OF_ALL = 64
_OF_TENANT = 16
"""So many calls of one tenant run at a time, whatever providers it has: slow ones leave places for other tenants."""
_HERE: Final[Networks] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def providers() -> Outside:
    """Return what providers are asked through. Shape: each is a system of its own for each of its tenants."""
    return Outside("sign_in_providers", of_one=8, of_all=_OF_ALL)


def asking(environment: Mapping[str, str], outside: Outside) -> AskProvider:
    """Return what asks providers: over HTTPS, at public addresses and those that the environment allows.

    Shape: without encryption only this machine is asked, and only where the environment says so.
    Raises: BadSettings.
    """
    allowed = HandlerSettings.from_environment(environment).allowed
    over_http = environment.get(OVER_HTTP) == "1"
    running: Counter[TenantId] = Counter()

    async def ask(
        tenant_id: TenantId, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise CannotAsk(f"{url} is no address: {error}") from error
        is_here = over_http and parts.scheme == "http" and parts.hostname in LOOPBACK
        if parts.scheme != "https" and not is_here:
            raise CannotAsk(f"{url} is not https; {OVER_HTTP}=1 lets a provider on this machine do without")
        # a tenth of a second of every start: only where somebody signs in through a provider
        from infra.handlers.outgoing import Outgoing  # noqa: PLC0415

        outgoing = Outgoing(_HERE if is_here else allowed, outside, tenant_id)
        if running[tenant_id] >= _OF_TENANT:
            raise CannotAsk(f"{running[tenant_id]} calls of providers of this tenant run already")
        running[tenant_id] += 1
        try:
            return await _asked(outgoing, url, form, headers or {})
        finally:
            running[tenant_id] -= 1
            if not running[tenant_id]:
                del running[tenant_id]

    return ask


async def _asked(
    outgoing: "Outgoing", url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
) -> Answered:
    """Raises: CannotAsk."""
    import httpx  # noqa: PLC0415

    from infra.handlers.outgoing import AddressRefused, read_up_to  # noqa: PLC0415

    content, method, more = None, "GET", dict(headers)
    if form:
        content, method = urlencode(form).encode(), "POST"
        more["content-type"] = "application/x-www-form-urlencoded"
    try:
        # where a redirect leads to was not said by the tenant
        async with outgoing.request(method, url, headers=more, content=content, timeout_s=_TIMEOUT_S) as answer:
            body, is_more = await read_up_to(answer, _LARGEST)
            if is_more:
                raise CannotAsk(f"{url} says too much")
            return Answered(answer.status_code, body)
    except (AddressRefused, NotAsked) as error:
        raise CannotAsk(str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
        raise CannotAsk(f"{url} does not answer: {str(error) or type(error).__name__}") from error
