"""Requests of tasks leave through here: to public addresses and those allowed, never for longer or larger than said."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from factline.worker import Failed, Postponed
from infra.handlers.calls import calls_of_tasks
from infra.handlers.settings import Networks
from infra.outside import Call, NotAsked, Outside

Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_TRIED = 3  # addresses of one host
_REDIRECTS = 5
_WAIT_S = 2.0
"""How long a task waits for a place among the calls of its host before it is given back."""

_MOST_NAMES = 128
"""Names of a tenant that are looked up at a time, in threads of its own: a name server that does not answer keeps
neither another thread nor another tenant waiting. A look-up goes on after its task gave up."""

_UNWELL = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)


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
    """Sends requests of one tenant; `allowed` are the networks that tasks may reach although they are not public.

    Shape: what is checked is the address to which a connection is made, so neither a name nor a redirect leads
    elsewhere. No proxy is used, because a proxy would make connections that nobody checks. A host is a system of
    `outside` for each tenant, so that what one does to a host is nothing to another; `part` tells apart what shall be
    nothing to each other within a tenant, and shares `names`, the threads in which names are looked up.
    """

    def __init__(
        self,
        allowed: Networks = (),
        outside: Outside | None = None,
        tenant: str = "",
        part: str = "",
        names: ThreadPoolExecutor | None = None,
    ) -> None:
        self._allowed = allowed
        self._names = names or ThreadPoolExecutor(_MOST_NAMES, "names")
        self._outside = outside or calls_of_tasks()
        self._tenant = tenant
        self._part = part

    def apart(self, part: str) -> "Outgoing":
        """Return what sends for one part of the tenant, to which no other part's calls of a host matter."""
        return Outgoing(self._allowed, self._outside, self._tenant, part, self._names)

    def calling(self, host: str, port: int) -> AbstractAsyncContextManager[Call]:
        """Hold a place for a call of a host. Raises: NotAsked, none is free or the host failed too often."""
        return self._outside.waiting(f"{host}:{port}", whose=f"{self._tenant}/{self._part}", wait_s=_WAIT_S)

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
        expect: Container[int] = (),
    ) -> AsyncIterator[httpx.Response]:
        """Give the answer to a request when its head is there; `timeout_s` is for all of the block.

        Shape: redirects are followed where that is wanted, each to an address that is checked as well. A status from
        500 on says that the host is not well, unless it is expected.
        Raises: AddressRefused; NotAsked; httpx.HTTPError; TimeoutError.
        """
        # what comes is counted as it comes: a small answer could unpack to a huge one
        all_headers = {"accept-encoding": "identity", "user-agent": "factline", **(headers or {})}
        async with self.calling(*_host_of(url)) as call:
            try:
                async with (
                    asyncio.timeout(timeout_s),
                    httpx.AsyncClient(
                        transport=_Transport(_tls(), self._allowed, self._names),
                        timeout=timeout_s,
                        trust_env=False,
                        max_redirects=_REDIRECTS,
                        follow_redirects=follow,
                    ) as client,
                    client.stream(method, url, headers=all_headers, content=content) as response,
                ):
                    call.unwell = response.is_server_error and response.status_code not in expect
                    yield response
            except _UNWELL:
                call.unwell = True
                raise


def _host_of(url: str) -> tuple[str, int]:
    """Return which system a request is for. Raises: httpx.InvalidURL."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error


_PORTS = {"http": 80, "https": 443}


@cache
def _tls() -> ssl.SSLContext:
    # it takes a moment and some memory, and is the same for all
    return httpx.create_ssl_context()


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, tls: ssl.SSLContext, allowed: Networks, names: ThreadPoolExecutor) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no parameter for it; what its constructor made has no connection yet
        self._pool = httpcore.AsyncConnectionPool(ssl_context=tls, network_backend=_Checked(allowed, names))


class _Checked(httpcore.AsyncNetworkBackend):
    def __init__(self, allowed: Networks, names: ThreadPoolExecutor) -> None:
        self._allowed = allowed
        self._names = names
        self._made_by = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await _addresses_of(host, port, self._names)
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


async def _addresses_of(host: str, port: int, names: ThreadPoolExecutor) -> Sequence[Address]:
    """Return the addresses of a host, at least one. Raises: ConnectError."""
    try:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(names, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
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
    if isinstance(error, NotAsked):
        return Postponed(str(error), retry_after_s=error.retry_after_s)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failed(f"{url} did not answer in time")
    why = str(error) or type(error).__name__
    never = isinstance(error, AddressRefused | httpx.UnsupportedProtocol | httpx.TooManyRedirects | httpx.InvalidURL)
    return Failed(why if isinstance(error, AddressRefused) else f"{url}: {why}", retryable=not never)


FAILURES = (AddressRefused, NotAsked, httpx.HTTPError, httpx.InvalidURL, TimeoutError)
"""What `request` may raise."""
