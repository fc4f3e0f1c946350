"""The keys of an issuer are fetched from its address with this."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from infra.outside import NotAsked, Outside
from read_api.edge.issuer_keys import CannotFetch, Fetch

_TIMEOUT_S = 5.0
_LARGEST = 256 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

OVER_HTTP = "FACTLINE_ISSUERS_OVER_HTTP"
"""The variable that lets issuers on this machine be asked without encryption: for trying, not for production."""


class _NoAnswer(CannotFetch):
    """The address did not answer, or said that its server is not well; it is asked again later."""


def issuers() -> Outside:
    """Return what addresses of keys are asked through.

    Shape: each address is a system of its own, so that a wrong one of a tenant does no harm to another's.
    """
    return Outside("issuer_keys", _NoAnswer)


def fetching(environment: Mapping[str, str], outside: Outside) -> Fetch:
    """Return what fetches keys; without encryption only from this machine, and only where the environment says so."""
    over_http = environment.get(OVER_HTTP) == "1"

    def fetch(url: str) -> bytes:
        parts = urlsplit(url)
        is_here = over_http and parts.scheme == "http" and parts.hostname in LOOPBACK
        if parts.scheme != "https" and not is_here:
            raise CannotFetch(f"{url} is not https; {OVER_HTTP}=1 lets an issuer on this machine do without")
        try:
            return asyncio.run(outside.call(url, lambda: _fetched(url), within_s=_TIMEOUT_S))
        except TimeoutError as error:
            raise CannotFetch(f"{url} is too slow") from error
        except NotAsked as error:
            raise CannotFetch(str(error)) from error

    return fetch


async def _fetched(url: str) -> bytes:
    # a tenth of a second of every start: only where a tenant trusts an issuer that has an address
    import httpx  # noqa: PLC0415

    body = bytearray()
    try:
        # where a redirect leads to was not said by the tenant
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.is_server_error:
                raise _NoAnswer(f"{url} answers {answer.status_code}")
            if answer.status_code != httpx.codes.OK:
                raise CannotFetch(f"{url} answers {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST:
                    raise CannotFetch(f"{url} says too much")
    except httpx.HTTPError as error:
        raise _NoAnswer(f"{url} does not answer: {error}") from error
    return bytes(body)
