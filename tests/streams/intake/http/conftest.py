from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streams.intake.http.ways_in import WaysIn, ways_in


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path) as way:
        yield way
