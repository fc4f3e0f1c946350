"""The rules for planned maintenance, and which devices it covers when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.fleet.maintenance import MAINTENANCE
from domain.fleet.planned import Window, ends_at
from domain.rejection import Kind
from tests.examples.fleet import (
    CANCEL_MAINTENANCE,
    MAINTENANCE_CANCELLED,
    MAINTENANCE_PLANNED,
    PLAN_MAINTENANCE,
)
from tests.examples.moments import HAPPENED_AT, RECORDED_AT
from tests.given_when_then import GIVEN, Rules

maintenance = Rules(MAINTENANCE)
SECOND = timedelta(seconds=1)
BEFORE_ITS_END = GIVEN._replace(now=RECORDED_AT - SECOND)


def test_new_maintenance_is_planned() -> None:
    maintenance.given().when(PLAN_MAINTENANCE).then(MAINTENANCE_PLANNED)


def test_planning_the_same_again_records_nothing_and_another_time_replaces_it() -> None:
    maintenance.given(MAINTENANCE_PLANNED).when(PLAN_MAINTENANCE).then_nothing()
    later = RECORDED_AT + SECOND
    maintenance.given(MAINTENANCE_PLANNED).when(replace(PLAN_MAINTENANCE, ends_at=later)).then(
        replace(MAINTENANCE_PLANNED, ends_at=later)
    )


def test_cancelled_maintenance_may_be_planned_again() -> None:
    cancelled = maintenance.given(MAINTENANCE_PLANNED, MAINTENANCE_CANCELLED)
    cancelled.when(PLAN_MAINTENANCE).then(MAINTENANCE_PLANNED)


def test_maintenance_is_cancelled_once_and_not_when_it_is_over() -> None:
    maintenance.given(MAINTENANCE_PLANNED).when(CANCEL_MAINTENANCE, BEFORE_ITS_END).then(MAINTENANCE_CANCELLED)
    both = maintenance.given(MAINTENANCE_PLANNED, MAINTENANCE_CANCELLED)
    both.when(CANCEL_MAINTENANCE, BEFORE_ITS_END).then_nothing()
    maintenance.given(MAINTENANCE_PLANNED).when(CANCEL_MAINTENANCE).then_refused(
        Kind.NOT_ALLOWED, "maintenance m1 is over"
    )
    maintenance.given().when(CANCEL_MAINTENANCE).then_refused(Kind.NOT_FOUND, "maintenance m1 is not known")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ends_at": HAPPENED_AT}, "`begins_at` must be before `ends_at`"),
        ({"device_id": "web-1"}, "a maintenance is of a `device_id` or of a `tag_key`; name one of them"),
        (
            {"tag_key": None, "tag_value": None},
            "a maintenance is of a `device_id` or of a `tag_key`; name one of them",
        ),
        ({"tag_key": None, "device_id": "web-1"}, "`tag_value` needs a `tag_key`"),
    ],
)
def test_maintenance_that_says_nothing_is_invalid(changes: dict[str, Any], reason: str) -> None:
    maintenance.given().when(replace(PLAN_MAINTENANCE, **changes)).then_refused(Kind.INVALID, reason)


@pytest.mark.parametrize(
    ("device", "tags", "covered"),
    [
        ("web-1", {}, True),
        ("web-2", {}, False),
        ("web-2", {"site": "Berlin"}, True),
        ("web-2", {"site": "Oslo"}, False),
        ("web-2", {"rack": ""}, True),
    ],
)
def test_device_is_covered_by_its_id_or_by_a_tag(device: str, tags: dict[str, str], covered: bool) -> None:  # noqa: FBT001
    times = (HAPPENED_AT, RECORDED_AT)
    windows = [
        Window("m1", 1, *times, "web-1", None, None),
        Window("m2", 1, *times, None, "site", "Berlin"),
        Window("m3", 1, *times, None, "rack", None),
    ]
    assert (ends_at(windows, device, tags, HAPPENED_AT) is not None) == covered


def test_window_covers_from_its_beginning_to_before_its_end_and_the_last_of_several_counts() -> None:
    window = Window.of("m1", 1, MAINTENANCE_PLANNED)._replace(device_id="web-1", tag_key=None)
    asked = (HAPPENED_AT - SECOND, HAPPENED_AT, RECORDED_AT - SECOND, RECORDED_AT)
    assert [ends_at([window], "web-1", {}, at) for at in asked] == [None, RECORDED_AT, RECORDED_AT, None]
    longer = window._replace(ends_at=RECORDED_AT + SECOND)
    assert ends_at([window, longer], "web-1", {}, HAPPENED_AT) == RECORDED_AT + SECOND
    assert ends_at([window.until(HAPPENED_AT)], "web-1", {}, HAPPENED_AT) is None
