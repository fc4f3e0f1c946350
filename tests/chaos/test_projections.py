"""The short forms of `python -m tests.chaos projections`, over engines of the run and of its own.

ClickHouse is infra/engines/clickhouse_front.py: the real engine behind a stand-in for a server's HTTP interface.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from projections.rows import Role
from tests.chaos import flood, poison, projections
from tests.chaos.read_side import Engines

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def engines(
    kafka: "Kafka", cassandra: "Cassandra", own_mongo: "Mongo", own_clickhouse_front: "ClickHouseFront"
) -> Engines:
    return Engines(kafka, cassandra, own_mongo, own_clickhouse_front)


def test_every_view_equals_the_log_when_workers_and_stores_are_killed_and_paused(
    engines: Engines, tmp_path: Path
) -> None:
    plan = projections.Plan(
        workers=1,
        kills=5,
        stores_stopped=(Role.ANALYTICS, Role.DOCUMENTS),
        broker_kills=0,
        tenants=10,
        commands=2_000,
        facts=5_000,
    )
    result = projections.run(engines, plan, seed=5, folder=tmp_path, say=print)
    assert list(result.failures) == []
    assert result.lost == result.doubled == result.differences == result.backwards == result.dead_letters == 0
    assert result.facts == 5_000
    assert result.commands == 2_010


def test_poison_parks_its_stream_alone_and_a_retry_after_the_fix_puts_everything_right(
    engines: Engines, tmp_path: Path
) -> None:
    result = poison.run(engines, tmp_path, events=10_000)
    assert result.events == 10_000
    # what cannot be decoded is parked by every view that wants it; what follows, by those that parked it
    decided = ["audit_trail", "devices", "events", "stream_history"]
    assert result.parked == {"device-4": decided, "device-7": ["devices"]}
    assert (result.letters, result.taken) == (10, 10)
    assert result.failures == []


def test_flood_of_one_tenant_delays_the_others_and_loses_nothing_of_theirs(engines: Engines, tmp_path: Path) -> None:
    result = flood.run(engines, tmp_path, others=9, rate=5, seconds=3)
    print(result)
    assert result.flooding_rate > 10 * result.rate
    assert all(one.other_partitions_s > 0 for one in result.p99.values())
