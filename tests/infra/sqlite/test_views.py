"""What the embedded stores do beyond their ports: full disks, broken files, values of the wrong kind, indexes."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import of_role
from projections.fleet.metric_rows import MetricRow
from projections.rows import Document, Patch, Role, View
from projections.stores import StoreUnavailable, WriteRefused
from tests.contracts import documents_reader
from tests.contracts.dead_letters import letter
from tests.contracts.documents_reader import patch
from tests.contracts.new_views import NEW_VIEWS, NOON, SECOND
from tests.contracts.samples import ACME, checkpoint, projection, sample, samples, stored
from tests.contracts.timeline_reader import reading

METRICS = View("device_metrics", 1)
CPU = {"device_id": "web-1", "metric": "cpu"}
DEVICES = View("devices", 1)


@pytest.fixture
def timeline(tmp_path: Path) -> Iterator[SqliteTimeline]:
    views = (*of_role(Role.TIMELINE), *NEW_VIEWS)
    store = SqliteTimeline(tmp_path / "timeline.db", views)
    for one in views:
        store.create(View(one.name, 1))
        store.switch(View(one.name, 1))
    yield store
    store.close()


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqliteDocuments]:
    store = SqliteDocuments(tmp_path / "documents.db", documents_reader.PROJECTIONS)
    store.create(DEVICES)
    store.switch(DEVICES)
    yield store
    store.close()


def test_a_full_disk_is_an_outage_and_the_batch_fits_once_there_is_room(timeline: SqliteTimeline) -> None:
    timeline.apply(METRICS, samples(MetricRow, 10), checkpoint(10))
    writer = timeline._database._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"):
        timeline.apply(METRICS, samples(MetricRow, 5_000, after=10), checkpoint(5_010))
    assert list(timeline.scan(METRICS, ACME)) == stored(samples(MetricRow, 10))
    assert list(timeline.checkpoints(METRICS)) == [checkpoint(10)]
    writer.execute("PRAGMA max_page_count = 1000000")
    timeline.apply(METRICS, samples(MetricRow, 5_000, after=10), checkpoint(5_010))
    assert list(timeline.scan(METRICS, ACME)) == stored(samples(MetricRow, 5_010))


def test_checkpoints_of_an_earlier_version_are_read_and_do_not_say_their_log(tmp_path: Path) -> None:
    views = of_role(Role.TIMELINE)
    with closing(SqliteTimeline(tmp_path / "timeline.db", views)) as store:
        store.create(METRICS)
        store.apply(METRICS, [], checkpoint(7)._replace(log="one/1"))
    with closing(sqlite3.connect(tmp_path / "timeline.db")) as connection:
        connection.execute("ALTER TABLE checkpoints DROP COLUMN log")
    with closing(SqliteTimeline(tmp_path / "timeline.db", views)) as store:
        assert list(store.checkpoints(METRICS)) == [checkpoint(7)]


def test_a_path_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        SqliteTimeline(tmp_path / "no-such-folder" / "timeline.db", ())


def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "timeline.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        SqliteTimeline(tmp_path / "timeline.db", ())


def test_a_file_that_is_damaged_says_what_mends_it(timeline: SqliteTimeline, tmp_path: Path) -> None:
    timeline.apply(METRICS, samples(MetricRow, 5_000), checkpoint(5_000))
    timeline.close()
    file = tmp_path / "timeline.db"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] + b"\x5a" * (len(content) - len(content) // 2))
    damaged = SqliteTimeline(file, of_role(Role.TIMELINE))
    with pytest.raises(StoreUnavailable, match=f"is damaged .*remove the folder {tmp_path}"):
        list(damaged.scan(METRICS, ACME))
    damaged.close()


def test_a_closed_store_does_not_answer(timeline: SqliteTimeline, documents: SqliteDocuments, tmp_path: Path) -> None:
    letters = SqliteDeadLetters(tmp_path / "letters.db")
    for store in (timeline, documents, letters):
        store.close()
        store.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        timeline.apply(METRICS, [], checkpoint(1))
    with pytest.raises(StoreUnavailable, match="was closed"):
        list(timeline.scan(METRICS, ACME))
    with pytest.raises(StoreUnavailable, match="was closed"):
        documents.get("badges", ACME, "b1")
    with pytest.raises(StoreUnavailable, match="was closed"):
        letters.park([letter(1)])


def test_a_scan_that_is_open_when_the_store_closes_ends_in_its_own_time(timeline: SqliteTimeline) -> None:
    timeline.apply(METRICS, samples(MetricRow, 10), checkpoint(10))
    scan = timeline.scan(METRICS, ACME)
    first = next(scan)
    timeline.close()
    assert [first, *scan] == stored(samples(MetricRow, 10))


def test_writing_to_a_view_that_was_never_made_is_an_outage_for_its_worker(timeline: SqliteTimeline) -> None:
    with pytest.raises(StoreUnavailable, match="device_metrics_v7"):
        timeline.apply(View("device_metrics", 7), samples(MetricRow, 1), checkpoint(1))
    assert list(timeline.checkpoints(View("device_metrics", 7))) == []


def test_switching_to_a_build_that_is_not_there_is_refused(timeline: SqliteTimeline) -> None:
    with pytest.raises(ValueError, match="create it first"):
        timeline.switch(View("device_metrics", 7))
    assert timeline.live("device_metrics") == METRICS


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": float("nan")},
        {"value": "much"},
        {"value": None},
        {"unit": {"a": 1}},
        {"position": "first"},
        {"happened_at": datetime(2026, 1, 31, 12)},  # noqa: DTZ001
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(timeline: SqliteTimeline, wrong: dict[str, Any]) -> None:
    bad = reading(NOON, 1.0)._replace(**wrong)
    with pytest.raises(WriteRefused):
        timeline.apply(METRICS, [reading(NOON + SECOND, 1.0), bad], checkpoint(1))
    assert list(timeline.scan(METRICS, ACME)) == []
    assert list(timeline.checkpoints(METRICS)) == []


@pytest.mark.parametrize("value", [NOON, {1, 2}, {1: 2}, 2**64, "\ud800"])
def test_a_field_that_is_not_like_json_is_refused(documents: SqliteDocuments, value: Any) -> None:
    with pytest.raises(WriteRefused):
        documents.apply(DEVICES, [patch("a", 1, hostname="a"), patch("b", 1, hostname=value)], checkpoint(1))
    assert list(documents.scan(DEVICES, ACME)) == []


def test_a_build_from_before_a_filter_was_added_still_takes_patches(tmp_path: Path) -> None:
    for filters in (("os", "site"), ("os", "status")):
        store = SqliteDocuments(tmp_path / "d.db", [projection("devices", Patch, filters=filters, sorts=("os",))])
        store.create(DEVICES)
        store.switch(DEVICES)
        store.apply(DEVICES, [patch(f"with-{filters[1]}", 1, os="linux", status="ONLINE")], checkpoint(1))
        store.close()
    store = SqliteDocuments(tmp_path / "d.db", documents_reader.PROJECTIONS)
    fields = {"os": "linux", "status": "ONLINE"}
    assert list(store.scan(DEVICES, ACME)) == [
        Document(ACME, "with-site", 1, fields),
        Document(ACME, "with-status", 1, fields),
    ]
    store.close()


def test_a_narrow_filter_and_a_wide_one_give_the_same_pages(documents: SqliteDocuments) -> None:
    # more than the store sorts by itself have os linux, few have the status
    rows = [
        patch(f"d{n:05}", 1, hostname=f"h{n % 7}", os="linux", status=("x", "y")[n % 500 == 0]) for n in range(3_000)
    ]
    documents.apply(DEVICES, rows, checkpoint(1))
    for filters in ({"os": "linux"}, {"os": "linux", "status": "y"}, {"status": "y"}, {"status": "x"}):
        wanted = sorted(
            (row.fields["hostname"], row.id) for row in rows if all(row.fields[k] == v for k, v in filters.items())
        )
        found: list[tuple[str, str]] = []
        while page := documents.find(
            "devices",
            ACME,
            filters=filters,
            sort="hostname",
            descending=False,
            after=found[-1] if found else None,
            limit=500,
        ):
            found.extend((document.fields["hostname"], document.id) for document in page)
        assert found == wanted


def test_readers_at_once_each_have_a_connection_and_leave_none_open(timeline: SqliteTimeline) -> None:
    timeline.apply(METRICS, samples(MetricRow, 100), checkpoint(100))
    together = threading.Barrier(8)
    counts: list[int] = []

    def read() -> None:
        scan = timeline.scan(METRICS, ACME)
        next(scan)
        together.wait(10)
        counts.append(1 + sum(1 for _ in scan))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [100] * 8
    assert len(timeline._database._idle) == 8
    timeline.close()
    assert timeline._database._idle == []


def test_switching_and_dropping_under_readers_never_shows_half_a_build(timeline: SqliteTimeline) -> None:
    done = threading.Event()
    seen: list[int] = []
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                found = timeline.points(
                    "device_metrics", ACME, of=CPU, start=NOON, end=NOON + 1_000 * SECOND, step_s=0, aggregate="avg"
                )
                seen.append(len(found))
        except BaseException as error:
            failures.append(error)

    rows = [reading(NOON + n * SECOND, 1.0, position=n + 1) for n in range(500)]
    timeline.apply(METRICS, rows, checkpoint(500))
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for build in range(2, 12):
            new = View("device_metrics", build)
            timeline.create(new)
            for at in range(0, 500, 100):
                timeline.apply(new, rows[at : at + 100], checkpoint(at + 100))
            timeline.switch(new)
            timeline.drop(View("device_metrics", build - 1))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert set(seen) == {500}


def test_power_loss_cannot_take_back_a_parked_letter_but_may_take_rows_with_their_checkpoint(
    timeline: SqliteTimeline, tmp_path: Path
) -> None:
    letters = SqliteDeadLetters(tmp_path / "letters.db")
    full, normal = 2, 1
    assert letters._database._writer.execute("PRAGMA synchronous").fetchone() == (full,)
    assert timeline._database._writer.execute("PRAGMA synchronous").fetchone() == (normal,)
    assert timeline._database._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    letters.close()


def _note(asked: list[tuple[sqlite3.Connection, str]], connection: sqlite3.Connection, sql: str) -> None:
    asked.append((connection, sql))


def test_every_question_is_answered_through_an_index(
    timeline: SqliteTimeline, documents: SqliteDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[sqlite3.Connection, str]] = []
    for store in (timeline, documents):
        connection = store._database._connect()
        connection.set_trace_callback(partial(_note, asked, connection))
        store._database._idle.append(connection)
    timeline.apply(METRICS, [sample(MetricRow, 1)])
    timeline.series("device_metrics", ACME, of={"device_id": "web-1"})
    day = {"start": NOON, "end": NOON + SECOND}
    timeline.points("device_metrics", ACME, of=CPU, **day, step_s=0, aggregate="avg")
    timeline.points("device_metrics", ACME, of=CPU, **day, step_s=60, aggregate="last")
    device, severity = {"device_id": "web-1"}, {"severity": "error"}
    for of in ({}, device, severity, device | severity):
        timeline.rows("device_logs", ACME, of=of, start=NOON, after=(NOON, "fact"), limit=3)
    timeline.rows("audit_trail", ACME, of={"type": ("a", "b")}, start=NOON, after=(7,), limit=3)
    timeline.rows("stream_history", ACME, of={"stream": "device-1"}, after=(0,), limit=3)
    timeline.rows("execution_logs", ACME, of={"execution_id": "run-1"}, after=(3,), limit=3)
    timeline.rows("command_results", ACME, of={"kind": "deploy"}, after=(NOON, "fact"), limit=3)
    documents.get("devices", ACME, "web-1")
    documents.facets("devices", ACME, "status")
    documents.create(documents_reader.BADGES)
    documents.switch(documents_reader.BADGES)
    documents.get("badges", ACME, "b1")
    documents.find("devices", ACME, filters={}, sort="hostname", descending=True, after=("a", "b"), limit=3)
    documents.find("devices", ACME, filters={"os": "linux"}, sort="count", descending=False, after=("a", "b"), limit=3)
    plans = [
        (sql, [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")])
        for connection, sql in list(asked)
        if "_v1" in sql and sql.lstrip().startswith(("SELECT", "WITH"))
    ]
    assert len(plans) >= 14
    for sql, plan in plans:
        assert any("SEARCH" in step for step in plan), (sql, plan)
        assert not any(step.startswith("SCAN") and "_v1" in step for step in plan), (sql, plan)


def test_rows_that_the_file_did_not_take_are_an_outage_and_not_a_success(timeline: SqliteTimeline) -> None:
    timeline._database._writer.execute(
        "CREATE TRIGGER lost BEFORE INSERT ON device_metrics_v1 WHEN new.metric = 'metric-000003'"
        " BEGIN SELECT raise(IGNORE); END"
    )
    with pytest.raises(StoreUnavailable, match="sqlite wrote 4 of 5 rows that were sent to device_metrics_v1"):
        timeline.apply(METRICS, samples(MetricRow, 5), checkpoint(5))
    assert list(timeline.checkpoints(METRICS)) == []
    assert list(timeline.scan(METRICS, ACME)) == []


def test_repeated_rows_are_no_lost_ones(timeline: SqliteTimeline) -> None:
    timeline.apply(METRICS, samples(MetricRow, 5), checkpoint(5))
    timeline.apply(METRICS, samples(MetricRow, 7), checkpoint(7))
    assert list(timeline.scan(METRICS, ACME)) == stored(samples(MetricRow, 7))


def test_documents_that_the_file_did_not_take_are_an_outage_and_not_a_success(documents: SqliteDocuments) -> None:
    documents._database._writer.execute(
        "CREATE TRIGGER lost BEFORE INSERT ON devices_v1 WHEN new.id = 'web-2' BEGIN SELECT raise(IGNORE); END"
    )
    with pytest.raises(StoreUnavailable, match="sqlite wrote 1 of 2 rows that were sent to devices_v1"):
        documents.apply(DEVICES, [patch("web-1", 1), patch("web-2", 2)], checkpoint(2))


def test_document_whose_filter_or_sort_is_not_its_own_is_misplaced(documents: SqliteDocuments) -> None:
    documents.apply(DEVICES, [patch(f"web-{n}", n, status="ONLINE", hostname=f"web-{n}") for n in (1, 2, 3)])
    writer = documents._database._writer
    columns = [name for (name,) in writer.execute("SELECT name FROM pragma_table_info('devices_v1')")]
    (filtered, *_) = (name for name in columns if name.startswith("filter_"))
    (sorted_, *_) = (name for name in columns if name.startswith("sort_"))
    writer.execute(f"UPDATE devices_v1 SET {filtered} = 'other' WHERE id = 'web-1'")
    writer.execute(f"UPDATE devices_v1 SET {sorted_} = 'other' WHERE id = 'web-3'")
    assert sorted(documents.misplaced(DEVICES, ACME)) == [(ACME, "web-1"), (ACME, "web-3")]
