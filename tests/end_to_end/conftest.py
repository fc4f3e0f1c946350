"""Real servers in processes of their own."""

import signal
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.infra.server_process import ServerProcess
from tests.tiers import without

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.engine import Engine
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo
    from infra.engines.registry import Registry
    from tests.end_to_end.deployment import Deployment
    from tests.end_to_end.page import Page


class Server(ServerProcess):
    """A server, asked and told things by the tenant demo."""

    def get(self, path: str, **parameters: Any) -> Any:
        with self.client() as client:
            return self._answer(client.get(path, params=parameters))

    def post(self, path: str, body: Any) -> Any:
        with self.client() as client:
            return self._answer(client.post(path, json=body))

    def command(self, name: str, **body: Any) -> Any:
        """Execute one command, like `fleet.RegisterDevice`."""
        return self.post(f"/v1/commands/{name.replace('.', '/')}", body)

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
        assert server.stop(signal.SIGINT) == 0, server.errors


@pytest.fixture(scope="module")
def browser(full_tier: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Chrome]":
    from tests.end_to_end import browser as browsers  # noqa: PLC0415, only the tests of the page need it

    if reason := browsers.missing():
        without(reason)
    with browsers.chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser: "Chrome", server: Server) -> "Iterator[Page]":
    from tests.end_to_end.page import tab  # noqa: PLC0415, only the tests of the page need it

    with tab(browser, server.address) as page:
        yield page


@pytest.fixture(scope="package")
def engines(kafka: "Kafka", registry: "Registry", cassandra: "Cassandra", own_mongo: "Mongo") -> "Sequence[Engine]":
    return (kafka, registry, cassandra, own_mongo)


@pytest.fixture(scope="package")
def deployment(
    engines: "Sequence[Engine]", clickhouse_front: "ClickHouseFront", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Deployment]":
    from tests.end_to_end.deployment import deployed  # noqa: PLC0415, the drivers come with an extra

    with deployed((*engines, clickhouse_front), clickhouse_front, tmp_path_factory.mktemp("deployment")) as running:
        yield running
