"""What every DeadLetters promises, as a suite: subclass DeadLettersContract and say how the store is opened."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol

import pytest

from projections.operations import DeadLetter
from projections.stores import StoreUnavailable
from schemas.envelope import Position, StreamId, TenantId, Topic
from streams.ports import DeadLetters, Parked
from tests.contracts.samples import ACME, BOLT, instant


class Store(DeadLetters, Protocol):
    def close(self) -> None: ...


def letter(
    position: int,
    *,
    view: str = "devices_v1",
    topic: Topic = Topic.EVENTS,
    partition: int = 3,
    tenant: TenantId = ACME,
    stream: str = "device-1",
    attempts: int = 1,
) -> DeadLetter:
    reason = f"cannot take 'this' \"{position}\" ü 🚀"
    what = (StreamId(stream), "device.registered", reason, attempts, instant(position))
    return DeadLetter(view, topic, partition, position, tenant, *what)


def place(of: DeadLetter) -> tuple[str, Position]:
    return of.view, Position(of.topic, of.partition, of.position)


class DeadLettersContract:
    """Inherit it in a class named Test…, override `open`, `place` and `outage`."""

    @staticmethod
    def open(place: str) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def outage(self, store: Store) -> Callable[[], AbstractContextManager[None]]:
        """Return what makes the open store refuse writes for the length of a `with`, for a reason that passes."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, place: str) -> Iterator[Store]:
        store = self.open(place)
        yield store
        store.close()

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.parked_streams("devices_v1") == frozenset()
        assert list(store.letters("devices_v1")) == []
        assert list(store.page(ACME, table=None, after=None, limit=10)) == []

    def test_letters_come_back_exactly_as_parked_in_order_of_their_place(self, store: Store) -> None:
        letters = [
            letter(2, partition=10),
            letter(1, topic=Topic.TELEMETRY, partition=0),
            letter(10),
            letter(9, tenant=BOLT),
        ]
        store.park(letters)
        assert list(store.letters("devices_v1")) == [letters[3], letters[2], letters[0], letters[1]]

    def test_parking_nothing_keeps_nothing(self, store: Store) -> None:
        store.park([])
        assert list(store.letters("devices_v1")) == []

    def test_a_letter_parked_again_is_there_once_with_its_attempts_added(self, store: Store) -> None:
        store.park([letter(1, attempts=1)])
        store.park([letter(1, attempts=2)])
        assert list(store.letters("devices_v1")) == [letter(1, attempts=3)]

    def test_a_follower_parked_over_the_poison_keeps_the_reason_and_instant_of_the_poison(self, store: Store) -> None:
        store.park([letter(1)])
        later = letter(1)._replace(reason="an earlier record is parked", attempts=0, parked_at=instant(9))
        store.park([later])
        assert list(store.letters("devices_v1")) == [letter(1)]

    def test_the_same_place_in_two_builds_is_two_letters(self, store: Store) -> None:
        store.park([letter(1), letter(1, view="devices_v2")])
        assert list(store.letters("devices_v1")) == [letter(1)]
        assert list(store.letters("devices_v2")) == [letter(1, view="devices_v2")]

    def test_parked_names_streams_of_decided_events_in_this_build_only(self, store: Store) -> None:
        store.park(
            [
                letter(1),
                letter(2),
                letter(3, tenant=BOLT, stream="device-2"),
                letter(4, topic=Topic.TELEMETRY, stream="device-3"),
                letter(5, view="alerts_v1", stream="alert-1"),
            ]
        )
        assert store.parked_streams("devices_v1") == {(ACME, "device-1"), (BOLT, "device-2")}

    def test_letters_of_a_build_are_counted_those_of_facts_and_followers_too(self, store: Store) -> None:
        assert store.parked() == {}
        store.park([letter(1), letter(2, attempts=0), letter(3, tenant=BOLT), letter(4, topic=Topic.TELEMETRY)])
        store.park([letter(1, view="devices_v2")])
        store.remove([letter(2)])
        assert store.parked() == {"devices_v1": Parked(2, 3), "devices_v2": Parked(1, 1)}

    def test_a_removed_letter_is_gone_and_its_neighbours_stay(self, store: Store) -> None:
        store.park([letter(1), letter(2), letter(1, view="devices_v2"), letter(1, partition=4)])
        store.remove([letter(1)])
        assert list(store.letters("devices_v1")) == [letter(2), letter(1, partition=4)]
        assert list(store.letters("devices_v2")) == [letter(1, view="devices_v2")]

    def test_a_stream_whose_last_letter_was_removed_is_not_parked(self, store: Store) -> None:
        store.park([letter(1), letter(2)])
        store.remove([letter(1)])
        assert store.parked_streams("devices_v1") == {(ACME, "device-1")}
        store.remove([letter(2)])
        assert store.parked_streams("devices_v1") == frozenset()

    def test_removing_a_letter_that_is_not_there_is_no_error(self, store: Store) -> None:
        store.remove([])
        store.remove([letter(1)])
        store.park([letter(1)])
        store.remove([letter(1), letter(1)])
        store.remove([letter(1)])
        assert list(store.letters("devices_v1")) == []

    def test_letters_may_be_removed_and_parked_while_they_are_read(self, store: Store) -> None:
        letters = [letter(position) for position in range(1, 501)]
        store.park(letters)
        found = []
        for one in store.letters("devices_v1"):
            found.append(one)
            if one.position % 2:
                store.remove([one])
            else:
                store.park([one])
        assert found == letters
        assert [one.attempts for one in store.letters("devices_v1")] == [2] * 250

    def test_pages_give_each_letter_of_a_tenant_once_in_order(self, store: Store) -> None:
        mine = [
            letter(3, view="alerts_v1"),
            letter(2, partition=2),
            letter(1),
            letter(7),
            letter(1, partition=11),
            letter(1, topic=Topic.TELEMETRY, partition=0),
            letter(1, view="devices_v2"),
        ]
        theirs = [one._replace(tenant_id=BOLT, position=one.position + 100) for one in mine]
        store.park([*reversed(mine), *theirs])
        found: list[DeadLetter] = []
        while page := store.page(ACME, table=None, after=place(found[-1]) if found else None, limit=2):
            assert len(page) <= 2
            found.extend(page)
        assert found == mine

    def test_a_page_of_one_view_holds_no_other(self, store: Store) -> None:
        store.park([letter(1, view="alerts_v1"), letter(2), letter(3), letter(4, view="devices_v2")])
        assert list(store.page(ACME, table="devices_v1", after=None, limit=10)) == [letter(2), letter(3)]
        assert list(store.page(ACME, table="devices_v1", after=place(letter(2)), limit=10)) == [letter(3)]
        assert list(store.page(ACME, table="invoices_v1", after=None, limit=10)) == []

    def test_a_tenant_without_letters_gets_an_empty_page(self, store: Store) -> None:
        store.park([letter(1)])
        assert list(store.page(BOLT, table=None, after=None, limit=10)) == []
        assert list(store.page(BOLT, table="devices_v1", after=None, limit=10)) == []

    def test_letters_survive_reopening(self, place: str) -> None:
        for parked in ([letter(1)], [letter(2)]):
            store = self.open(place)
            store.park(parked)
            store.close()
        store = self.open(place)
        assert list(store.letters("devices_v1")) == [letter(1), letter(2)]
        store.close()

    def test_instants_keep_their_microseconds(self, store: Store) -> None:
        at = instant(1).replace(microsecond=1) + timedelta(microseconds=1)
        store.park([letter(1)._replace(parked_at=at)])
        assert [one.parked_at for one in store.letters("devices_v1")] == [at]

    def test_parking_and_removing_are_retried_with_success_after_an_outage(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        store.park([letter(1)])
        with outage():
            with pytest.raises(StoreUnavailable):
                store.park([letter(2)])
            with pytest.raises(StoreUnavailable):
                store.remove([letter(1)])
        assert list(store.letters("devices_v1")) == [letter(1)]
        store.park([letter(2)])
        store.remove([letter(1)])
        assert list(store.letters("devices_v1")) == [letter(2)]
