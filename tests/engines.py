"""Real engines for tests, each started when a test first asks for it and stopped with the session."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from infra.engines.java import ToolMissing

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo
    from infra.engines.registry import Registry


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Kafka]":
    yield from _engine("kafka", tmp_path_factory)


@pytest.fixture(scope="session")
def cassandra(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cassandra]":
    yield from _engine("cassandra", tmp_path_factory)


@pytest.fixture(scope="module")
def scratch_cassandra(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cassandra]":
    """Give a Cassandra that keeps its schema in memory: making a table is cheap, and a kill would lose it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-Dcassandra.test.flush_local_schema_changes=false")
        yield from _engine("cassandra", tmp_path_factory)


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Mongo]":
    yield from _engine("mongo", tmp_path_factory)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Registry]":
    yield from _engine("registry", tmp_path_factory)


@pytest.fixture(scope="session")
def clickhouse_front(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ClickHouseFront]":
    """Give the real engine behind a stand-in for its network interface: see infra/engines/clickhouse_front.py."""
    yield from _engine("clickhouse", tmp_path_factory)


def _engine(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    try:
        from infra.engines.catalog import engines  # noqa: PLC0415, the drivers come with an extra

        engine = engines(tmp_path_factory.mktemp("engines"))[name].start()
    except (ModuleNotFoundError, ToolMissing) as error:
        without(str(error))
    with engine:
        yield engine


def without(reason: str) -> NoReturn:
    """Skip a test that needs what is not here, or fail it where REQUIRE_ENGINES=1 says that it has to be here."""
    if os.environ.get("REQUIRE_ENGINES") == "1":
        pytest.fail(f"REQUIRE_ENGINES=1, but {reason}", pytrace=False)
    pytest.skip(reason)
