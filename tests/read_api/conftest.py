"""One set of stores and one server for each test module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from read_api.app import Answers
from tests.read_api.world import ACME, BOLT, TENANTS, Caller, Stores, World, served


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder: Path = tmp_path_factory.mktemp("stores")
    stores = Stores(folder)
    for tenant_id in TENANTS:
        stores.put("tenants", tenant_id, tenant_id, status="ACTIVE")
    yield stores
    stores.close()


@pytest.fixture(scope="module")
def world(stores: Stores) -> World:
    return World(stores)


@pytest.fixture(scope="module")
def answers(world: World) -> Answers:
    return world.answers(consistency_wait_s=0.3, heartbeat_s=0.2)


@pytest.fixture(scope="module")
def address(answers: Answers) -> Iterator[str]:
    with served(answers) as address:
        yield address


@pytest.fixture(scope="module")
def caller(address: str) -> Iterator[Callable[[str | None], Caller]]:
    callers: list[Caller] = []

    def make(key: str | None) -> Caller:
        callers.append(Caller(address, key))
        return callers[-1]

    yield make
    for made in callers:
        made.http.close()


@pytest.fixture(scope="module")
def acme(stores: Stores, caller: Callable[[str | None], Caller]) -> Caller:
    return caller(stores.issue_key(ACME, "acme-all", "*"))


@pytest.fixture(scope="module")
def bolt(stores: Stores, caller: Callable[[str | None], Caller]) -> Caller:
    return caller(stores.issue_key(BOLT, "bolt-all", "*"))


@pytest.fixture(scope="module")
def nobody(caller: Callable[[str | None], Caller]) -> Caller:
    return caller(None)
