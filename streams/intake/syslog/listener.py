"""This takes syslog over UDP and TCP: lines wait in a bounded queue and are recorded in batches."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, tzinfo
from time import monotonic

from domain.fleet.device import RegisterDevice
from schemas.envelope import Actor, ActorType, TenantId
from streams.identifiers import named_uuid
from streams.intake.syslog.framing import BadFrame, Frames
from streams.intake.syslog.messages import Heard, Received, heard
from streams.ports import FactSubmission, LogUnavailable, Overloaded, Submission

_LOG = logging.getLogger(__name__)
_ACTOR = Actor(ActorType.SYSTEM, "syslog")

MAX_WAITING = 10_000
"""Messages that may wait; over TCP a sender then waits too, over UDP the newest are lost, and that is said."""

MAX_HOSTS = 10_000
"""Hosts whose devices a listener registers; the name of a host is what anybody writes into a message."""

_BATCH = 1_000
_PAUSE_S = 0.05
_AGAIN_S = 1.0
_SAY_EVERY_S = 60.0
_READ_BYTES = 65_536

Execute = Callable[[Submission], Awaitable[object]]
Append = Callable[[TenantId, Sequence[FactSubmission], Actor], Awaitable[object]]


class SyslogListener:
    """Records what comes for one tenant until it is stopped.

    Belongs to one event loop. What has come and is not recorded yet is recorded before `stop` returns, unless the log
    does not take it.
    """

    def __init__(self, tenant_id: TenantId, execute: Execute, append: Append, zone: tzinfo = UTC) -> None:
        self._tenant_id = tenant_id
        self._execute = execute
        self._append = append
        self._zone = zone
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(MAX_WAITING)
        self._batch: list[Heard] = []
        self._known: set[str] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._lost = 0
        self._said_at = -_SAY_EVERY_S
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._recording: asyncio.Task[None] | None = None

    async def start(self, tcp: socket.socket, udp: socket.socket) -> None:
        """Listen on two sockets that are bound already."""
        loop = asyncio.get_running_loop()
        self._recording = loop.create_task(self._record())
        self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._came), sock=udp)
        self._server = await asyncio.start_server(self._connected, sock=tcp)

    async def stop(self) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._recording is not None:
            self._recording.cancel()
            await asyncio.gather(self._recording, return_exceptions=True)
        while self._batch or not self._waiting.empty():
            batch, self._batch = self._batch or self._taken(), []
            if not await self._send(batch):
                left = len(batch) + self._waiting.qsize()
                _LOG.error("syslog: %d messages were not recorded: the log does not take them", left)
                return

    def _came(self, message: bytes, sender: str) -> None:
        """Take a datagram, which nobody sends again."""
        try:
            self._waiting.put_nowait(Received(message, sender, datetime.now(UTC)))
        except asyncio.QueueFull:
            self._lost += 1
            self._say(f"{self._lost} messages over UDP were lost, because the log takes them slower than they come")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection is served by a task
        self._connections.add(task)
        sender = str(writer.get_extra_info("peername")[0])
        frames = Frames()
        try:
            while data := await reader.read(_READ_BYTES):
                await self._wait_for_room(frames.add(data), sender)
            await self._wait_for_room(frames.end(), sender)
        except (BadFrame, ConnectionError) as error:
            self._say(f"the connection of {sender} was closed: {error}")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _wait_for_room(self, messages: Sequence[bytes], sender: str) -> None:
        for message in messages:
            await self._waiting.put(Received(message, sender, datetime.now(UTC)))

    async def _record(self) -> None:
        while True:
            if not self._batch:
                first = await self._waiting.get()
                self._batch = self._heard([first])
                # what comes together is recorded together
                await asyncio.sleep(_PAUSE_S)
                self._batch += self._taken()
            if await self._send(self._batch):
                self._batch = []
            else:
                await asyncio.sleep(_AGAIN_S)

    def _taken(self) -> list[Heard]:
        return self._heard([self._waiting.get_nowait() for _ in range(min(_BATCH, self._waiting.qsize()))])

    def _heard(self, messages: Sequence[Received]) -> list[Heard]:
        """Return the lines that messages are; one that nobody foresaw costs its own line and no other."""
        lines: list[Heard] = []
        for received in messages:
            try:
                lines.append(heard(received, self._zone))
            except Exception:  # noqa: BLE001 - whatever it is: nobody else records the others
                _LOG.exception("syslog: a message of %s was not recorded", received.sender)
        return lines

    async def _send(self, lines: Sequence[Heard]) -> bool:
        """Record a batch; False if the log does not take it now: its ids stay, so that it may be sent again."""
        try:
            for line in lines:
                await self._register(line)
            known = [line.fact for line in lines if line.fact.device_id in self._known]
            if known:
                await self._append(self._tenant_id, known, _ACTOR)
        except (LogUnavailable, Overloaded) as error:
            self._say(f"messages wait: {error}")
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody else records them
            self._say(f"messages wait, for a fault nobody foresaw: {type(error).__name__}: {error}")
            return False
        return True

    async def _register(self, line: Heard) -> None:
        """Make a device of a host that was not heard before; one that is registered already stays as it is."""
        device_id = line.fact.device_id
        if device_id in self._known:
            return
        if len(self._known) >= MAX_HOSTS:
            self._say(
                f"messages of hosts beyond the first {MAX_HOSTS} are not recorded; the last one is {line.hostname}"
            )
            return
        command = RegisterDevice(device_id=device_id, hostname=line.hostname)
        id_ = named_uuid(self._tenant_id, "syslog", "device", device_id)
        await self._execute(Submission(id_, self._tenant_id, "fleet.RegisterDevice", command, _ACTOR))
        self._known.add(device_id)

    def _say(self, text: str) -> None:
        if monotonic() - self._said_at >= _SAY_EVERY_S:
            self._said_at = monotonic()
            _LOG.warning("syslog: %s", text)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, came: Callable[[bytes, str], None]) -> None:
        self._came = came

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._came(data, addr[0])
