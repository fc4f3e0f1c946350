"""What every KeyStore promises, as a suite: subclass KeyStoreContract and say how the store is opened."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Barrier
from typing import Protocol

import pytest

from projections.keys import KeyStore
from projections.stores import StoreUnavailable
from schemas.personal import Subject
from schemas.sealed import KEY_BYTES
from tests.contracts.samples import ACME, BOLT

ANN, BEN = (ACME, "user-ann"), (ACME, "user-ben")
ANN_OF_BOLT = (BOLT, "user-ann")
KILLED_AFTER = 20


class Store(KeyStore, Protocol):
    def close(self) -> None: ...


class KeyStoreContract:
    """Inherit it in a class named Test…, override `open`, `place` and `outage`.

    Shape: `place` is a fresh, empty store's path or address for each test; `open` is called in other processes and in
    other threads too, also while another open of that place is in use.
    """

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

    def test_nobody_has_a_key_in_a_new_store(self, store: Store) -> None:
        assert store.find([ANN, BEN]) == {}
        assert store.find([]) == {}
        assert store.make([]) == {}

    def test_key_that_was_made_is_found_and_made_only_once(self, store: Store) -> None:
        made = store.make([ANN])
        assert [len(key or b"") for key in made.values()] == [KEY_BYTES]
        assert store.make([ANN, BEN])[ANN] == made[ANN]
        assert store.find([ANN]) == made

    def test_each_subject_has_a_key_of_its_own(self, store: Store) -> None:
        subjects = [(ACME, f"user-{n} ü €") for n in range(50)]
        assert len(set(store.make(subjects).values())) == 50

    def test_subject_of_another_tenant_is_another_one_whatever_its_name(self, store: Store) -> None:
        made = store.make([ANN, ANN_OF_BOLT])
        assert made[ANN] != made[ANN_OF_BOLT]
        store.destroy(ANN_OF_BOLT)
        assert store.find([ANN, ANN_OF_BOLT]) == {ANN: made[ANN]}

    def test_tenant_does_not_find_the_key_that_another_made(self, store: Store) -> None:
        store.make([ANN])
        assert store.find([ANN_OF_BOLT]) == {}

    def test_destroyed_key_is_gone_and_no_other_is_ever_made(self, store: Store, place: str) -> None:
        made = store.make([ANN, BEN])
        store.destroy(ANN)
        for open_ in (store, self.open(place)):
            assert open_.find([ANN, BEN]) == {BEN: made[BEN]}
            assert open_.make([ANN, BEN]) == {ANN: None, BEN: made[BEN]}
            if open_ is not store:
                open_.close()

    def test_destroying_twice_or_what_never_was_is_no_error_and_final_too(self, store: Store) -> None:
        for _ in range(2):
            store.destroy(ANN)
        assert store.make([ANN]) == {ANN: None}
        assert store.find([ANN]) == {}

    def test_keys_are_the_same_when_the_store_is_opened_again(self, place: str) -> None:
        first = self.open(place)
        made = first.make([ANN, BEN])
        first.close()
        second = self.open(place)
        assert second.find([ANN, BEN]) == made
        second.close()

    def test_two_that_make_the_same_keys_at_once_get_the_same(self, store: Store, place: str) -> None:
        subjects = [(ACME, f"user-{n}") for n in range(30)]
        makers = 4
        together = Barrier(makers)

        def make(_: int) -> Sequence[bytes | None]:
            own = self.open(place)
            try:
                together.wait()
                return [own.make([subject])[subject] for subject in subjects]
            finally:
                own.close()

        with ThreadPoolExecutor(makers) as pool:
            keys = list(pool.map(make, range(makers)))
        assert all(one == keys[0] for one in keys)
        assert list(store.find(subjects).values()) == keys[0]

    def test_one_open_store_may_be_used_by_many_threads(self, store: Store) -> None:
        subjects = [(ACME, f"user-{n % 10}") for n in range(200)]
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda subject: store.make([subject])[subject], subjects))
        found = store.find(subjects)
        assert made == [found[subject] for subject in subjects]

    def test_what_was_made_and_what_was_destroyed_survives_kill_9(self, place: str) -> None:
        kept = self._use_until_killed(place)
        store = self.open(place)
        assert store.make(kept) == kept
        assert store.find(kept) == {subject: key for subject, key in kept.items() if key}
        store.close()

    def _use_until_killed(self, place: str) -> dict[Subject, bytes | None]:
        """Return what the child had been told about each subject before the kill."""
        whose = (type(self).__module__, type(self).__qualname__)
        kept: dict[Subject, bytes | None] = {}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.key_store", *whose, place], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                name, _, key = line.strip().partition(" ")
                kept[ACME, name] = bytes.fromhex(key) or None
                if len(kept) >= KILLED_AFTER:
                    child.kill()
        assert len(kept) >= KILLED_AFTER, "the child ended by itself; its error is above"
        return kept

    def test_making_and_destroying_are_retried_with_success_after_an_outage(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        made = store.make([ANN])
        with outage():
            with pytest.raises(StoreUnavailable):
                store.make([BEN])
            with pytest.raises(StoreUnavailable):
                store.destroy(ANN)
        assert store.find([ANN, BEN]) == made
        assert store.make([BEN])[BEN]
        store.destroy(ANN)
        assert list(store.find([ANN, BEN])) == [BEN]


def _use_for_ever(module: str, class_: str, place: str) -> None:
    """Make keys, destroy every third one, and say of each what is so once it is."""
    store = getattr(importlib.import_module(module), class_).open(place)
    for n in range(1_000_000):
        subject = (ACME, f"user-{n}")
        key = store.make([subject])[subject].hex()
        if n % 3 == 0:
            store.destroy(subject)
            key = ""
        print(subject[1], key, flush=True)


if __name__ == "__main__":
    _use_for_ever(*sys.argv[1:])
