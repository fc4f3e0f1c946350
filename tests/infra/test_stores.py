"""The stores of the distributed profile on real engines: made ready, opened by role, and through an engine's troubles.

ClickHouse is infra/engines/clickhouse_front.py: the real engine behind a stand-in for a server's HTTP interface.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from infra.cassandra import connection as connection_cassandra
from infra.cli.main import cli
from infra.clickhouse import connection as connection_clickhouse
from infra.engines.catalog import environment
from infra.mongo import connection as connection_mongo
from infra.settings import BadSettings, Settings, StoreSettings
from infra.stores import migrate_stores, open_stores
from projections.catalog import of_role
from projections.fleet.metric_rows import MetricRow
from projections.rows import Patch, Role, Row, View
from projections.stores import StoreUnavailable
from streams.topics import Topics
from tests.contracts.dead_letters import letter
from tests.contracts.samples import ACME, checkpoint, samples, stored

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.engine import Engine
    from infra.engines.mongo import Mongo

LIMIT_S = 2
BOUND_S = 15
WRITTEN: dict[Role, tuple[View, type]] = {
    Role.TIMELINE: (View("device_metrics", 1), MetricRow),
    Role.ANALYTICS: (View("metrics_5m", 1), MetricRow),
    Role.DOCUMENTS: (View("devices", 1), Patch),
}


@pytest.fixture(scope="module")
def engines(
    own_cassandra: "Cassandra", own_clickhouse_front: "ClickHouseFront", own_mongo: "Mongo"
) -> "dict[Role, Engine]":
    return {Role.TIMELINE: own_cassandra, Role.ANALYTICS: own_clickhouse_front, Role.DOCUMENTS: own_mongo}


@pytest.fixture(scope="module")
def variables(engines: "dict[Role, Engine]") -> dict[str, str]:
    return {
        **environment(engines.values()),
        "FACTLINE_CASSANDRA_KEYSPACE": "stores_of_roles",
        "FACTLINE_MONGO_DATABASE": "stores_of_roles",
    }


@pytest.fixture(scope="module")
def settings(variables: dict[str, str]) -> Settings:
    settings = Settings("unused", "unused", Path("unused"), Topics(), stores=StoreSettings.from_environment(variables))
    assert migrate_stores(settings) == tuple(View(one.name, 1) for role in Role for one in of_role(role))
    return settings


@pytest.mark.usefixtures("settings")
def test_migrating_the_stores_from_the_command_line_says_what_it_made(variables: dict[str, str]) -> None:
    done = CliRunner().invoke(cli, ["migrate", "--only", "stores"], env=variables)
    assert (done.exit_code, done.output) == (0, "stores: views made: none were missing\n")


def test_migrating_without_a_store_ends_with_status_1_and_says_which(variables: dict[str, str]) -> None:
    nowhere = {**variables, "FACTLINE_CASSANDRA_CONTACT_POINTS": "127.0.0.1:1"}
    done = CliRunner().invoke(cli, ["migrate", "--only", "stores"], env=nowhere)
    assert done.exit_code == 1
    assert "cassandra did not answer" in done.output
    assert "run this again" in done.output


def test_migrating_again_changes_nothing(settings: Settings) -> None:
    assert migrate_stores(settings) == ()
    for role in Role:
        with open_stores(role, settings) as stores:
            for projection in of_role(role):
                assert stores.views.live(projection.name) == View(projection.name, 1)
                assert list(stores.views.builds(projection.name)) == [View(projection.name, 1)]


@pytest.mark.parametrize("role", Role)
def test_a_role_has_dead_letters_of_its_own(settings: Settings, role: Role) -> None:
    mine = letter(1, view=f"of_{role.value}_v1")
    with open_stores(role, settings) as stores:
        stores.dead_letters.park([mine])
        assert list(stores.dead_letters.page(ACME, table=None, after=None, limit=10)) == [mine]
        stores.dead_letters.remove([mine])


@contextmanager
def paused(engine: "Engine") -> Iterator[None]:
    engine.pause()
    yield
    engine.resume()


@contextmanager
def killed(engine: "Engine") -> Iterator[None]:
    engine.kill()
    yield
    engine.start()


@pytest.mark.parametrize("trouble", [paused, killed])
@pytest.mark.parametrize("role", Role)
def test_an_engine_in_trouble_is_an_outage_found_in_time_that_costs_nothing_acknowledged(
    settings: Settings,
    engines: "dict[Role, Engine]",
    role: Role,
    trouble: "Callable[[Engine], AbstractContextManager[None]]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_cassandra, "REQUEST_TIMEOUT_S", LIMIT_S)
    monkeypatch.setattr(connection_mongo, "OPERATION_TIMEOUT_S", LIMIT_S)
    monkeypatch.setitem(connection_clickhouse._SERVER, "send_receive_timeout", LIMIT_S)
    view, row = WRITTEN[role]
    rows = samples(row, 300)
    with open_stores(role, settings) as stores:

        def apply(part: Sequence[Row], position: int) -> None:
            stores.views.apply(view, part, checkpoint(position))

        until_done(lambda: apply(rows[:200], 200))
        with trouble(engines[role]):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                apply(rows[200:], 300)
            assert time.monotonic() - began < BOUND_S
        until_done(lambda: apply(rows[200:], 300))
        assert list(stores.views.scan(view, ACME)) == stored(rows)
        assert list(stores.views.checkpoints(view)) == [checkpoint(300)]


def until_done(work: Callable[[], None]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return work()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_replicas_in_each_data_centre_are_read_from_the_environment() -> None:
    read = StoreSettings.from_environment({"FACTLINE_CASSANDRA_REPLICATION": "paris:3, oslo:2"})
    assert read.cassandra_replication == {"class": "NetworkTopologyStrategy", "paris": 3, "oslo": 2}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FACTLINE_CASSANDRA_CONTACT_POINTS", "cassandra"),
        ("FACTLINE_CASSANDRA_KEYSPACE", "Facts; DROP"),
        ("FACTLINE_CASSANDRA_REPLICATION", "three"),
    ],
)
def test_a_setting_that_cannot_be_is_named(variable: str, text: str) -> None:
    with pytest.raises(BadSettings, match=variable):
        StoreSettings.from_environment({variable: text})
