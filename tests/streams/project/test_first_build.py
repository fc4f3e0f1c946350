"""When a new view may be seen, by how far it is beside the others of its store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sqlite.timeline import SqliteTimeline
from projections.fleet import device_logs
from projections.history import audit_trail, stream_history
from projections.rows import View
from schemas.envelope import Topic
from streams.project.first_build import LEVEL, is_level
from tests.contracts.samples import checkpoint

PROJECTIONS = (audit_trail.PROJECTION, stream_history.PROJECTION, device_logs.PROJECTION)
NEW = View("stream_history", 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteTimeline]:
    store = SqliteTimeline(tmp_path / "timeline.sqlite", PROJECTIONS)
    for name in ("audit_trail", "device_logs"):
        store.create(View(name, 1))
        store.switch(View(name, 1))
    store.create(NEW)
    yield store
    store.close()


def test_in_a_store_that_is_new_it_is_seen_at_once(store: SqliteTimeline) -> None:
    assert is_level(store, NEW, PROJECTIONS)


def test_beside_views_that_have_read_the_log_it_is_not_seen_before_it_has(store: SqliteTimeline) -> None:
    store.apply(View("audit_trail", 1), [], checkpoint(20_000), checkpoint(9_000, partition=1))
    assert not is_level(store, NEW, PROJECTIONS)
    store.apply(NEW, [], checkpoint(20_000))
    assert not is_level(store, NEW, PROJECTIONS)
    store.apply(NEW, [], checkpoint(9_000 - LEVEL, partition=1))
    assert is_level(store, NEW, PROJECTIONS)


def test_few_records_are_read_too(store: SqliteTimeline) -> None:
    store.apply(View("audit_trail", 1), [], checkpoint(3))
    assert not is_level(store, NEW, PROJECTIONS)


def test_how_far_others_are_in_a_topic_that_it_does_not_read_is_nothing_to_it(store: SqliteTimeline) -> None:
    store.apply(View("device_logs", 1), [], checkpoint(20_000, topic=Topic.TELEMETRY))
    assert is_level(store, NEW, PROJECTIONS)
