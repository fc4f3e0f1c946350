"""What a worker's sink does with batches, without a broker: records of a newer release, and views that are new."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faust.types import TP

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from projections.fleet import alerts, devices
from projections.rows import Document, View
from schemas.envelope import Envelope, StreamId
from schemas.kafka_record import encode_kafka
from streams.faust.apps import ProjectionSink
from streams.ports import SystemClock
from streams.topics import Topics
from tests.contracts.samples import ACME, checkpoint
from tests.examples import envelope_of
from tests.examples.fleet import REGISTERED, TAGGED
from tests.streams.project.test_run import unknown_from_now_on

TOPICS = Topics("factline", 1)
PLACE = TP(TOPICS.events, 0)
DEVICES, ALERTS = View("devices", 1), View("alerts", 1)
PROJECTIONS = (devices.PROJECTION, alerts.PROJECTION)


class Delivered(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Any


class Place:
    """The documents store of a worker, and its sink."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteDocuments(folder / "documents.sqlite", PROJECTIONS)
        self.letters = SqliteDeadLetters(folder / "letters.sqlite")
        self.sink = ProjectionSink(
            PROJECTIONS, topics=TOPICS, store=self.store, dead_letters=self.letters, clock=SystemClock()
        )

    def devices(self) -> list[str]:
        return [row.id for row in self.store.scan(DEVICES, ACME) if isinstance(row, Document)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.store.close()
    place.letters.close()


def delivered(*events: Envelope, first: int = 1) -> Sequence[Any]:
    records = [encode_kafka(event._replace(position=position), 1) for position, event in enumerate(events, first)]
    return [
        Delivered(TOPICS.events, 0, offset, 0, record.key, record.value, record.headers_from("test"))
        for offset, record in enumerate(records, first - 1)
    ]


def registered(device: str) -> Envelope:
    return envelope_of(REGISTERED)._replace(tenant_id=ACME, stream=StreamId(f"device-{device}"))


def test_record_of_a_newer_release_stops_the_view_and_a_worker_of_that_release_goes_on(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = envelope_of(TAGGED)._replace(tenant_id=ACME, stream=StreamId("device-1"), version=2)
    batch = {PLACE: delivered(registered("1"), tag, registered("2"))}
    with monkeypatch.context() as older:
        unknown_from_now_on(older, "device.tagged")
        place.sink.starts({PLACE: None})
        place.sink.apply(batch)
        assert "update this worker" in place.sink.stopped["devices"]
        assert "alerts" not in place.sink.stopped
    assert place.devices() == ["1"]
    assert list(place.letters.letters("devices_v1")) == []
    newer = Place(tmp_path)
    assert newer.sink.starts({PLACE: None}) == {PLACE: 1}
    newer.sink.apply(batch)
    assert newer.devices() == ["1", "2"]


def test_view_that_is_new_is_seen_when_it_has_read_as_much_as_the_others(place: Place) -> None:
    place.store.create(ALERTS)
    place.store.switch(ALERTS)
    place.store.apply(ALERTS, [], checkpoint(20_000))
    assert place.sink.starts({PLACE: None}) == {PLACE: 0}
    place.sink.apply({PLACE: delivered(registered("1"))})
    assert not place.sink.look()
    assert place.store.live("devices") is None
    place.store.apply(DEVICES, [], checkpoint(19_000))
    assert not place.sink.look()
    assert place.store.live("devices") == DEVICES


def test_in_a_store_that_is_new_all_views_are_seen_at_once(place: Place) -> None:
    place.sink.starts({PLACE: None})
    assert [place.store.live(name) for name in ("devices", "alerts")] == [DEVICES, ALERTS]
