from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.timeline import SqliteTimeline
from projections.fleet import devices
from projections.history import stream_history
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.rows import Checkpoint, Document, Patch, Row, View
from projections.stores import StoreUnavailable, WriteRefused
from schemas import payload
from schemas.envelope import Entry, Envelope, StreamId, TenantId, Topic, Undecodable
from streams.newer import NeedsUpdate
from streams.ports import SystemClock
from streams.project.parked import MAX_POISON, TooMuchPoison
from streams.project.run import ProjectionRun
from streams.write.writer import Writer
from tests.examples import envelope_of
from tests.examples.fleet import HEARTBEAT
from tests.streams.kit import register, tag

DEMO = TenantId("demo")
HISTORY = View("stream_history", 1)


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[SqliteDeadLetters]:
    letters = SqliteDeadLetters(tmp_path / "letters.sqlite")
    yield letters
    letters.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteTimeline]:
    store = SqliteTimeline(tmp_path / "timeline.sqlite", [stream_history.PROJECTION])
    store.create(HISTORY)
    store.switch(HISTORY)
    yield store
    store.close()


def events(log: SqliteEventLog) -> list[Entry]:
    return list(log.read(Topic.EVENTS, 0, after=0, limit=100_000))


def run_of(projection: Projection, store: Any, letters: SqliteDeadLetters) -> ProjectionRun:
    return ProjectionRun(projection, HISTORY, store, letters, SystemClock())


def rows(store: SqliteTimeline) -> list[tuple[str, int]]:
    return [(row.stream, row.version) for row in store.scan(HISTORY, DEMO) if isinstance(row, EventRow)]


class Poisoned:
    """A projection that cannot take events of these types."""

    def __init__(self, *types: str) -> None:
        self.types = set(types)

    def __call__(self, envelope: Envelope, event: object) -> Iterable[Row]:
        if envelope.type in self.types:
            raise ValueError("no such room")
        return stream_history.PROJECTION.project(envelope, event)

    def projection(self) -> Projection:
        live = stream_history.PROJECTION
        return Projection(live.name, live.layout, live.topics, live.events, self)


def fill(writer: Writer) -> None:
    writer.write([register("web-1"), register("web-2"), tag("web-1", "a"), tag("web-2", "a"), tag("web-1", "b")])


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_effect_is_once_however_batches_are_cut_and_repeated(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters, size: int
) -> None:
    fill(writer)
    batch = events(log)
    for start in range(len(batch)):
        # each delivery begins somewhere before what was read already
        run_of(stream_history.PROJECTION, store, letters).run(batch[max(0, start - 2) : start + size])
    run_of(stream_history.PROJECTION, store, letters).run(batch)
    assert rows(store) == [
        ("device-web-1", 1),
        ("device-web-1", 2),
        ("device-web-1", 3),
        ("device-web-2", 1),
        ("device-web-2", 2),
        ("tenant-demo", 1),
    ]


def test_batch_in_which_nothing_matters_still_advances_the_checkpoint(
    writer: Writer, log: SqliteEventLog, tmp_path: Path, letters: SqliteDeadLetters
) -> None:
    documents = SqliteDocuments(tmp_path / "documents.sqlite", [devices.PROJECTION])
    view = View("devices", 1)
    documents.create(view)
    run = ProjectionRun(devices.PROJECTION, view, documents, letters, SystemClock())
    run.run(events(log))  # only tenants so far
    assert [checkpoint.position for checkpoint in documents.checkpoints(view)] == [2]
    documents.close()


def test_poison_parks_its_stream_and_others_go_on(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    writer.write([register("web-1"), register("web-2"), tag("web-1", "a")])
    poisoned = Poisoned("device.tagged")
    run = run_of(poisoned.projection(), store, letters)
    run.run(events(log))
    poisoned.types.clear()
    writer.write([tag("web-1", "follows"), tag("web-2", "goes on")])
    run.run(events(log))
    assert ("device-web-1", 1) in rows(store)
    assert ("device-web-1", 2) not in rows(store)
    assert ("device-web-1", 3) not in rows(store)
    assert ("device-web-2", 2) in rows(store)
    poison, follower = letters.letters("stream_history_v1")
    assert (poison.stream, poison.attempts) == ("device-web-1", 1)
    assert "no such room" in poison.reason
    assert (follower.stream, follower.attempts) == ("device-web-1", 0)
    assert run.position(Topic.EVENTS, 0) == log.end(Topic.EVENTS, 0)


def test_parked_stream_stays_parked_over_a_restart(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    writer.write([register("web-1"), tag("web-1", "a")])
    run_of(Poisoned("device.tagged").projection(), store, letters).run(events(log))
    writer.write([tag("web-1", "b")])
    run_of(stream_history.PROJECTION, store, letters).run(events(log))
    assert ("device-web-1", 3) not in rows(store)
    assert len(list(letters.letters("stream_history_v1"))) == 2


def test_record_that_cannot_be_decoded_is_parked_with_its_stream(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    fill(writer)
    with log._events.transaction(commit=True) as c:
        c.execute(
            "UPDATE stored_events SET state = x'00' WHERE topic = 'device.tagged' AND originator_id LIKE '%web-1'"
        )
    run_of(stream_history.PROJECTION, store, letters).run(events(log))
    assert [letter.position for letter in letters.letters("stream_history_v1")] == [5, 7]
    assert ("device-web-2", 2) in rows(store)


class Refuses:
    """A store that can never keep some rows, as the real one refuses a number that is too large."""

    def __init__(self, store: SqliteTimeline, refused: str) -> None:
        self._store = store
        self._refused = refused
        self.down = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def apply(self, view: View, rows: list[EventRow], *checkpoints: Checkpoint) -> None:
        if self.down:
            raise StoreUnavailable("down")
        if any(self._refused in row.data for row in rows):
            raise WriteRefused("too large")
        self._store.apply(view, rows, *checkpoints)


def test_row_that_the_store_refuses_is_found_and_parked(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    many = [f"web-{n}" for n in range(100)]
    writer.write([register(device) for device in many])
    writer.write([tag(device, "unlucky" if device == "web-42" else "fine") for device in many])
    writer.write([tag(device, "after") for device in many])
    run = run_of(stream_history.PROJECTION, Refuses(store, "unlucky"), letters)
    run.run(events(log))
    kept = rows(store)
    assert len(kept) == 1 + 300 - 2
    assert ("device-web-42", 1) in kept
    assert [(letter.stream, letter.attempts) for letter in letters.letters("stream_history_v1")] == [
        ("device-web-42", 1),
        ("device-web-42", 0),
    ]
    assert store.checkpoints(HISTORY)[0].position == log.end(Topic.EVENTS, 0)


def test_outage_parks_nothing_and_moves_nothing(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    fill(writer)
    outage = Refuses(store, "nothing is refused")
    outage.down = True
    run = run_of(stream_history.PROJECTION, outage, letters)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            run.run(events(log))
    assert run.position(Topic.EVENTS, 0) == 0
    assert list(letters.letters("stream_history_v1")) == []
    outage.down = False
    run.run(events(log))
    assert len(rows(store)) == 6


def test_more_poison_than_records_can_be_bad_stops_the_view(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    writer.write([register(f"web-{n}") for n in range(MAX_POISON + 1)])
    run = run_of(Poisoned("device.registered").projection(), store, letters)
    with pytest.raises(TooMuchPoison, match="cannot take 101 records"):
        run.run(events(log))
    assert run.position(Topic.EVENTS, 0) == 0
    assert list(letters.letters("stream_history_v1")) == []


def test_poison_is_counted_over_batches(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    writer.write([register(f"web-{n}") for n in range(MAX_POISON + 1)])
    batch = events(log)
    run = run_of(Poisoned("device.registered").projection(), store, letters)
    for at in range(0, 100, 10):
        run.run(batch[at : at + 10])
    with pytest.raises(TooMuchPoison, match="cannot take 101 records"):
        run.run(batch[100:])
    assert run.position(Topic.EVENTS, 0) == 100


def test_a_batch_that_is_tried_again_is_not_counted_again(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    writer.write([register(f"web-{n}") for n in range(MAX_POISON)])
    outage = Refuses(store, "nothing is refused")
    outage.down = True
    run = run_of(Poisoned("device.registered").projection(), outage, letters)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            run.run(events(log))
    outage.down = False
    run.run(events(log))
    assert run.position(Topic.EVENTS, 0) == len(events(log))


def unknown_from_now_on(monkeypatch: pytest.MonkeyPatch, *types: str) -> None:
    """Let this process be of a release that does not know some types, though they are in the log."""
    schemas = {key: schema for key, schema in payload._schemas().items() if key[0] not in types}
    monkeypatch.setattr(payload, "_schemas", lambda: schemas)


def test_record_of_a_newer_release_stops_the_view_before_it_and_is_neither_parked_nor_skipped(
    writer: Writer,
    log: SqliteEventLog,
    store: SqliteTimeline,
    letters: SqliteDeadLetters,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(writer)
    with monkeypatch.context() as older:
        unknown_from_now_on(older, "device.tagged")
        run = run_of(stream_history.PROJECTION, store, letters)
        for _ in range(2):
            with pytest.raises(NeedsUpdate, match=r"waits before events/0/5, .* update this worker"):
                run.run(events(log))
        assert run.position(Topic.EVENTS, 0) == 4
        assert list(letters.letters("stream_history_v1")) == []
    run.run(events(log))
    assert len(rows(store)) == 6


def test_type_that_this_release_does_not_have_stops_every_view_of_its_topic(
    tmp_path: Path, letters: SqliteDeadLetters
) -> None:
    store = SqliteDocuments(tmp_path / "documents.sqlite", [devices.PROJECTION])
    store.create(View("devices", 1))
    run = ProjectionRun(devices.PROJECTION, View("devices", 1), store, letters, SystemClock())
    known = (DEMO, StreamId("device-web-1"), "lead.captured", Topic.EVENTS, 0, 1, b"")
    elsewhere = Undecodable(*known, "no schema for lead.captured v9", newer=True)
    run.run([elsewhere])
    assert run.position(Topic.EVENTS, 0) == 1
    with pytest.raises(NeedsUpdate, match=r"device\.moved"):
        run.run([elsewhere._replace(type="device.moved", position=2)])
    assert run.position(Topic.EVENTS, 0) == 1
    store.close()


def test_want_of_memory_is_not_parked(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    def project(_envelope: Envelope, _event: object) -> Iterable[Row]:
        raise MemoryError

    fill(writer)
    with pytest.raises(MemoryError):
        run_of(replace(stream_history.PROJECTION, project=project), store, letters).run(events(log))
    assert list(letters.letters("stream_history_v1")) == []


def test_poison_in_one_of_many_partitions_leaves_the_others_whole(
    writer: Writer, log: SqliteEventLog, store: SqliteTimeline, letters: SqliteDeadLetters
) -> None:
    fill(writer)
    found = [entry for entry in events(log) if isinstance(entry, Envelope) and entry.tenant_id == DEMO]
    there = [entry for entry in found if entry.type != "device.tagged"]
    elsewhere = [
        entry._replace(partition=1, tenant_id=TenantId("elsewhere")) for entry in found if entry.type == "device.tagged"
    ]
    run = run_of(Poisoned("device.tagged").projection(), store, letters)
    run.run(there, (), elsewhere)
    run.run(elsewhere, there[1:])
    assert sorted(rows(store)) == sorted((entry.stream, entry.version) for entry in there)
    assert {letter.position for letter in letters.letters(HISTORY.table)} == {entry.position for entry in elsewhere}
    assert run.position(Topic.EVENTS, 0) == there[-1].position
    assert run.position(Topic.EVENTS, 1) == elsewhere[-1].position


def test_telemetry_that_is_poison_parks_itself_alone(
    store: SqliteTimeline, letters: SqliteDeadLetters, log: SqliteEventLog, tmp_path: Path
) -> None:
    documents = SqliteDocuments(tmp_path / "documents.sqlite", [devices.PROJECTION])
    view = View("devices", 1)
    documents.create(view)

    def project(envelope: Envelope, _event: object) -> Iterable[Row]:
        if envelope.position == 2:
            raise ValueError("a bad reading")
        yield Patch(envelope.tenant_id, "web-1", "telemetry", envelope.position, {"last": envelope.position})

    live = devices.PROJECTION
    run = ProjectionRun(
        Projection(live.name, live.layout, (Topic.TELEMETRY,), live.events, project),
        view,
        documents,
        letters,
        SystemClock(),
    )
    run.run([_fact(position) for position in (1, 2, 3)])
    (document,) = documents.scan(view, DEMO)
    assert isinstance(document, Document)
    assert document.fields["last"] == 3
    assert [letter.position for letter in letters.letters("devices_v1")] == [2]
    assert run.parked.streams == frozenset()
    documents.close()


def _fact(position: int) -> Envelope:
    return envelope_of(HEARTBEAT)._replace(
        tenant_id=DEMO, stream=StreamId("device-web-1"), topic=Topic.TELEMETRY, position=position, version=0
    )
