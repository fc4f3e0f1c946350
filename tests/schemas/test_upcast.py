"""Old payloads are made new step by step."""

from collections.abc import Mapping
from typing import Any

from schemas.upcast import to_newest


def renamed(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"name": data["title"]}


def with_tags(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**data, "tags": []}


STEPS = {("thing.made", 1): renamed, ("thing.made", 2): with_tags}


def test_payload_of_the_newest_version_stays_as_it_is() -> None:
    assert to_newest("thing.made", 3, {"name": "x", "tags": ["a"]}, STEPS) == (3, {"name": "x", "tags": ["a"]})


def test_old_payload_goes_through_every_later_step_in_order() -> None:
    assert to_newest("thing.made", 1, {"title": "x"}, STEPS) == (3, {"name": "x", "tags": []})
    assert to_newest("thing.made", 2, {"name": "x"}, STEPS) == (3, {"name": "x", "tags": []})


def test_steps_of_one_type_are_not_taken_for_another() -> None:
    assert to_newest("thing.broken", 1, {"title": "x"}, STEPS) == (1, {"title": "x"})
