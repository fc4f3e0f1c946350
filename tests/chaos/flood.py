"""How fresh are the views of others while one tenant sends a hundred times what each of them sends?"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from domain.fleet.facts import DeviceMetricsReported
from projections.rows import Role
from schemas.envelope import Position, TenantId, Topic
from streams.ports import FactSubmission
from tests.chaos.load import Reporter
from tests.chaos.read_side import Engines, ReadSide, Watch, wait_until_seen
from tests.examples.moments import HAPPENED_AT

TIMES = 100
"""What the flooding tenant sends against each of the others."""

TURN_S = 0.2
_LOOK_S = 0.1
_SENDERS = 6
_PATIENCE_S = 180.0
FLOODING = TenantId("flooding")


class Answered(NamedTuple):
    tenant_id: TenantId
    position: Position
    at: float


class Freshness(NamedTuple):
    """From a fact's answer to when the last of a role's views was seen past it. Units: seconds, the 99th of 100."""

    before_s: float
    same_partition_s: float
    other_partitions_s: float


class Result(NamedTuple):
    """Shape: `rate` is of each of the others, per second, and `flooding_rate` what the one did reach."""

    tenants: int
    in_the_same_partition: int
    rate: float
    flooding_rate: float
    p99: Mapping[str, Freshness]

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "p99": {role: one._asdict() for role, one in self.p99.items()}}


def run(engines: Engines, folder: Path, *, others: int, rate: int, seconds: float) -> Result:
    """Let the others send alone, then beside the flood, so many seconds each."""
    side = ReadSide(engines, folder)
    tenants = [TenantId(f"t{n}") for n in range(others)]
    with closing(Reporter(side.cluster)) as reporter, side.watched(_LOOK_S, Topic.TELEMETRY) as watches, side.workers():
        sending = _Sending(reporter, tenants, rate)
        # the workers have joined their groups by then
        _wait(watches, sending.run(TURN_S, flood=False))
        alone = sending.run(seconds, flood=False)
        _wait(watches, alone)
        began = time.monotonic()
        beside = sending.run(seconds, flood=True)
        flooded_s = time.monotonic() - began
        _wait(watches, [*beside, *sending.flood])
    flooded = {one.position.partition for one in sending.flood}
    near = [one for one in beside if one.position.partition in flooded]
    far = [one for one in beside if one.position.partition not in flooded]
    return Result(
        tenants=others,
        in_the_same_partition=len({one.tenant_id for one in near}),
        rate=round(len(beside) * sending.each / flooded_s / others, 1),
        flooding_rate=round(len(sending.flood) * sending.each * TIMES / flooded_s, 1),
        p99={
            role.value: Freshness(_p99(watch, alone), _p99(watch, near), _p99(watch, far))
            for role, watch in watches.items()
        },
    )


def _wait(watches: Mapping[Role, Watch], answered: Sequence[Answered]) -> None:
    wait_until_seen(watches, [one.position for one in answered], _PATIENCE_S)


def _p99(watch: Watch, answered: Sequence[Answered]) -> float:
    delays = [max(0.0, seen - one.at) for one in answered if (seen := watch.seen_at(one.position)) is not None]
    assert len(delays) == len(answered)
    return round(sorted(delays)[len(delays) * 99 // 100], 3) if delays else 0.0


class _Sending:
    """Sends a few facts of each tenant in every turn. Shape: `flood` is what the flooding tenant was answered."""

    def __init__(self, reporter: Reporter, tenants: Sequence[TenantId], rate: int) -> None:
        self.each = max(1, round(rate * TURN_S))
        self.flood: list[Answered] = []
        self._reporter = reporter
        self._tenants = tenants
        self._sent = 0
        self._failures: list[BaseException] = []

    def run(self, seconds: float, *, flood: bool) -> list[Answered]:
        answered: list[Answered] = []
        shares = [(self._tenants[n::_SENDERS], self.each, answered) for n in range(_SENDERS)]
        if flood:
            shares.append(([FLOODING], self.each * TIMES, self.flood))
        threads = [threading.Thread(target=self._send, args=(*share, seconds)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
        return answered

    def _send(self, tenants: Sequence[TenantId], each: int, answered: list[Answered], seconds: float) -> None:
        try:
            due = time.monotonic()
            end = due + seconds
            while due < end:
                for tenant in tenants:
                    positions = self._reporter.report(tenant, self._facts(each))
                    answered += [Answered(tenant, position, time.monotonic()) for position in positions]
                due += TURN_S
                time.sleep(max(0.0, due - time.monotonic()))
        except BaseException as error:
            self._failures.append(error)

    def _facts(self, number: int) -> list[FactSubmission]:
        first, self._sent = self._sent, self._sent + number
        return [
            FactSubmission(
                str(n % 5), HAPPENED_AT + timedelta(seconds=n), DeviceMetricsReported(metrics={"cpu": n / 7}, unit="%")
            )
            for n in range(first, first + number)
        ]
