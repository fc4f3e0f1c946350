import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo

import pytest

from domain.fleet.device import RegisterDevice
from domain.fleet.facts import LogRecorded
from infra.serve.syslog import Syslog, listening, open_syslog
from schemas.envelope import Actor, TenantId
from streams.intake.syslog import listener
from streams.intake.syslog.messages import Heard, Received
from streams.intake.syslog.messages import heard as heard_message
from streams.ports import FactSubmission, LogFull, Submission

DEMO = TenantId("demo")


class Log:
    """Keeps what it is given, but refuses the first few batches."""

    def __init__(self, refused: int = 0) -> None:
        self.facts: list[FactSubmission] = []
        self.devices: list[str] = []
        self._refused = refused

    async def execute(self, submission: Submission) -> None:
        assert isinstance(submission.command, RegisterDevice)
        self.devices.append(submission.command.device_id)

    async def append(self, tenant_id: TenantId, facts: Sequence[FactSubmission], _actor: Actor) -> None:
        assert tenant_id == DEMO
        if self._refused:
            self._refused -= 1
            raise LogFull("no space")
        self.facts += facts

    def lines(self) -> list[tuple[str, str]]:
        found = []
        for fact in self.facts:
            assert isinstance(fact.fact, LogRecorded)
            found.append((fact.device_id, fact.fact.summary))
        return found


def heard(log: Log, send: Callable[[int], Awaitable[None]]) -> None:
    """Listen on a free port while something is sent to it, and end."""

    async def run() -> None:
        syslog = open_syslog(Syslog("127.0.0.1", 0, DEMO))
        assert syslog is not None
        async with listening(syslog, log.execute, log.append):
            await send(syslog.tcp.getsockname()[1])

    asyncio.run(run())


async def over_tcp(port: int, *parts: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.2)


def test_messages_over_tcp_are_recorded_by_host_in_their_order() -> None:
    log = Log()
    heard(
        log,
        lambda port: over_tcp(
            port, b"<13>Jan  1 00:00:20 gw p: a\n27 <13>Jan  1 00:0", b"0:20 db p: b<13>Jan  1 00:00:20 gw p: c"
        ),
    )
    assert log.lines() == [("gw", "a"), ("db", "b"), ("gw", "c")]
    assert log.devices == ["gw", "db"]
    assert len({fact.fact_id for fact in log.facts}) == 3


def test_messages_over_udp_are_recorded() -> None:
    log = Log()

    async def send(port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for text in (b"<13>Jan  1 00:00:20 gw p: a\n", b"m"):
                udp.sendto(text, ("127.0.0.1", port))
        await asyncio.sleep(0.2)

    heard(log, send)
    assert log.lines() == [("gw", "a"), ("127.0.0.1", "m")]


def test_what_the_log_refused_is_sent_again_at_the_end() -> None:
    log = Log(refused=1)
    heard(log, lambda port: over_tcp(port, b"<13>Jan  1 00:00:20 gw p: a\n"))
    assert log.lines() == [("gw", "a")]


def test_message_that_fails_in_a_way_nobody_foresaw_costs_its_own_line_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(received: Received, zone: tzinfo) -> Heard:
        if b"bad" in received.message:
            raise KeyError("nobody foresaw it")
        return heard_message(received, zone)

    monkeypatch.setattr(listener, "heard", failing)
    log = Log()

    async def send(port: int) -> None:
        await over_tcp(port, b"<13>Jan  1 00:00:20 gw p: bad\n")
        await over_tcp(port, b"<13>Jan  1 00:00:20 gw p: bad\n<13>Jan  1 00:00:21 gw p: good\n")

    heard(log, send)
    assert log.lines() == [("gw", "good")]


def test_log_that_fails_in_a_way_nobody_foresaw_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_AGAIN_S", 0.01)
    log = Log()
    append, failed = log.append, 0

    async def failing(tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor) -> None:
        nonlocal failed
        failed += 1
        if failed == 1:
            raise KeyError("nobody foresaw it")
        await append(tenant_id, facts, actor)

    monkeypatch.setattr(log, "append", failing)

    async def send(port: int) -> None:
        await over_tcp(port, b"<13>Jan  1 00:00:20 gw p: a\n")
        await over_tcp(port, b"<13>Jan  1 00:00:20 gw p: b\n")

    heard(log, send)
    assert log.lines() == [("gw", "a"), ("gw", "b")]
