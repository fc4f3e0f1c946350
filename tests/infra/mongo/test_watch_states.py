"""Correlation's states on a real MongoDB keep every promise."""

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

from infra.mongo.watch_states import MongoWatchStates
from tests.contracts.watch_states import WatchStatesContract

if TYPE_CHECKING:
    from infra.engines.mongo import Mongo

NUMBERS = count()


@pytest.fixture
def states(mongo: "Mongo") -> "Iterator[MongoWatchStates]":
    states = MongoWatchStates(mongo.url, database=f"watch_states_{next(NUMBERS)}")
    states.migrate()
    yield states
    states.close()


class TestMongoWatchStates(WatchStatesContract):
    pass
