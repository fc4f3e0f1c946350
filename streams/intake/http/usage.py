"""A process that answers requests records how many it had: what it counted in memory becomes facts once a minute."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from domain.operations.served import ApiRequestServed
from read_api.edge.usage import UsageMeter, Used
from schemas.envelope import Actor, ActorType, TenantId
from streams.identifiers import new_id
from streams.ports import FactSubmission, LogUnavailable, Overloaded, TelemetryReply

EVERY_S = 60.0

_MOST_WAITING = 10_000
_ACTOR = Actor(ActorType.SYSTEM, "usage")
_LOG = logging.getLogger(__name__)

Append = Callable[[TenantId, Sequence[FactSubmission], Actor], Awaitable[TelemetryReply]]


class UsageRecorder:
    """Shape: what the log does not take waits as it is, and is sent again: the same facts are not counted twice."""

    def __init__(self, meter: UsageMeter, append: Append) -> None:
        self._meter = meter
        self._append = append
        self._gateway = new_id()
        self._waiting: deque[tuple[TenantId, Sequence[FactSubmission]]] = deque(maxlen=_MOST_WAITING)

    async def record(self) -> None:
        """Record what was counted, as far as the log takes it."""
        for tenant_id, used in self._meter.take().items():
            facts = [FactSubmission(self._gateway, one.at, _fact(one)) for one in used]
            self._waiting.append((tenant_id, facts))
        while self._waiting:
            try:
                await self._append(*self._waiting[0], _ACTOR)
            except (LogUnavailable, Overloaded) as error:
                _LOG.warning("how much was asked is not recorded yet: %s", error)
                return
            self._waiting.popleft()


def _fact(used: Used) -> ApiRequestServed:
    return ApiRequestServed(
        key_id=used.key_id, route=used.route, status=used.status, requests=used.requests, ms=used.ms
    )


@asynccontextmanager
async def recording(meter: UsageMeter, append: Append) -> AsyncIterator[None]:
    """Record what is counted while the block runs, each minute, and the rest at its end."""
    recorder = UsageRecorder(meter, append)

    async def each_minute() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await recorder.record()
            except Exception:  # noqa: BLE001 - it is in the log
                # that requests are counted is no reason to answer none
                _LOG.exception("how much was asked could not be recorded")

    running = asyncio.create_task(each_minute())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await recorder.record()
