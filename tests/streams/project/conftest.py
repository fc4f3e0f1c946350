"""Tests of views share a world that they write to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sqlite.event_log import SqliteEventLog
from tests.streams.project.local_world import World


@pytest.fixture
def world(tmp_path: Path, log: SqliteEventLog) -> Iterator[World]:
    world = World(tmp_path, log)
    yield world
    world.close()
