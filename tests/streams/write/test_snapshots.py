"""A writer with snapshots decides as one without, whatever became of the file they are in."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalog import DECIDERS, PROCESS_BY_NAME
from domain.message import Command, Decider
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.snapshots import SqliteSnapshots
from schemas.envelope import Entry, StreamId, StreamKey, TenantId, Topic, category_of
from streams.ports import SystemClock
from streams.write import snapshots as module
from streams.write.snapshots import code, load_streams
from streams.write.states import fold
from streams.write.writer import Writer
from tests.examples import EVENTS
from tests.examples.integration import REGISTER_WEBHOOK
from tests.strategies import messages, of_tenant
from tests.streams.kit import accepted, register, register_tenant, submission, tag

DEMO = TenantId("demo")
DEVICE: StreamKey = (DEMO, StreamId("device-web-1"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    with closing(SqliteEventLog(tmp_path)) as log:
        yield log


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[SqliteSnapshots]:
    with closing(SqliteSnapshots(tmp_path / "snapshots.sqlite", code())) as snapshots:
        yield snapshots


def long_stream(log: SqliteEventLog, snapshots: SqliteSnapshots, tags: int) -> None:
    writer = Writer(log, SystemClock(), snapshots=snapshots)
    writer.write([register_tenant("demo"), register("web-1")])
    for first in range(0, tags, 100):
        writer.write([tag("web-1", f"t{n}") for n in range(first, min(tags, first + 100))])


class CountedLog(SqliteEventLog):
    """Counts the events that are read of single streams."""

    counted = 0

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        found = super().read_stream(tenant_id, stream, after=after, limit=limit)
        self.counted += len(found)
        return found


def test_long_stream_is_read_from_its_snapshot_on(tmp_path: Path, snapshots: SqliteSnapshots) -> None:
    (tmp_path / "log").mkdir()
    with closing(CountedLog(tmp_path / "log")) as log:
        long_stream(log, snapshots, 2_300)
        [reply] = Writer(log, SystemClock(), snapshots=snapshots).write([tag("web-1", "last", expected=2_301)])
        assert accepted(reply)
        assert 0 < log.counted < module.EVERY
        assert load_streams(log, snapshots, [DEVICE])[DEVICE] == fold(log.read_streams([DEVICE])[DEVICE])


def test_long_stream_of_before_there_were_snapshots_gets_one_when_it_is_read(
    log: SqliteEventLog, snapshots: SqliteSnapshots
) -> None:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), register("web-1"), *(tag("web-1", f"t{n}") for n in range(module.EVERY))])
    assert not snapshots.find([DEVICE])
    load_streams(log, snapshots, [DEVICE])
    assert snapshots.find([DEVICE])[DEVICE].version == module.EVERY + 1


def test_snapshot_of_another_log_is_not_used(tmp_path: Path, log: SqliteEventLog, snapshots: SqliteSnapshots) -> None:
    long_stream(log, snapshots, 600)
    assert snapshots.find([DEVICE])
    for tags in (10, 700):  # a copy that ends earlier; one whose stream went another way
        folder = tmp_path / f"other-{tags}"
        folder.mkdir()
        with closing(SqliteEventLog(folder)) as other, closing(SqliteSnapshots(folder / "none", code())) as none:
            long_stream(other, none, tags)
            [reply] = Writer(other, SystemClock(), snapshots=snapshots).write([tag("web-1", "x", expected=tags + 1)])
            assert accepted(reply)


def test_snapshots_of_other_code_are_dropped(log: SqliteEventLog, tmp_path: Path) -> None:
    with closing(SqliteSnapshots(tmp_path / "s", "old code")) as old:
        long_stream(log, old, 600)
        assert old.find([DEVICE])
    with closing(SqliteSnapshots(tmp_path / "s", "new code")) as new:
        assert not new.find([DEVICE])


def test_stream_that_cannot_be_read_gets_no_snapshot(log: SqliteEventLog, snapshots: SqliteSnapshots) -> None:
    long_stream(log, snapshots, 100)
    with log._events.transaction(commit=True) as c:
        c.execute("UPDATE stored_events SET state = x'00' WHERE rowid = 50")
    Writer(log, SystemClock(), snapshots=snapshots).write([tag("web-1", f"u{n}") for n in range(200)])
    assert load_streams(log, snapshots, [DEVICE])[DEVICE].unreadable
    assert not snapshots.find([DEVICE])


@pytest.mark.parametrize("damage", [b"", b"no database" * 1_000, None])
def test_damaged_file_costs_time_and_nothing_else(damage: bytes | None, log: SqliteEventLog, tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    with closing(SqliteSnapshots(path, code())) as snapshots:
        long_stream(log, snapshots, 600)
        if damage is None:
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("DROP TABLE snapshots")
            assert accepted(Writer(log, SystemClock(), snapshots=snapshots).write([tag("web-1", "a")])[0])
            return
    path.write_bytes(damage)
    with closing(SqliteSnapshots(path, code())) as snapshots:
        writer = Writer(log, SystemClock(), snapshots=snapshots)
        assert accepted(writer.write([tag("web-1", "a", expected=601)])[0])
        assert snapshots.find([DEVICE])


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda decider: decider.category)
def test_state_of_every_kind_of_stream_is_kept_as_it_is_or_never(decider: Decider) -> None:
    adapter, state = module._adapter(decider.category), decider.evolve(None, EVENTS[decider.events[0]])
    assert adapter is None or adapter.validate_json(adapter.dump_json(state)) == state


def test_long_streams_of_webhooks_are_kept_without_the_secret(
    log: SqliteEventLog, snapshots: SqliteSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.keep_long, "__kwdefaults__", {"every": 1})
    writer = Writer(log, SystemClock(), snapshots=snapshots)
    writer.write([register_tenant("demo"), submission(replace(REGISTER_WEBHOOK, types=("device.registered",)))])
    writer.write([register("web-1"), register("web-2")])
    streams = [StreamId("webhook_endpoint-shop"), StreamId("outbound_webhooks-all")]
    keys = [(DEMO, stream) for stream in streams]
    found = snapshots.find(keys)
    assert not [key for key in keys if REGISTER_WEBHOOK.sealed.encode() in found[key].state]
    history = log.read_streams(keys)
    assert load_streams(log, snapshots, keys) == {key: fold(history[key]) for key in keys}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=30)
@given(batches=st.lists(st.lists(messages().commands, min_size=1, max_size=8), min_size=1, max_size=6))
def test_every_state_comes_back_as_it_was(batches: list[list[Command]]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EVERY", 1)
        patch.setattr(module.keep_long, "__kwdefaults__", {"every": 1})
        path = Path(folder)
        with closing(SqliteEventLog(path)) as log, closing(SqliteSnapshots(path / "s", code())) as snapshots:
            Writer(log, SystemClock(), snapshots=snapshots).write([register_tenant("demo")])
            for batch in batches:
                writer = Writer(log, SystemClock(), snapshots=snapshots)
                writer.write([submission(of_tenant(command, DEMO), tenant=DEMO) for command in batch])
            keys = {entry.key for entry in log.read(Topic.EVENTS, 0, after=0, limit=10_000)}
            # other processes have short streams; of people and of secrets nothing is kept in the open
            apart = {
                *(PROCESS_BY_NAME.keys() - {"outbound_webhooks"}),
                "lead",
                "customer",
                "user",
                "api_key",
                "session",
                "provider_key",
            }
            apart |= {"sign_in_provider", "client", "consent", "conversation", "signing_key"}
            assert set(snapshots.find(keys)) == {key for key in keys if category_of(key[1]) not in apart}
            history = log.read_streams(keys)
            assert load_streams(log, snapshots, keys) == {key: fold(history[key]) for key in keys}
