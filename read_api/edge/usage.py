"""What is asked is counted in memory, by key, route and status, until it is recorded."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from read_api.edge.auth import Caller
from schemas.envelope import TenantId


class Used(NamedTuple):
    """Requests of one key to one route with one status, counted since `at`, all on its UTC day."""

    at: datetime
    key_id: str
    route: str
    status: int
    requests: int
    ms: int


_Counted = tuple[date, TenantId, str, str, int]


class UsageMeter:
    """Counts requests. Belongs to one event loop."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._began = now()
        self._counts: dict[_Counted, list[float]] = {}

    def count(self, caller: Caller, route: str, status: int, seconds: float) -> None:
        day = self._now().date()
        counted = (day, caller.tenant_id, caller.actor.id, route, status)
        if (found := self._counts.get(counted)) is None:
            found = self._counts[counted] = [0, 0.0]
        found[0] += 1
        found[1] += seconds

    def take(self) -> Mapping[TenantId, Sequence[Used]]:
        """Return what was counted since the last call, by tenant, and begin anew."""
        counts, began = self._counts, self._began
        self._counts, self._began = {}, self._now()
        taken: dict[TenantId, list[Used]] = {}
        for (day, tenant_id, key_id, route, status), (requests, seconds) in counts.items():
            # a day that began since then was counted from its first instant on
            at = max(began, datetime(day.year, day.month, day.day, tzinfo=UTC))
            used = Used(at, key_id, route, status, int(requests), round(seconds * 1_000))
            taken.setdefault(tenant_id, []).append(used)
        return taken
