from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from infra.sqlite.last_places import PlacesInFile
from streams.intake.files.last_places import LastPlaces, PlacesInMemory


@given(names=st.lists(st.sampled_from(["", "1", "C3", "é", "a\0b"]), max_size=20), in_memory=st.integers(1, 5))
def test_each_name_is_given_once_with_its_last_place_in_order(names: Sequence[str], in_memory: int) -> None:
    expected = sorted((len(names) - 1 - names[::-1].index(name), name) for name in set(names))
    kept: list[LastPlaces] = [PlacesInFile(in_memory), PlacesInMemory()]
    for places in kept:
        for place, name in enumerate(names):
            places.say(name, place)
        assert list(places) == expected


def test_many_names_stay_out_of_memory() -> None:
    places = PlacesInFile(in_memory=100)
    for n in range(1_000):
        places.say(f"{n}", n)
        assert len(places._last) < 100
    assert [place for place, _ in places] == list(range(1_000))
