"""A server may listen for syslog beside HTTP: for one tenant, on one address, over TCP and UDP."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, tzinfo
from typing import NamedTuple

from schemas.envelope import TenantId
from streams.intake.syslog.listener import Append, Execute, SyslogListener

_BUFFER_BYTES = 4 * 1024 * 1024


class Syslog(NamedTuple):
    """Where syslog is listened for, for whom, and the zone of times without an offset."""

    host: str
    port: int
    tenant_id: TenantId
    zone: tzinfo = UTC


class OpenSyslog(NamedTuple):
    """Sockets that are bound, before the server begins: an address that cannot be used stops the start."""

    tcp: socket.socket
    udp: socket.socket
    of: Syslog


@asynccontextmanager
async def listening(syslog: OpenSyslog | None, execute: Execute, append: Append) -> AsyncIterator[None]:
    """Listen while the block runs, if there is anything to listen on."""
    if syslog is None:
        yield
        return
    listener = SyslogListener(syslog.of.tenant_id, execute, append, syslog.of.zone)
    await listener.start(syslog.tcp, syslog.udp)
    try:
        yield
    finally:
        await listener.stop()


def open_syslog(syslog: Syslog | None) -> OpenSyslog | None:
    """Return the sockets of the address, one for TCP and one for UDP. Raises: OSError, it cannot be used."""
    if syslog is None:
        return None
    family = socket.AF_INET6 if ":" in syslog.host else socket.AF_INET
    tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((syslog.host, syslog.port))
        # a burst waits in the kernel, as far as it lets us ask
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        udp.bind((syslog.host, tcp.getsockname()[1]))
        tcp.listen(128)
    except OSError as error:
        tcp.close()
        udp.close()
        raise OSError(
            f"{syslog.host}:{syslog.port} cannot be listened on for syslog: {error.strerror}; choose another address"
            " with --syslog"
        ) from error
    return OpenSyslog(tcp, udp, syslog)
