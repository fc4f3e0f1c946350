"""A tenant's quota says how many events and facts it may record a day; what is recorded is counted here."""

from collections.abc import Mapping
from typing import Any, Literal

from starlette.requests import HTTPConnection

from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.rates import Counted, Left, RateLimiter, Window, where_it_may_wait, whole_seconds

Kind = Literal["events", "facts"]
KINDS: tuple[Kind, ...] = ("events", "facts")


class QuotaUsed(Problem):
    """The tenant has recorded as much as it may a day; the same request is taken after `Retry-After`."""

    def __init__(self, kind: Kind, most: int, left: Left) -> None:
        wait_s = whole_seconds(left)
        super().__init__(
            429,
            f"this tenant has recorded the {most:,} {kind} that it may record a day; send this again in {wait_s} s, or"
            " ask the operator for a larger quota",
            retry_after_s=wait_s,
            limit=most,
            quota=f"{kind}_per_day",
        )


async def check_quota(request: HTTPConnection, caller: Caller, kind: Kind) -> None:
    """Do nothing where the tenant may record more of this kind now. Raises: QuotaUsed.

    Shape: how much a request brings is known once it is done, so that the last one may go past the end.
    """
    most = _most(caller, kind)
    counted = await _ask(request, caller, kind, 0)
    if most is not None and counted is not None and not counted.left[0].requests:
        raise QuotaUsed(kind, most, counted.left[0])


async def use_quota(request: HTTPConnection, caller: Caller, kind: Kind, amount: int) -> None:
    """Count what was recorded."""
    if amount:
        await _ask(request, caller, kind, amount)


async def quotas(request: HTTPConnection, caller: Caller) -> Mapping[str, Any]:
    """Return what a tenant has of its quota, and when it has all of it again, by name; nothing of what has no limit."""
    found = {}
    for kind in KINDS:
        most = _most(caller, kind)
        counted = await _ask(request, caller, kind, 0)
        if most is not None and counted is not None:
            left = counted.left[0]
            ends_in_s = whole_seconds(left) if left.requests < most else None
            found[f"{kind}_per_day"] = {"limit": most, "remaining": left.requests, "ends_in_s": ends_in_s}
    return found


def _most(caller: Caller, kind: Kind) -> int | None:
    return caller.quota.events_per_day if kind == "events" else caller.quota.facts_per_day


async def _ask(request: HTTPConnection, caller: Caller, kind: Kind, amount: int) -> Counted | None:
    limiter: RateLimiter | None = request.app.state.limiter
    most = _most(caller, kind)
    if limiter is None or most is None:
        return None
    windows = [Window(f"{kind}:{{{caller.tenant_id}}}", "day", most)]
    return await where_it_may_wait(request, lambda: limiter.count(windows, amount, done=True))
