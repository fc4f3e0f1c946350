"""A tenant is told how much it asked, what is left of its limits and quotas, and no more."""

import time
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import pytest

from infra.limits.memory import MemoryRateLimiter
from projections.credentials import RateLimits
from projections.identity.api_usage import UsageRow
from schemas.envelope import TenantId
from tests.read_api.world import ACME, BOLT, Caller, Stores, World, at, problem, served


@pytest.fixture(scope="module", autouse=True)
def rows(stores: Stores) -> None:
    def row(tenant_id: TenantId, minutes: float, key: str, *what: Any) -> UsageRow:
        route, status, requests = what
        return UsageRow(tenant_id, "gateway-1", at(minutes), key, route, status, requests, 10 * requests, 1)

    stores.write(
        "api_usage",
        [
            row(ACME, 0, "k1", "GET /v1/devices", 200, 5),
            row(ACME, 0, "k1", "GET /v1/logs", 403, 1),
            row(ACME, 24 * 60, "k2", "GET /v1/devices", 200, 2),
            row(BOLT, 0, "b1", "GET /v1/devices", 200, 9),
        ],
    )


def test_usage_is_told_by_key_route_and_day(acme: Caller) -> None:
    assert acme.rows("/v1/usage") == [
        {"key": "k1", "requests": 6, "refused": 1, "failed": 0, "ms": 60},
        {"key": "k2", "requests": 2, "refused": 0, "failed": 0, "ms": 20},
    ]
    routes = {row["route"]: row["requests"] for row in acme.rows("/v1/usage", by="route")}
    assert routes == {"GET /v1/devices": 7, "GET /v1/logs": 1}
    days = [(row["day"], row["requests"]) for row in acme.rows("/v1/usage", by="day")]
    assert days == [("2026-01-31", 6), ("2026-02-01", 2)]
    assert acme.rows("/v1/usage", start=at(60).isoformat())[0]["key"] == "k2"
    assert acme.table("/v1/usage")["quotas"] == {}


def test_usage_is_csv_for_who_asks_for_it(acme: Caller) -> None:
    text = acme.get("/v1/usage", {"Accept": "text/csv"}).text
    assert text.splitlines() == ["key,requests,refused,failed,ms,other", "k1,6,1,0,60,", "k2,2,0,0,20,"]


def test_usage_is_the_tenants_own_and_needs_its_scope(
    bolt: Caller, stores: Stores, caller: Callable[[str | None], Caller]
) -> None:
    assert [row["key"] for row in bolt.rows("/v1/usage")] == ["b1"]
    other = caller(stores.issue_key(ACME, "no-usage", "devices:*"))
    assert "usage:read" in problem(other.get("/v1/usage"), 403)["detail"]
    assert problem(bolt.get("/v1/usage", by="tenant"), 422)["errors"]
    assert problem(bolt.get("/v1/usage", bye="key"), 400)["detail"].startswith("there is no parameter 'bye'")


# --- limits and quotas -----------------------------------------------------------------------------------------------


@pytest.fixture
def limited_address(world: World) -> Iterator[str]:
    answers = world.answers(limiter=MemoryRateLimiter(), usual_limits=RateLimits(2, 50, 100), heartbeat_s=0.2)
    with served(answers) as address:
        yield address


Limited = Callable[..., Caller]


@pytest.fixture
def limited(limited_address: str, stores: Stores) -> Iterator[Limited]:
    """Give what makes a caller of a tenant, new where it has a quota or none yet."""
    made: list[Caller] = []

    def make(tenant: str, *, limits: Any = MappingProxyType({}), quota: Any = None, key: str = "key") -> Caller:
        tenant_id = TenantId(tenant)
        if key == "key":
            stores.put("tenants", tenant_id, tenant_id, status="ACTIVE", quota=quota)
        more: Any = {} if limits is None else {"limits": dict(limits)}
        made.append(Caller(limited_address, stores.issue_key(tenant_id, f"{tenant}-{key}", "*", **more)))
        return made[-1]

    yield make
    for caller in made:
        caller.http.close()


def test_key_that_says_nothing_has_the_usual_limits_and_one_of_before_has_none(limited: Limited) -> None:
    usual = limited("usual")
    statuses = [usual.get("/v1/devices").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert usual.get("/v1/devices").headers["X-RateLimit-Limit-Hour"] == "50"
    wide = limited("wide", limits={"minute": 4})
    assert [wide.get("/v1/devices").status_code for _ in range(5)] == [200] * 4 + [429]
    before = limited("of-before", limits=None)
    assert [before.get("/v1/devices").status_code for _ in range(9)] == [200] * 9
    assert "X-RateLimit-Limit-Day" not in before.get("/v1/devices").headers


def test_health_and_metrics_are_not_limited(limited: Limited) -> None:
    usual = limited("watched")
    for _ in range(4):
        assert usual.get("/v1/ops/alive").status_code == 200
        assert usual.get("/v1/ops/health").status_code == 200
        assert usual.get("/metrics").status_code == 200


def test_keys_of_a_tenant_share_what_the_tenant_may_ask(limited: Limited) -> None:
    wide = {"minute": 100, "hour": 100, "day": 100}
    first = limited("shared", limits=wide, quota={"requests": {"minute": 3}})
    second = limited("shared", limits=wide, key="second")
    assert [caller.get("/v1/devices").status_code for caller in (first, second, first)] == [200] * 3
    denied = problem(second.get("/v1/devices"), 429)
    assert denied["detail"].startswith("this tenant has sent the 3 requests that it may send a minute")
    # of the two limits the one is told of which less is left
    headers = first.get("/v1/devices").headers
    assert (headers["X-RateLimit-Limit-Minute"], headers["X-RateLimit-Remaining-Minute"]) == ("3", "0")
    assert (headers["X-RateLimit-Limit-Hour"], headers["X-RateLimit-Remaining-Hour"]) == ("100", "98")


def test_tenant_has_no_more_live_streams_than_its_quota_says(limited: Limited) -> None:
    wide = {"minute": 100, "hour": 100, "day": 100}
    tenant = limited("listening", limits=wide, quota={"live_streams": 1})
    with tenant.http.stream("GET", "/v1/live") as response:
        assert response.status_code == 200
        denied = problem(tenant.get("/v1/live"), 429)
        assert "it may have, 1; close one, or ask the operator" in denied["detail"]
        assert tenant.table("/v1/usage")["quotas"] == {"live_streams": {"limit": 1, "remaining": 0}}
    deadline = time.monotonic() + 5
    while tenant.table("/v1/usage")["quotas"]["live_streams"]["remaining"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
