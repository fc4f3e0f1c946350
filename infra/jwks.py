"""The keys of an issuer are fetched from its address with this."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from read_api.edge.issuer_keys import CannotFetch, Fetch

_TIMEOUT_S = 5.0
_LARGEST = 256 * 1024
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

OVER_HTTP = "FACTLINE_ISSUERS_OVER_HTTP"
"""The variable that lets issuers on this machine be asked without encryption: for trying, not for production."""


def fetching(environment: Mapping[str, str]) -> Fetch:
    """Return what fetches keys; without encryption only from this machine, and only where the environment says so."""
    over_http = environment.get(OVER_HTTP) == "1"

    def fetch(url: str) -> bytes:
        parts = urlsplit(url)
        is_here = over_http and parts.scheme == "http" and parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not is_here:
            raise CannotFetch(f"{url} is not https; {OVER_HTTP}=1 lets an issuer on this machine do without")
        return asyncio.run(_fetched(url))

    return fetch


async def _fetched(url: str) -> bytes:
    # a tenth of a second of every start: only where a tenant trusts an issuer that has an address
    import httpx  # noqa: PLC0415

    body = bytearray()
    try:
        # the client's own time-outs begin anew with each byte; where a redirect leads to was not said by the tenant
        async with (
            asyncio.timeout(_TIMEOUT_S),
            httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise CannotFetch(f"{url} answers {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST:
                    raise CannotFetch(f"{url} says too much")
    except TimeoutError as error:
        raise CannotFetch(f"{url} is too slow") from error
    except httpx.HTTPError as error:
        raise CannotFetch(f"{url} does not answer: {error}") from error
    return bytes(body)
