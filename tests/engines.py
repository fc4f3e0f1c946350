"""Tests get real engines here: those that all of a run share, and own ones, which a test may pause and kill."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from infra.engines.java import ToolMissing
from tests.tiers import FULL, without

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo
    from infra.engines.redis import Redis
    from infra.engines.registry import Registry

_SHARED = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start all engines, if there will be workers: as children of this process, which outlives every worker."""
    config = session.config
    if FULL and config.getoption("dist", "no") != "no":
        started = ExitStack()
        config.add_cleanup(started.close)
        config.stash[_SHARED] = _start(started, config.pluginmanager.getplugin("terminalreporter"))


def _start(started: ExitStack, terminal: pytest.TerminalReporter) -> Path:
    from infra.engines.catalog import engines  # noqa: PLC0415, the drivers come with an extra

    folder = Path(started.enter_context(TemporaryDirectory(prefix="engines-", ignore_cleanup_errors=True)))
    every = engines(folder)
    began = time.monotonic()
    terminal.write_line(f"starting {', '.join(every)}")
    try:
        for engine in every.values():
            started.enter_context(engine).launch()
        for engine in every.values():
            started.callback(engine.terminate)
            engine.wait_ready()
    except ToolMissing as error:
        raise pytest.UsageError(f"REQUIRE_ENGINES=1, but {error}") from None
    terminal.write_line(f"the engines were ready after {time.monotonic() - began:.0f} s")
    return folder


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if _SHARED in node.config.stash:
        node.workerinput["engines"] = str(node.config.stash[_SHARED])


@pytest.fixture(scope="session")
def engines_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the engines of this run live."""
    told: str | None = getattr(request.config, "workerinput", {}).get("engines")
    return Path(told) if told else tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the engines of this worker live."""
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="session")
def kafka(full_tier: None, engines_folder: Path) -> "Iterator[Kafka]":
    yield from _engine("kafka", engines_folder)


@pytest.fixture(scope="session")
def cassandra(full_tier: None, engines_folder: Path) -> "Iterator[Cassandra]":
    yield from _engine("cassandra", engines_folder)


@pytest.fixture(scope="session")
def mongo(full_tier: None, engines_folder: Path) -> "Iterator[Mongo]":
    yield from _engine("mongo", engines_folder)


@pytest.fixture(scope="session")
def redis(full_tier: None, engines_folder: Path) -> "Iterator[Redis]":
    yield from _engine("redis", engines_folder)


@pytest.fixture(scope="session")
def registry(full_tier: None, engines_folder: Path) -> "Iterator[Registry]":
    yield from _engine("registry", engines_folder)


@pytest.fixture(scope="session")
def clickhouse_front(full_tier: None, engines_folder: Path) -> "Iterator[ClickHouseFront]":
    """Give the real engine behind a stand-in for its network interface: see infra/engines/clickhouse_front.py."""
    yield from _engine("clickhouse", engines_folder)


@pytest.fixture(scope="session")
def own_kafka(full_tier: None, own_folder: Path) -> "Iterator[Kafka]":
    yield from _engine("kafka", own_folder)


@pytest.fixture(scope="session")
def own_cassandra(full_tier: None, own_folder: Path) -> "Iterator[Cassandra]":
    yield from _engine("cassandra", own_folder)


@pytest.fixture(scope="session")
def own_mongo(full_tier: None, own_folder: Path) -> "Iterator[Mongo]":
    yield from _engine("mongo", own_folder)


@pytest.fixture(scope="session")
def own_redis(full_tier: None, own_folder: Path) -> "Iterator[Redis]":
    yield from _engine("redis", own_folder)


@pytest.fixture(scope="session")
def own_registry(full_tier: None, own_folder: Path) -> "Iterator[Registry]":
    yield from _engine("registry", own_folder)


@pytest.fixture(scope="session")
def own_clickhouse_front(full_tier: None, own_folder: Path) -> "Iterator[ClickHouseFront]":
    yield from _engine("clickhouse", own_folder)


@pytest.fixture(scope="module")
def scratch_cassandra(full_tier: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cassandra]":
    """Give a Cassandra that keeps its schema in memory: making a table is cheap, and a kill would lose it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-Dcassandra.test.flush_local_schema_changes=false")
        yield from _engine("cassandra", tmp_path_factory.mktemp("scratch"))


def _engine(name: str, folder: Path) -> Iterator[Any]:
    from infra.engines.catalog import engines  # noqa: PLC0415, the drivers come with an extra

    engine = engines(folder)[name]
    try:
        started_here = engine.launch()
        engine.wait_ready()
    except ToolMissing as error:
        without(str(error))
    yield engine
    if started_here:
        engine.stop()
