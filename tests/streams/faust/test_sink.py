"""What a worker's sink does with batches, without a broker: newer records, new views, logs that are not the same."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

import pytest
from faust.types import TP

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.watch_states import SqliteWatchStates
from projections.fleet import alerts, devices
from projections.rows import Document, View
from schemas.envelope import Envelope, StreamId, Topic
from schemas.kafka_record import encode_kafka
from streams.correlate.kept import Progress, progress_state
from streams.faust.apps import LogHasHole, ProjectionSink
from streams.faust.batch_transport import Committed
from streams.faust.correlation import CorrelationSink
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
    timestamp_type: int
    key: bytes
    value: bytes
    headers: Any


class AnyLog:
    """A log that is asked only which one it is, and how long."""

    def __init__(self, identity: str = "one/1") -> None:
        self.identity = identity
        self.first = 0
        self.last = 1_000_000

    def identities(self) -> dict[Topic, str]:
        return dict.fromkeys(Topic, self.identity)

    def starts(self, _topic: Topic) -> list[int]:
        return [self.first]

    def ends(self, _topic: Topic) -> list[int]:
        return [self.last]

    def end(self, _topic: Topic, _partition: int) -> int:
        return self.last


class Place:
    """The documents store of a worker, and its sink."""

    def __init__(self, folder: Path, log: AnyLog | None = None) -> None:
        self.log = log or AnyLog()
        self.store = SqliteDocuments(folder / "documents.sqlite", PROJECTIONS)
        self.letters = SqliteDeadLetters(folder / "letters.sqlite")
        self.sink = ProjectionSink(
            PROJECTIONS,
            topics=TOPICS,
            log=cast("Any", self.log),
            store=self.store,
            dead_letters=self.letters,
            clock=SystemClock(),
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
        Delivered(TOPICS.events, 0, offset, 0, 0, record.key, record.value, record.headers_from("test"))
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


def test_checkpoints_say_of_which_log_they_are(place: Place) -> None:
    place.sink.starts({PLACE: None})
    place.sink.apply({PLACE: delivered(registered("1"))})
    assert [(at.position, at.log) for at in place.store.checkpoints(DEVICES)] == [(1, "one/1")]


def test_topic_that_was_made_anew_under_a_worker_stops_its_views_before_they_take_anything_of_it(place: Place) -> None:
    place.sink.starts({PLACE: None})
    place.sink.apply({PLACE: delivered(registered("1"))})
    assert not place.sink.is_elsewhere()
    place.log.identity = "two/1"
    assert place.sink.is_elsewhere()
    # it starts wherever the group is: nobody reads
    assert place.sink.starts({PLACE: Committed(1, "1@one/1")}) == {}
    assert place.sink.stopped["devices"] == (
        "devices_v1 has read events/0 of another log, one/1, and not of this one, two/1;"
        " `factline projections rebuild devices` makes it anew"
    )
    assert place.sink.apply({PLACE: delivered(registered("2"), registered("3"))}) == {PLACE: ""}
    assert place.devices() == ["1"]
    assert not place.sink.is_elsewhere()


def test_worker_that_starts_over_another_log_stops_and_a_rebuilt_view_goes_on(place: Place, tmp_path: Path) -> None:
    place.sink.starts({PLACE: None})
    place.sink.apply({PLACE: delivered(registered("1"))})
    second = Place(tmp_path, AnyLog("two/1"))
    second.sink.starts({PLACE: Committed(1, "1@one/1")})
    assert second.sink.stopped.keys() == {"devices", "alerts"}
    second.store.create(View("devices", 2))
    second.store.apply(View("devices", 2), [], checkpoint(0, partition=0)._replace(log="two/1"))
    second.store.switch(View("devices", 2))
    assert second.sink.look()
    # what the group committed was of the other log
    assert second.sink.starts({PLACE: Committed(1, "1@one/1")}) == {PLACE: 0}
    assert second.sink.stopped.keys() == {"alerts"}
    second.sink.apply({PLACE: delivered(registered("2"))})
    found = second.store.scan(View("devices", 2), ACME)
    assert [row.id for row in found if isinstance(row, Document)] == ["2"]


def test_checkpoint_of_an_earlier_version_is_taken_over_once(place: Place, tmp_path: Path) -> None:
    place.store.create(DEVICES)
    place.store.switch(DEVICES)
    place.store.apply(DEVICES, [], checkpoint(1, partition=0))
    assert place.sink.starts({PLACE: Committed(1, "1")}) == {PLACE: 0}
    assert "devices" not in place.sink.stopped
    assert [at.log for at in place.store.checkpoints(DEVICES)] == ["one/1"]
    second = Place(tmp_path, AnyLog("two/1"))
    second.sink.starts({PLACE: None})
    assert "of another log, one/1" in second.sink.stopped["devices"]


def test_view_that_is_past_the_end_of_its_log_stops(place: Place, tmp_path: Path) -> None:
    place.sink.starts({PLACE: None})
    place.sink.apply({PLACE: delivered(*(registered(str(n)) for n in range(5)))})
    second = Place(tmp_path)
    second.log.last = 4
    second.sink.starts({PLACE: None})
    assert "has read events/0 up to 5, the log ends at 4" in second.sink.stopped["devices"]


def test_facts_that_were_deleted_before_they_were_read_stop_the_view(place: Place, tmp_path: Path) -> None:
    place.store.create(DEVICES)
    place.store.switch(DEVICES)
    place.store.apply(DEVICES, [], checkpoint(7, topic=Topic.TELEMETRY, partition=0)._replace(log="one/1"))
    facts = TP(TOPICS.telemetry, 0)
    place.sink.starts({facts: None})
    late = [one._replace(topic=TOPICS.telemetry, offset=20) for one in delivered(registered("1"))]
    with pytest.raises(LogHasHole, match="telemetry/0/21 too early"):
        place.sink.apply({facts: late})
    second = Place(tmp_path)
    second.log.first = 20
    second.sink.starts({facts: None})
    assert "telemetry/0 up to 7, and what came then, up to 20, was deleted before" in second.sink.stopped["devices"]


def test_view_that_begins_with_what_the_facts_still_hold_goes_on(place: Place) -> None:
    facts = TP(TOPICS.telemetry, 0)
    place.log.first = 20
    place.sink.starts({facts: None})
    late = [one._replace(topic=TOPICS.telemetry, offset=20) for one in delivered(registered("1"))]
    assert place.sink.apply({facts: late}) == {facts: "21@one/1"}
    assert place.sink.stopped == {}


def test_correlation_that_knows_another_log_stops_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    states, facts = SqliteWatchStates(tmp_path / "correlation.sqlite"), TP(TOPICS.telemetry, 0)
    states.keep(0, [progress_state(Progress(events=3, facts=2, logs=dict.fromkeys(Topic, "one/1")))])

    def send(_submissions: object) -> NoReturn:
        raise AssertionError

    def opened(log: AnyLog) -> CorrelationSink:
        return CorrelationSink(
            topics=TOPICS, log=cast("Any", log), states=states, send=send, new_scorer=cast("Any", None)
        )

    assert opened(AnyLog()).starts({facts: None}) == {facts: 2}
    sink = opened(AnyLog("two/1"))
    assert sink.starts({facts: None}) == {}
    assert sink.stopped["correlation"].startswith("correlation has read another log, one/1, and not this one, two/1")
    assert sink.apply({facts: delivered(registered("1"))}) == {facts: ""}
    assert not sink.is_elsewhere()
    assert not sink.look()
    states.close()
