"""The projecting worker speaks to a broker that asks who it is."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra.engines.java import ToolMissing
from infra.engines.kafka import Kafka
from streams.faust.batch_agent import UNEXPECTED
from streams.faust.batch_transport import BatchApp, Limits
from streams.faust.credentials import credentials
from tests.streams.faust.kafka_topics import NumberedTopic
from tests.streams.faust.test_batch_commits import holding, options, reached, started
from tests.tiers import without


@pytest.fixture
def secure_kafka(tmp_path: Path) -> Iterator[Kafka]:
    try:
        kafka = Kafka(tmp_path / "kafka", users={"ann": "let me in"}).start()
    except ToolMissing as error:
        without(str(error))
    with kafka:
        yield kafka


def test_batches_arrive_over_sasl_and_tls(secure_kafka: Kafka, tmp_path: Path) -> None:
    topic = NumberedTopic(secure_kafka.bootstrap, partitions=1).write(10)
    security = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "let me in",
        "ssl.ca.location": secure_kafka.certificate,
    }
    told: dict[str, Any] = options(topic, tmp_path) | {"broker": f"kafka://{secure_kafka.secure_bootstrap}"}

    async def scenario() -> None:
        app = BatchApp(topic.group, limits=Limits(), **told, **credentials(security))
        held = holding(app, app.batches_of(topic.name))
        async with started(app):
            await reached(lambda: sum(len(event.value) for event in held) == 10)

    asyncio.run(scenario())


def test_worker_whose_broker_goes_away_while_it_starts_says_so_and_has_to_be_started_again(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        # nobody listens there
        taken.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "tests.streams.faust.projecting_worker", away, "nothing", str(tmp_path), "0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == UNEXPECTED
    assert "does not reach kafka" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_security_there_are_no_credentials() -> None:
    assert credentials({}) == {}
