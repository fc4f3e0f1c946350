"""The server's own machine is the first device: it is registered and reports readings every two seconds."""

import asyncio
import platform
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

import psutil

from domain.fleet.device import ChangeDeviceStatus, DeviceStatus, RegisterDevice, UpdateDevice
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported
from domain.message import Command
from streams.intake.hosts import host_device_id
from streams.ports import FactSubmission, LogUnavailable, Overloaded

INTERVAL_S = 2.0
HEARTBEAT_S = 30.0

Execute = Callable[[Command], Awaitable[object]]
Append = Callable[[Sequence[FactSubmission]], Awaitable[object]]


class _Traffic(NamedTuple):
    at_s: float
    sent: int
    received: int


class HostMetrics:
    """Reports this machine as a device of one tenant until it is cancelled."""

    def __init__(self, execute: Execute, append: Append, *, version: str) -> None:
        self._execute = execute
        self._append = append
        self._version = version
        self.device_id = host_device_id(platform.node())

    async def run(self) -> None:
        """Register the device, then report; a log that does not answer costs readings, never the reporter."""
        await self._register()
        try:
            await self._report()
        finally:
            # an error in place of the cancellation would be taken for one of the readings, and the server would not end
            with suppress(LogUnavailable, Overloaded):
                await self._execute(ChangeDeviceStatus(device_id=self.device_id, status=DeviceStatus.OFFLINE))

    async def _register(self) -> None:
        while True:
            try:
                await self._describe()
            except (LogUnavailable, Overloaded):
                await asyncio.sleep(INTERVAL_S)
            else:
                return

    async def _describe(self) -> None:
        system = platform.uname()
        hostname = system.node or "localhost"
        described = {
            "os_type": system.system or None,
            "os_version": system.release or None,
            "device_type": "server",
            "agent_version": self._version,
        }
        # refused where it is registered already; the update then changes only what is new
        await self._execute(RegisterDevice(device_id=self.device_id, hostname=hostname, **described))
        await self._execute(UpdateDevice(device_id=self.device_id, hostname=hostname, **described))
        await self._execute(ChangeDeviceStatus(device_id=self.device_id, status=DeviceStatus.ONLINE))

    async def _report(self) -> None:
        psutil.cpu_percent()
        before = _traffic()
        last_heartbeat_s = -HEARTBEAT_S
        while True:
            await asyncio.sleep(INTERVAL_S)
            now = _traffic()
            facts = self._readings(before, now)
            if now.at_s - last_heartbeat_s >= HEARTBEAT_S:
                facts.append(self._fact(DeviceHeartbeat(agent_version=self._version)))
                last_heartbeat_s = now.at_s
            before = now
            try:
                await self._append(facts)
            except (LogUnavailable, Overloaded):
                continue

    def _readings(self, before: _Traffic, now: _Traffic) -> list[FactSubmission]:
        seconds = max(now.at_s - before.at_s, 0.001)
        percent = {
            "cpu_percent": psutil.cpu_percent(),
            "memory_percent": psutil.virtual_memory().percent,
            "disk_percent": psutil.disk_usage("/").percent,
        }
        rates = {
            "network_sent": (now.sent - before.sent) / seconds,
            "network_received": (now.received - before.received) / seconds,
        }
        load = {"load_1m": psutil.getloadavg()[0]}
        return [
            self._fact(DeviceMetricsReported(metrics=metrics, unit=unit))
            for metrics, unit in ((percent, "percent"), (rates, "bytes/s"), (load, ""))
        ]

    def _fact(self, fact: DeviceMetricsReported | DeviceHeartbeat) -> FactSubmission:
        return FactSubmission(self.device_id, datetime.now(UTC), fact)


def _traffic() -> _Traffic:
    counters = psutil.net_io_counters()
    # None on a machine without any network interface
    return _Traffic(time.monotonic(), *((counters.bytes_sent, counters.bytes_recv) if counters else (0, 0)))
