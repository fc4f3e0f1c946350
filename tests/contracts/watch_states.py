"""This suite is what every store of the watches' states promises."""

from streams.ports import WatchState, WatchStates


class WatchStatesContract:
    def test_nothing_is_remembered_of_a_new_partition(self, states: WatchStates) -> None:
        assert states.load(0) == []

    def test_what_is_kept_is_loaded_by_its_partition(self, states: WatchStates) -> None:
        kept = [WatchState("a", 1, b"\x00{}"), WatchState("seen|ü|w-1|1|web-1", 2**40, b"x" * 100_000)]
        states.keep(0, kept)
        states.keep(1, [WatchState("a", 5, b"other")])
        assert sorted(states.load(0)) == kept
        assert states.load(1) == [WatchState("a", 5, b"other")]

    def test_newer_state_replaces_an_older_one_and_one_of_the_same_position_too(self, states: WatchStates) -> None:
        for position, value in ((1, b"one"), (2, b"two"), (2, b"again")):
            states.keep(0, [WatchState("a", position, value)])
        assert states.load(0) == [WatchState("a", 2, b"again")]

    def test_state_of_a_lesser_position_changes_nothing(self, states: WatchStates) -> None:
        states.keep(0, [WatchState("a", 5, b"five"), WatchState("b", 5, b"five")])
        states.keep(0, [WatchState("a", 4, b"four"), WatchState("b", 4, None), WatchState("c", 4, b"four")])
        assert sorted(states.load(0)) == [
            WatchState("a", 5, b"five"),
            WatchState("b", 5, b"five"),
            WatchState("c", 4, b"four"),
        ]

    def test_what_is_forgotten_is_not_loaded(self, states: WatchStates) -> None:
        states.keep(0, [WatchState("a", 5, b"five")])
        states.keep(0, [WatchState("a", 5, None), WatchState("never kept", 5, None)])
        assert states.load(0) == []

    def test_state_that_comes_twice_in_one_call_is_the_later_one(self, states: WatchStates) -> None:
        states.keep(0, [WatchState("a", 1, b"one"), WatchState("a", 2, b"two")])
        assert states.load(0) == [WatchState("a", 2, b"two")]

    def test_nothing_may_be_kept(self, states: WatchStates) -> None:
        states.keep(0, [])
        assert states.load(0) == []
