"""What every ViewWriter promises, as a suite: subclass ViewWriterContract and say how the store is opened."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import chain
from threading import Event
from typing import Any, Protocol

import pytest

from projections.columns import Columns
from projections.instants import DAY, to_microseconds
from projections.projection import Projection
from projections.rows import Patch, Row, View
from projections.stores import Holder, Overview, Part, ScansColumns, StoreUnavailable, ViewWriter, WriteRefused
from schemas.envelope import TenantId, Topic
from tests.contracts.samples import (
    ACME,
    BOLT,
    LAYOUTS,
    checkpoint,
    instant,
    projection,
    sample,
    samples,
    stored,
    unkeepable,
)

V1, V2, V10 = View("things", 1), View("things", 2), View("things", 10)
OTHER = View("others", 1)
KILLED_AFTER = 5
KILLED_BATCH = 100


class Store(ViewWriter, Protocol):
    def close(self) -> None: ...


def projections_of(row: type) -> tuple[Projection, ...]:
    return (projection("things", row), projection("others", row))


def reopening(open_: Callable[[], Store]) -> Iterator[Callable[[], Store]]:
    current: list[Store] = []

    def again() -> Store:
        while current:
            current.pop().close()
        current.append(open_())
        return current[0]

    yield again
    while current:
        current.pop().close()


class ViewWriterContract:
    """Inherit it in a class named Test…, override `open`, `row`, `place` and `outage`.

    Shape: `row` may be parametrised with every row class of the store's role. `place` is a fresh, empty store's path or
    address for each test; `open` is called in other processes too, never while another open of that place is in use.
    """

    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def row(self) -> type:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def outage(self, store: Store) -> Callable[[], AbstractContextManager[None]]:
        """Return what makes the open store refuse writes for the length of a `with`, for a reason that passes."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self, place: str, row: type) -> Iterator[Callable[[], Store]]:
        """Close the store if it is open, then open it."""
        yield from reopening(lambda: self.open(place, projections_of(row)))

    @pytest.fixture
    def store(self, reopen: Callable[[], Store]) -> Store:
        return reopen()

    # --- builds -----------------------------------------------------------------------------------------------------

    def test_a_new_store_has_no_builds_and_nothing_live(self, store: Store) -> None:
        assert store.live("things") is None
        assert list(store.builds("things")) == []

    def test_a_created_view_is_an_empty_build_that_is_not_live(self, store: Store) -> None:
        store.create(V1)
        assert list(store.builds("things")) == [V1]
        assert store.live("things") is None
        assert list(store.checkpoints(V1)) == []
        assert list(store.tenants(V1)) == []
        assert list(store.scan(V1, ACME)) == []

    def test_creating_a_view_again_keeps_its_rows_and_checkpoint(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 3), checkpoint(3))
        store.create(V1)
        assert list(store.builds("things")) == [V1]
        assert list(store.scan(V1, ACME)) == stored(samples(row, 3))
        assert list(store.checkpoints(V1)) == [checkpoint(3)]

    def test_builds_are_in_order_of_their_number_and_only_of_their_view(self, store: Store) -> None:
        for view in (V10, V2, OTHER, V1):
            store.create(view)
        assert list(store.builds("things")) == [V1, V2, V10]
        assert list(store.builds("others")) == [OTHER]

    def test_switching_makes_a_build_live_and_switching_again_changes_nothing(self, store: Store) -> None:
        store.create(V1)
        store.create(OTHER)
        store.switch(V1)
        store.switch(V1)
        assert store.live("things") == V1
        assert store.live("others") is None

    def test_a_switch_can_be_taken_back(self, store: Store) -> None:
        store.create(V1)
        store.create(V2)
        store.switch(V1)
        store.switch(V2)
        assert store.live("things") == V2
        store.switch(V1)
        assert store.live("things") == V1
        assert list(store.builds("things")) == [V1, V2]

    def test_overview_says_of_all_views_what_each_is_asked_for(self, store: Store, row: type) -> None:
        assert store.overview() == Overview({}, {})
        for view in (V10, V1, OTHER):
            store.create(view)
        store.switch(V1)
        store.apply(V1, samples(row, 3), checkpoint(3))
        found = store.overview()
        assert found.live == {"things": V1}
        assert {view: list(reached) for view, reached in found.builds.items()} == {
            V1: [checkpoint(3)],
            V10: [],
            OTHER: [],
        }
        store.switch(V10)
        store.drop(V1)
        found = store.overview()
        assert found.live == {"things": V10}
        assert set(found.builds) == {V10, OTHER}

    # --- who changes builds -----------------------------------------------------------------------------------------

    def test_of_two_holders_the_first_keeps_the_builds_until_it_lets_go(self, store: Store) -> None:
        ann, ben = (Holder(who, instant(60)) for who in ("ann of this machine", "ben's"))
        assert store.hold("things", ann, now=instant(0)) == ann
        assert store.hold("things", ben, now=instant(1)) == ann
        assert store.hold("others", ben, now=instant(1)) == ben
        longer = ann._replace(until=instant(90))
        assert store.hold("things", longer, now=instant(2)) == longer
        assert store.hold("things", ben._replace(until=instant(95)), now=instant(70)) == longer
        store.hold("things", ann._replace(until=instant(3)), now=instant(71))
        assert store.hold("things", ben._replace(until=instant(95)), now=instant(72)).who == ben.who
        assert list(store.builds("things")) == []

    def test_holder_whose_time_is_over_holds_nothing(self, store: Store) -> None:
        ann, ben = Holder("ann", instant(60)), Holder("ben", instant(120))
        store.hold("things", ann, now=instant(0))
        assert store.hold("things", ben, now=instant(61)) == ben
        assert store.hold("things", ann._replace(until=instant(130)), now=instant(62)) == ben

    def test_of_many_that_ask_at_once_one_holds(self, store: Store) -> None:
        def hold(number: int) -> Holder:
            return store.hold("things", Holder(f"number {number}", instant(60)), now=instant(0))

        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(hold, range(8)))
        assert len(found) == 1

    def test_dropping_removes_rows_and_checkpoints(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 3), checkpoint(3))
        store.drop(V1)
        assert list(store.builds("things")) == []
        store.create(V1)
        assert list(store.scan(V1, ACME)) == []
        assert list(store.tenants(V1)) == []
        assert list(store.checkpoints(V1)) == []

    def test_a_dropped_and_created_view_takes_the_same_rows_again(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 3), checkpoint(3))
        store.drop(V1)
        store.create(V1)
        store.apply(V1, samples(row, 3), checkpoint(3))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 3))
        assert list(store.checkpoints(V1)) == [checkpoint(3)]

    def test_dropping_a_build_leaves_the_others(self, store: Store, row: type) -> None:
        for view in (V1, V2, OTHER):
            store.create(view)
            store.apply(view, samples(row, 2), checkpoint(2))
        store.switch(V2)
        store.drop(V1)
        assert list(store.builds("things")) == [V2]
        assert store.live("things") == V2
        for view in (V2, OTHER):
            assert list(store.scan(view, ACME)) == stored(samples(row, 2))
            assert list(store.checkpoints(view)) == [checkpoint(2)]

    def test_dropping_a_view_that_is_not_there_is_no_error(self, store: Store) -> None:
        store.drop(V1)
        store.create(V1)
        store.drop(V1)
        store.drop(V1)
        assert list(store.builds("things")) == []

    def test_dropping_the_live_view_is_refused_and_keeps_it(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 2), checkpoint(2))
        store.switch(V1)
        with pytest.raises(ValueError, match="live"):
            store.drop(V1)
        assert store.live("things") == V1
        assert list(store.scan(V1, ACME)) == stored(samples(row, 2))
        assert list(store.checkpoints(V1)) == [checkpoint(2)]

    # --- rows -------------------------------------------------------------------------------------------------------

    def test_rows_come_back_exactly_as_written_in_key_order(self, store: Store, row: type) -> None:
        store.create(V1)
        rows = [sample(row, n, position=at) for at, n in enumerate((4, 1, 5, 3, 2), 1)]
        store.apply(V1, rows, checkpoint(5))
        assert list(store.scan(V1, ACME)) == stored(rows)

    def test_a_view_that_is_not_live_is_scanned_like_a_live_one(self, store: Store, row: type) -> None:
        store.create(V1)
        store.create(V2)
        store.switch(V1)
        store.apply(V1, samples(row, 1), checkpoint(1))
        store.apply(V2, samples(row, 2), checkpoint(2))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 1))
        assert list(store.scan(V2, ACME)) == stored(samples(row, 2))

    def test_many_rows_are_scanned_once_each(self, store: Store, row: type) -> None:
        store.create(V1)
        rows = samples(row, 12_000)
        for at in range(0, len(rows), 5_000):
            store.apply(V1, rows[at : at + 5_000], checkpoint(min(at + 5_000, len(rows))))
        assert list(store.scan(V1, ACME)) == stored(rows)

    def test_what_is_scanned_as_columns_are_the_columns_of_the_rows(self, store: Store, row: type) -> None:
        store.create(V1)
        rows = [*reversed(samples(row, 2_500)), sample(row, 1, tenant=BOLT)]
        store.apply(V1, rows, checkpoint(2_500))
        if row is Patch:
            assert not isinstance(store, ScansColumns)
            return
        assert isinstance(store, ScansColumns)
        blocks = list(store.scan_columns(V1, ACME))
        found = [list(chain.from_iterable(column)) for column in zip(*blocks, strict=True)]
        assert found == [list(column) for column in Columns.of(row, stored(rows[:-1])).values]

    def test_a_part_is_scanned_and_what_is_not_of_it_is_counted(self, store: Store, row: type) -> None:
        if row is Patch:
            return
        store.create(V1)
        rows: Any = [sample(row, n) for n in range(40)]
        store.apply(V1, [*rows, sample(row, 1, tenant=BOLT)], checkpoint(40))
        assert isinstance(store, ScansColumns)
        day = LAYOUTS[row].day
        assert day
        days = [to_microseconds(getattr(one, day)) // DAY for one in rows]
        first, second = min(days), max(days)
        for part in (Part({first}, -1), Part({second}, 9), Part({first, second}, 9), Part({second}, 39), Part((), -1)):
            wanted = [
                one
                for one, its_day in zip(rows, days, strict=True)
                if its_day in part.days and one.position > part.above
            ]
            blocks = list(store.scan_columns(V1, ACME, part))
            found = set(chain.from_iterable(zip(*block, strict=True) for block in blocks))
            assert found >= set(zip(*Columns.of(row, wanted).values, strict=True)) if wanted else True
            assert store.count(V1, ACME, without=part) in {None, len(rows) - len(wanted)}

    def test_a_scan_may_be_left_before_its_end(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 100), checkpoint(100))
        assert next(iter(store.scan(V1, ACME))) == stored(samples(row, 1))[0]
        store.apply(V1, samples(row, 1, after=100), checkpoint(101))
        assert len(list(store.scan(V1, ACME))) == 101

    def test_the_same_write_twice_changes_nothing(self, store: Store, row: type) -> None:
        store.create(V1)
        for _ in range(2):
            store.apply(V1, samples(row, 3), checkpoint(3))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 3))
        assert list(store.checkpoints(V1)) == [checkpoint(3)]

    def test_a_later_row_replaces_an_earlier_one_of_the_same_key(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, [sample(row, 1, position=1)], checkpoint(1))
        later = sample(row, 1, position=2, mark="the second")
        store.apply(V1, [later], checkpoint(2))
        assert list(store.scan(V1, ACME)) == stored([later])

    def test_the_last_row_of_a_key_within_one_batch_is_kept(self, store: Store, row: type) -> None:
        store.create(V1)
        later = sample(row, 1, position=3, mark="the second")
        store.apply(V1, [sample(row, 1), sample(row, 2), later], checkpoint(3))
        assert list(store.scan(V1, ACME)) == stored([later, sample(row, 2)])

    def test_a_redelivered_older_row_never_overwrites_a_newer_one(self, store: Store, row: type) -> None:
        store.create(V1)
        older, newer = sample(row, 1, position=1), sample(row, 1, position=4, mark="the second")
        store.apply(V1, [older], checkpoint(1))
        store.apply(V1, [newer], checkpoint(4))
        store.apply(V1, [older], checkpoint(1))
        assert list(store.scan(V1, ACME)) == stored([newer])

    def test_another_row_of_the_same_position_changes_nothing(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, [sample(row, 1, position=4)], checkpoint(4))
        store.apply(V1, [sample(row, 1, position=4, mark="the second")])
        assert list(store.scan(V1, ACME)) == stored([sample(row, 1, position=4)])

    def test_a_batch_that_overlaps_an_applied_one_adds_what_is_new(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 5), checkpoint(5))
        store.apply(V1, samples(row, 5, after=2), checkpoint(7))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 7))
        assert list(store.checkpoints(V1)) == [checkpoint(7)]

    def test_views_and_builds_share_no_rows(self, store: Store, row: type) -> None:
        for view in (V1, V2, OTHER):
            store.create(view)
        store.apply(V1, samples(row, 3), checkpoint(3))
        for view in (V2, OTHER):
            assert list(store.scan(view, ACME)) == []
            assert list(store.tenants(view)) == []
            assert list(store.checkpoints(view)) == []

    # --- tenants ----------------------------------------------------------------------------------------------------

    def test_a_tenant_sees_only_its_own_rows_though_the_keys_are_alike(self, store: Store, row: type) -> None:
        store.create(V1)
        theirs = [sample(row, n, position=n + 10, tenant=BOLT, mark="theirs") for n in (1, 2)]
        store.apply(V1, [*samples(row, 3), *theirs], checkpoint(12))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 3))
        assert list(store.scan(V1, BOLT)) == stored(theirs)

    def test_tenants_are_those_with_rows_in_order(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, [*samples(row, 2, tenant=BOLT), *samples(row, 2)], checkpoint(2))
        assert list(store.tenants(V1)) == [ACME, BOLT]

    def test_what_was_written_is_where_readers_look(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, [*samples(row, 3), *samples(row, 2, tenant=BOLT)], checkpoint(3))
        assert list(store.misplaced(V1, ACME)) == []
        assert list(store.misplaced(V1, BOLT)) == []

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def test_a_batch_without_rows_moves_the_checkpoint(self, store: Store) -> None:
        store.create(V1)
        store.apply(V1, [], checkpoint(7))
        assert list(store.checkpoints(V1)) == [checkpoint(7)]

    def test_a_replay_without_checkpoint_writes_rows_and_moves_nothing(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 2), checkpoint(9))
        store.apply(V1, samples(row, 2, after=2))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 4))
        assert list(store.checkpoints(V1)) == [checkpoint(9)]

    def test_each_topic_and_partition_has_its_own_checkpoint(self, store: Store) -> None:
        store.create(V1)
        first = checkpoint(7)
        other_topic = checkpoint(3, topic=Topic.TELEMETRY)
        other_partition = checkpoint(5, partition=12)
        for one in (other_partition, other_topic, first):
            store.apply(V1, [], one)
        assert sorted(store.checkpoints(V1)) == sorted([first, other_topic, other_partition])

    def test_a_batch_of_many_partitions_moves_the_checkpoint_of_each_that_is_not_further(
        self, store: Store, row: type
    ) -> None:
        store.create(V1)
        store.apply(V1, [], checkpoint(9, partition=12))
        store.apply(V1, samples(row, 3), checkpoint(3), checkpoint(5, partition=12), checkpoint(4, partition=13))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 3))
        reached = [checkpoint(3), checkpoint(9, partition=12), checkpoint(4, partition=13)]
        assert sorted(store.checkpoints(V1)) == sorted(reached)

    def test_a_checkpoint_never_goes_back(self, store: Store) -> None:
        store.create(V1)
        store.apply(V1, [], checkpoint(7))
        store.apply(V1, [], checkpoint(6))
        assert list(store.checkpoints(V1)) == [checkpoint(7)]

    def test_a_checkpoint_keeps_of_which_log_it_is(self, store: Store) -> None:
        store.create(V1)
        store.apply(V1, [], checkpoint(7)._replace(log="one/1"))
        store.apply(V1, [], checkpoint(6)._replace(log="one/1"))
        assert list(store.checkpoints(V1)) == [checkpoint(7)._replace(log="one/1")]
        store.apply(V1, [], checkpoint(8)._replace(log="one/1"))
        assert list(store.checkpoints(V1)) == [checkpoint(8)._replace(log="one/1")]

    def test_a_log_that_nobody_said_is_noted_where_the_checkpoint_stands(self, store: Store) -> None:
        store.create(V1)
        store.apply(V1, [], checkpoint(7), checkpoint(9, partition=12))
        said = checkpoint(7)._replace(log="one/1")
        store.apply(V1, [], said)
        assert sorted(store.checkpoints(V1)) == [said, checkpoint(9, partition=12)]

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def test_rows_checkpoint_and_live_build_survive_reopening(self, reopen: Callable[[], Store], row: type) -> None:
        store = reopen()
        store.create(V1)
        store.create(V2)
        store.switch(V2)
        store.apply(V2, samples(row, 3), checkpoint(3))
        store = reopen()
        assert list(store.builds("things")) == [V1, V2]
        assert store.live("things") == V2
        assert list(store.scan(V2, ACME)) == stored(samples(row, 3))
        assert list(store.checkpoints(V2)) == [checkpoint(3)]

    def test_what_was_applied_survives_kill_9(self, reopen: Callable[[], Store], place: str, row: type) -> None:
        returned = self._apply_until_killed(place, row)
        store = reopen()
        (reached,) = store.checkpoints(V1)
        found = list(store.scan(V1, ACME))
        assert reached.position >= returned
        assert found[: reached.position] == stored(samples(row, reached.position))
        # rows may be ahead of the checkpoint; the same batches again make both agree
        for done in range(0, reached.position + KILLED_BATCH, KILLED_BATCH):
            store.apply(V1, samples(row, KILLED_BATCH, after=done), checkpoint(done + KILLED_BATCH))
        (reached,) = store.checkpoints(V1)
        assert list(store.scan(V1, ACME)) == stored(samples(row, reached.position))

    def _apply_until_killed(self, place: str, row: type) -> int:
        """Return the position of the last batch whose `apply` had returned before the kill."""
        whose = (type(self).__module__, type(self).__qualname__)
        command = [sys.executable, "-m", "tests.contracts.view_writer", *whose, place, row.__name__]
        returned = 0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                returned = int(line)
                if returned >= KILLED_AFTER * KILLED_BATCH:
                    child.kill()
        assert returned >= KILLED_AFTER * KILLED_BATCH, "the child ended by itself; its error is above"
        return returned

    def test_a_row_that_can_never_be_kept_refuses_the_whole_batch(self, store: Store, row: type) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 2), checkpoint(2))
        bad = [*samples(row, 2, after=2), unkeepable(row), *samples(row, 2, after=4)]
        for _ in range(2):
            with pytest.raises(WriteRefused):
                store.apply(V1, bad, checkpoint(7))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 2))
        assert list(store.checkpoints(V1)) == [checkpoint(2)]
        store.apply(V1, samples(row, 4, after=2), checkpoint(7))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 6))
        assert list(store.checkpoints(V1)) == [checkpoint(7)]

    def test_text_that_is_not_unicode_is_refused(self, store: Store, row: type) -> None:
        store.create(V1)
        bad: Any = sample(row, 1)
        bad = (
            bad._replace(fields={"name": "\ud800"})
            if isinstance(bad, Patch)
            else bad._replace(tenant_id=TenantId("\ud800"))
        )
        with pytest.raises(WriteRefused):
            store.apply(V1, [sample(row, 2), bad], checkpoint(2))
        assert list(store.scan(V1, ACME)) == []
        assert list(store.checkpoints(V1)) == []

    def test_a_write_during_an_outage_is_retried_with_success(
        self, store: Store, row: type, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        store.create(V1)
        store.apply(V1, samples(row, 2), checkpoint(2))
        with outage(), pytest.raises(StoreUnavailable):
            store.apply(V1, samples(row, 2, after=2), checkpoint(4))
        store.apply(V1, samples(row, 2, after=2), checkpoint(4))
        assert list(store.scan(V1, ACME)) == stored(samples(row, 4))
        assert list(store.checkpoints(V1)) == [checkpoint(4)]

    def test_builds_are_made_switched_and_dropped_after_an_outage(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        store.create(V1)
        with outage():
            for change, view in ((store.create, V2), (store.switch, V1), (store.drop, V1)):
                with pytest.raises(StoreUnavailable):
                    change(view)
        assert list(store.builds("things")) == [V1]
        assert store.live("things") is None
        store.create(V2)
        store.switch(V2)
        store.drop(V1)
        assert list(store.builds("things")) == [V2]
        assert store.live("things") == V2

    def test_readers_in_other_threads_see_all_up_to_the_checkpoint_while_a_writer_applies(
        self, store: Store, row: type
    ) -> None:
        store.create(V1)
        store.switch(V1)
        done = Event()

        def read() -> int:
            looks = 0
            while not done.is_set():
                reached = next((one.position for one in store.checkpoints(V1)), 0)
                found = list(store.scan(V1, ACME))
                assert found[:reached] == stored(samples(row, reached))
                looks += 1
            return looks

        with ThreadPoolExecutor(3) as threads:
            readers = [threads.submit(read) for _ in range(3)]
            try:
                for at in range(0, 2_000, 100):
                    store.apply(V1, samples(row, 100, after=at), checkpoint(at + 100))
            finally:
                done.set()
            assert all(reader.result() > 0 for reader in readers)
        assert list(store.scan(V1, ACME)) == stored(samples(row, 2_000))


def _apply_for_ever(store: Store, row: type) -> None:
    store.create(V1)
    position = 0
    while True:
        rows: Sequence[Row] = samples(row, KILLED_BATCH, after=position)
        position += KILLED_BATCH
        store.apply(V1, rows, checkpoint(position))
        print(position, flush=True)


def _main(module: str, suite: str, place: str, row_name: str) -> None:
    (row,) = (row for row in LAYOUTS if row.__name__ == row_name)
    store = getattr(importlib.import_module(module), suite).open(place, projections_of(row))
    _apply_for_ever(store, row)


if __name__ == "__main__":
    _main(*sys.argv[1:])
