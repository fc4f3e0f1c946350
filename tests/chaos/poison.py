"""A faulty release cannot take two events among thousands: what is parked then, and what mends it?"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from domain.fleet.device import ChangeDeviceStatus, DeviceStatus, RegisterDevice, TagDevice
from domain.message import Command
from projections.catalog import of_role
from projections.rows import Checkpoint, Role, StoredRow, View
from schemas.envelope import Position, StreamId, TenantId
from streams.ports import Reply
from streams.project.distributed_operations import DistributedOperations
from streams.project.step import Step
from tests.chaos.flawed import FATAL
from tests.chaos.load import Recorder
from tests.chaos.read_side import Engines, ReadSide, wait_until_seen
from tests.streams.kit import register_tenant, submission

TENANT = TenantId("acme")
UNDECODABLE, UNPROJECTABLE = "4", "7"
POISONED = {StreamId(f"device-{UNDECODABLE}"), StreamId(f"device-{UNPROJECTABLE}")}
_LOOK_S = 0.1
_AT_ONCE = 1_000
_PATIENCE_S = 120.0


class Result(NamedTuple):
    """What became of it. Shape: `parked` maps a stream to the views that parked it, while the release was faulty."""

    events: int
    parked: Mapping[StreamId, Sequence[str]]
    letters: int
    rows_of_others_missing: int
    taken: int
    still_parked: int
    checkpoints_moved: int
    differences: int
    dead_letters: int

    @property
    def failures(self) -> list[str]:
        """Return what must not be, by name."""
        wrong = {
            "streams parked that are not poisoned": len(self.parked.keys() - POISONED),
            "poisoned streams not parked": len(POISONED - self.parked.keys()),
            "rows of others missing": self.rows_of_others_missing,
            "records still parked": self.still_parked + self.dead_letters,
            "checkpoints moved by a retry": self.checkpoints_moved,
            "differences after a retry": self.differences,
        }
        return [f"poison: {number} {name}" for name, number in wrong.items() if number]


def run(engines: Engines, folder: Path, *, events: int) -> Result:
    side = ReadSide(engines, folder)
    with side.watched(_LOOK_S) as watches, side.operations() as operations:
        with closing(Recorder(side.cluster, side.folder)) as recorder:
            before = _record(recorder, _first(events - 6))
            # between the two halves of the others: what comes after poison is read too
            poison = _record(recorder, _poison())
            after = _record(recorder, [TagDevice(device_id="0", key="site", value="Berlin")])
        with side.workers(module="tests.chaos.flawed"):
            wait_until_seen(watches, [*before, *poison, *after], _PATIENCE_S)
            letters = list(operations.all_dead_letters())
            parked = {
                stream: sorted({one.view.removesuffix("_v1") for one in letters if one.stream == stream})
                for stream in {one.stream for one in letters}
            }
            devices = _rows(side, View("devices", 1))
        with side.workers():
            names = sorted({one.view.removesuffix("_v1") for one in letters})
            reached = _checkpoints(operations, names)
            # each waits for the workers to notice: at once
            with ThreadPoolExecutor(len(names)) as threads:
                retried = list(threads.map(operations.retry_dead_letters, names))
            moved = sum(reached[name] != now for name, now in _checkpoints(operations, names).items())
            verdicts = [operations.verify(one.name, _ignore) for role in Role for one in of_role(role)]
            left = list(operations.all_dead_letters())
    others = {f"{n}" for n in range(events - 7)} - {UNDECODABLE, UNPROJECTABLE}
    return Result(
        events=len(before) + len(poison) + len(after),
        parked=parked,
        letters=len(letters),
        rows_of_others_missing=len(others - {getattr(row, "id", "") for row in devices}),
        taken=sum(one.taken for one in retried),
        still_parked=sum(one.still_parked for one in retried),
        checkpoints_moved=moved,
        differences=sum(verdict.differences + verdict.moving for verdict in verdicts),
        dead_letters=len(left),
    )


def _first(count: int) -> list[Command]:
    return [RegisterDevice(device_id=f"{n}", hostname=f"web-{n}") for n in range(count - 1)]


def _poison() -> list[Command]:
    """Return two events that are poison, each with one of its stream that follows, and two of other streams."""
    return [
        ChangeDeviceStatus(device_id=UNDECODABLE, status=DeviceStatus.ONLINE),
        TagDevice(device_id="1", key="site", value="Oslo"),
        TagDevice(device_id=UNPROJECTABLE, key="site", value=FATAL),
        TagDevice(device_id=UNDECODABLE, key="site", value="Paris"),
        TagDevice(device_id=UNPROJECTABLE, key="room", value="12"),
    ]


def _record(recorder: Recorder, commands: Sequence[Command]) -> list[Position]:
    submissions = [submission(command, tenant=TENANT) for command in commands]
    if isinstance(commands[0], RegisterDevice):
        submissions.insert(0, register_tenant(TENANT))
    replies: list[Reply] = []
    for first in range(0, len(submissions), _AT_ONCE):
        replies += recorder.record(submissions[first : first + _AT_ONCE])
    positions = [reply.position for reply in replies if reply.position]
    assert len(positions) == len(submissions), replies[:3]
    return positions


def _rows(side: ReadSide, view: View) -> list[StoredRow]:
    with side.stores(Role.DOCUMENTS) as stores:
        return list(stores.views.scan(view, TENANT))


def _checkpoints(operations: DistributedOperations, names: Sequence[str]) -> Mapping[str, frozenset[Checkpoint]]:
    return {name: frozenset(operations.reached(name) or ()) for name in names}


def _ignore(_step: Step) -> None:
    pass
