import asyncio
from collections.abc import Sequence

import pytest

from domain.fleet.device import ChangeDeviceStatus, RegisterDevice, UpdateDevice
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported
from domain.message import Command
from streams.intake import host_metrics
from streams.intake.host_metrics import HostMetrics
from streams.intake.hosts import host_device_id
from streams.ports import FactSubmission, LogFull, Overloaded


class Machine:
    """What a machine sends, to a log that refuses the first few requests."""

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self._failures = list(failures)
        self.commands: list[Command] = []
        self.facts: list[FactSubmission] = []

    async def execute(self, command: Command) -> None:
        self._fail()
        self.commands.append(command)

    async def append(self, facts: Sequence[FactSubmission]) -> None:
        self._fail()
        self.facts += facts

    def _fail(self) -> None:
        if self._failures:
            raise self._failures.pop(0)

    async def run_until_it_reports(self) -> None:
        task = asyncio.create_task(HostMetrics(self.execute, self.append, version="1").run())
        while not self.facts:
            await asyncio.sleep(0.01)
            assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_metrics, "INTERVAL_S", 0.01)


def test_machine_registers_reports_and_says_that_it_goes() -> None:
    machine = Machine()
    asyncio.run(machine.run_until_it_reports())
    kinds = [type(command) for command in machine.commands]
    assert kinds == [RegisterDevice, UpdateDevice, ChangeDeviceStatus, ChangeDeviceStatus]
    assert {type(fact.fact) for fact in machine.facts} == {DeviceMetricsReported, DeviceHeartbeat}


def test_log_that_is_full_when_it_starts_costs_readings_never_the_reporter() -> None:
    machine = Machine([LogFull("full"), Overloaded(), LogFull("full")])
    asyncio.run(machine.run_until_it_reports())
    assert [type(command) for command in machine.commands][:3] == [RegisterDevice, UpdateDevice, ChangeDeviceStatus]


@pytest.mark.parametrize(
    ("node", "device_id"),
    [("web-1.example", "web-1.example"), ("my machine", "my-machine"), ("", "localhost"), ("._", "localhost")],
)
def test_any_name_of_a_machine_gives_a_device_id(node: str, device_id: str) -> None:
    assert host_device_id(node) == device_id


def test_log_that_is_full_when_it_ends_does_not_keep_the_reporter_alive() -> None:
    async def ended() -> bool:
        machine = Machine()
        task = asyncio.create_task(HostMetrics(machine.execute, machine.append, version="1").run())
        for _ in range(1_000):
            if machine.facts:
                break
            await asyncio.sleep(0.01)
        machine._failures = [LogFull("full")] * 9
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(ended())
