"""The short form of `python -m tests.chaos distributed`."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos import distributed

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka
    from infra.engines.registry import Registry

pytestmark = pytest.mark.timeout(900)


def test_nothing_answered_is_lost_or_doubled_when_workers_and_gateways_are_killed_and_paused(
    kafka: "Kafka", registry: "Registry", tmp_path: Path
) -> None:
    result = distributed.run(
        kafka,
        registry.url,
        kills=2,
        pauses=1,
        broker_kills=0,
        rounds=50,
        seed=5,
        folder=tmp_path,
        say=print,
    )
    assert list(result.failures) == []
    assert result.accepted > 100
    assert result.refused > 100
    assert result.facts > 0
    assert result.unanswered > 0
    assert result.keys.repeated > 10
    assert result.processes.expired > 0
