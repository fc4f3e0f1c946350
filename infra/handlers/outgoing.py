"""Requests of tasks leave through here: to public addresses and those allowed, never for longer or larger than said."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore
import httpx

from factline.worker import Failed
from infra.handlers.settings import Networks

Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_TRIED = 3  # addresses of one host
_REDIRECTS = 5


class AddressRefused(Exception):  # noqa: N818
    """A host has no address to which a task may go; a retry gives the same answer until it has."""


def is_public(address: Address) -> bool:
    """Tell if everybody could reach an address: it is not private, shared, loopback, link-local or multicast.

    Shape: an IPv6 address that stands for one of IPv4 is as public as that one.
    Source: the IANA special-purpose address registries, as `ipaddress` has them.
    """
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(inside)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


class Outgoing:
    """Sends requests; `allowed` are the networks that tasks may reach although they are not public.

    Shape: what is checked is the address to which a connection is made, so neither a name nor a redirect leads
    elsewhere. No proxy is used, because a proxy would make connections that nobody checks.
    """

    def __init__(self, allowed: Networks = ()) -> None:
        self._allowed = allowed
        self._tls = httpx.create_ssl_context()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_s: float,
        follow: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """Give the answer to a request when its head is there; `timeout_s` is for all of the block.

        Shape: redirects are followed where that is wanted, each to an address that is checked as well.
        Raises: AddressRefused; httpx.HTTPError; TimeoutError.
        """
        # what comes is counted as it comes: a small answer could unpack to a huge one
        all_headers = {"accept-encoding": "identity", "user-agent": "factline", **(headers or {})}
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(
                transport=_Transport(self._tls, self._allowed),
                timeout=timeout_s,
                trust_env=False,
                max_redirects=_REDIRECTS,
                follow_redirects=follow,
            ) as client,
            client.stream(method, url, headers=all_headers, content=content) as response,
        ):
            yield response


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, tls: ssl.SSLContext, allowed: Networks) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no parameter for it; what its constructor made has no connection yet
        self._pool = httpcore.AsyncConnectionPool(ssl_context=tls, network_backend=_Checked(allowed))


class _Checked(httpcore.AsyncNetworkBackend):
    def __init__(self, allowed: Networks) -> None:
        self._allowed = allowed
        self._made_by = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await _addresses_of(host, port)
        may = [address for address in found if self._may_reach(address)]
        if not may:
            where = host if host == str(found[0]) else f"{host}, whose address is {found[0]},"
            raise AddressRefused(
                f"{where} is not public; whoever runs the worker may allow it with FACTLINE_ALLOW_NETWORKS"
            )
        for address in may[:_TRIED]:
            try:
                return await self._made_by.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except httpcore.ConnectError as failed:
                error = failed
        raise error

    def _may_reach(self, address: Address) -> bool:
        plain = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
        return is_public(address) or any(plain in network for network in self._allowed)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - as httpcore calls it
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused(f"{path} is no host")

    async def sleep(self, seconds: float) -> None:
        await self._made_by.sleep(seconds)


async def _addresses_of(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of a host, at least one. Raises: ConnectError."""
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} has no address: {error}") from error
    found = list(dict.fromkeys(ip_address(row[4][0]) for row in rows))
    if not found:
        raise httpcore.ConnectError(f"{host} has no address")
    return found


async def read_up_to(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """Return the first bytes of an answer, and whether there are more."""
    body = bytearray()
    async for some in response.aiter_raw():
        body += some
        if len(body) > most:
            return bytes(body[:most]), True
    return bytes(body), False


def failure_of(error: Exception, url: str) -> Failed:
    """Return why a request failed, as the failure of its task: no retry helps where it may not or cannot be sent."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failed(f"{url} did not answer in time")
    why = str(error) or type(error).__name__
    never = isinstance(error, AddressRefused | httpx.UnsupportedProtocol | httpx.TooManyRedirects | httpx.InvalidURL)
    return Failed(why if isinstance(error, AddressRefused) else f"{url}: {why}", retryable=not never)


FAILURES = (AddressRefused, httpx.HTTPError, httpx.InvalidURL, TimeoutError)
"""What `request` may raise."""
