"""Requests counted in a real Redis, by several processes together, and while it is away."""

from collections.abc import Iterator
from contextlib import closing
from time import monotonic, sleep
from uuid import uuid4

import pytest
from redis import Redis as Client

from infra.engines.redis import Redis
from infra.limits.redis import RedisRateLimiter
from infra.settings import BadSettings
from read_api.edge.rates import Window
from tests.contracts.rate_limiter import RateLimiterContract, allowed
from tests.waiting import eventually

WINDOW = Window("key:{acme}:one", "hour", 3)


class TestRedis(RateLimiterContract):
    @pytest.fixture
    def limiter(self, redis: Redis) -> Iterator[RedisRateLimiter]:
        with closing(RedisRateLimiter(redis.url, f"test-{uuid4()}")) as limiter:
            yield limiter


def test_two_gateways_count_together(redis: Redis) -> None:
    prefix = f"test-{uuid4()}"
    with closing(RedisRateLimiter(redis.url, prefix)) as one, closing(RedisRateLimiter(redis.url, prefix)) as other:
        assert [allowed(one, WINDOW).allowed, allowed(other, WINDOW).allowed, allowed(one, WINDOW).allowed] == [
            True
        ] * 3
        assert not allowed(other, WINDOW).allowed


def test_counts_end_with_their_window_in_redis_itself(redis: Redis) -> None:
    prefix = f"test-{uuid4()}"
    with closing(RedisRateLimiter(redis.url, prefix)) as limiter:
        allowed(limiter, WINDOW)
        [name] = limiter.redis.keys(f"{prefix}:*")
        assert 3_590 < limiter.redis.ttl(name) <= 3_600


def test_closing_leaves_no_connection_behind(redis: Redis) -> None:
    with Client.from_url(redis.url) as other:
        with closing(RedisRateLimiter(redis.url, f"test-{uuid4()}")) as limiter:
            own = str(limiter.redis.client_id())
            assert own in connected(other)
        eventually(lambda: own not in connected(other))


def connected(client: Client) -> set[str]:
    return {one["id"] for one in client.client_list()}


def test_address_that_is_none_is_named_by_its_variable() -> None:
    with pytest.raises(BadSettings, match="FACTLINE_REDIS_URL: "):
        RedisRateLimiter("localhost:6379", "test")


def test_requests_pass_and_health_says_so_while_redis_is_away(own_redis: Redis) -> None:
    with closing(RedisRateLimiter(own_redis.url, f"test-{uuid4()}")) as limiter:
        assert limiter.health == "ok"
        own_redis.pause()
        try:
            began = monotonic()
            assert limiter.count([WINDOW]) is None
            # one waits; who comes within the next second does not ask at all
            assert monotonic() - began < 0.5
            began = monotonic()
            assert all(limiter.count([WINDOW]) is None for _ in range(100))
            assert monotonic() - began < 0.1
            assert limiter.health.startswith("degraded: ")
        finally:
            own_redis.resume()
        sleep(1.1)
        assert allowed(limiter, WINDOW).allowed
        assert limiter.health == "ok"


def test_redis_that_was_killed_and_started_again_counts_anew(own_redis: Redis) -> None:
    with closing(RedisRateLimiter(own_redis.url, f"test-{uuid4()}")) as limiter:
        for _ in range(3):
            allowed(limiter, WINDOW)
        own_redis.kill()
        assert limiter.count([WINDOW]) is None
        own_redis.restart()
        sleep(1.1)
        assert allowed(limiter, WINDOW).left[0].requests == 2
