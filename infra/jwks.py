"""The keys of an issuer are fetched from its address with this."""

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

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
        return _fetched(url)

    return fetch


def _fetched(url: str) -> bytes:
    deadline, body = time.monotonic() + _TIMEOUT_S, bytearray()
    try:
        # where a redirect leads to was not said by the tenant
        with httpx.stream("GET", url, timeout=_TIMEOUT_S, follow_redirects=False) as answer:
            if answer.status_code != httpx.codes.OK:
                raise CannotFetch(f"{url} answers {answer.status_code}")
            for chunk in answer.iter_bytes(_LARGEST):
                body += chunk
                if len(body) > _LARGEST or time.monotonic() > deadline:
                    raise CannotFetch(f"{url} says too much, or is too slow")
    except httpx.HTTPError as error:
        raise CannotFetch(f"{url} does not answer: {error}") from error
    return bytes(body)
