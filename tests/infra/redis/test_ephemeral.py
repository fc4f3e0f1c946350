"""Messages that are not recorded reach the listeners of other gateways through a real Redis, and stay without it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

from infra.engines.redis import Redis
from infra.redis.ephemeral import RedisEphemerals
from read_api.edge.ephemeral import STREAMED, Ephemeral, Hearing
from schemas.envelope import TenantId
from tests.read_api.test_ephemeral import message
from tests.read_api.world import ACME, BOLT
from tests.waiting import eventually


class Gateways:
    """Two gateways with one Redis, and what is heard at each."""

    def __init__(self, one: RedisEphemerals, other: RedisEphemerals) -> None:
        self.one, self.other = one, other

    def publish(self, n: int, heard: Callable[[], list[Ephemeral]]) -> None:
        """Publish at one until it is heard where a test listens: who has just begun may not be heard yet."""

        def is_heard() -> bool:
            self.one.publish(message(n))
            return any(one.data["n"] == n for one in heard())

        eventually(is_heard)


@contextmanager
def gateways(url: str) -> Iterator[Gateways]:
    prefix = f"test-{uuid4()}"
    with closing(RedisEphemerals(url, prefix)) as one, closing(RedisEphemerals(url, prefix)) as other:
        yield Gateways(one, other)


def heard_at(gateway: RedisEphemerals, tenant_id: TenantId) -> Callable[[], list[Ephemeral]]:
    """Listen as one of this tenant, and return what says what was heard so far."""

    async def made() -> Hearing:
        return Hearing({STREAMED}, None)

    hearing, taken = asyncio.run(made()), list[Ephemeral]()
    gateway.listen(tenant_id, hearing)

    def heard() -> list[Ephemeral]:
        taken.extend(hearing.take()[0])
        return taken

    return heard


def test_message_reaches_each_gateway_once_and_its_tenant_alone(redis: Redis) -> None:
    with gateways(redis.url) as both:
        here, there = heard_at(both.one, ACME), heard_at(both.other, ACME)
        foreign = heard_at(both.other, BOLT)
        both.publish(0, there)
        said = [message(n, personal=True) for n in (1, 2, 3)]
        for one in said:
            both.one.publish(one)
        eventually(lambda: there()[-3:] == said)
        assert [one.data["n"] for one in here()][-3:] == [1, 2, 3]
        assert foreign() == []
        assert (both.one.health, both.other.health) == ("ok", "ok")


def test_another_deployment_and_what_is_no_message_are_not_heard(redis: Redis) -> None:
    with gateways(redis.url) as both, gateways(redis.url) as others:
        there, elsewhere = heard_at(both.other, ACME), heard_at(others.one, ACME)
        both.publish(0, there)
        channel, client = vars(both.one)["_channel"], vars(both.one)["_redis"]
        for raw in (b"", b"[]", b'{"from": "x"}', b'{"from": "x", "tenant_id": 7}'):
            client.publish(channel, raw)
        both.one.publish(message(7))
        eventually(lambda: there()[-1].data == {"n": 7})
        assert elsewhere() == []


def test_messages_stay_in_their_gateway_while_redis_is_away_and_go_on_after_it(own_redis: Redis) -> None:
    with gateways(own_redis.url) as both:
        here, there = heard_at(both.one, ACME), heard_at(both.other, ACME)
        both.publish(0, there)
        own_redis.kill()
        both.one.publish(message(1))
        assert here()[-1].data == {"n": 1}
        assert both.one.health.startswith("degraded: live messages stay in this gateway")
        eventually(lambda: both.other.health.startswith("degraded: "))
        own_redis.restart()
        both.publish(2, there)
        eventually(lambda: (both.one.health, both.other.health) == ("ok", "ok"))
