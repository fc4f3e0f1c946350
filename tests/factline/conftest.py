from collections.abc import Iterator

import pytest

from tests.conformance import Target, target


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One server for the client and for the command line on it."""
    with target(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
