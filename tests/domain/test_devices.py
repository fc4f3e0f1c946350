"""The rules for devices."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from domain.fleet.device import (
    DEVICE,
    NEXT,
    ChangeDeviceStatus,
    DeviceStatus,
    DeviceStatusChanged,
    RegisterDevice,
    TagDevice,
    UpdateDevice,
)
from domain.fleet.device import RETIRED as RETIRED_STATUSES
from domain.message import Command, Event, adapter
from domain.rejection import Kind
from tests.examples.fleet import (
    CHANGE_STATUS,
    DESCRIPTION,
    REGISTER_DEVICE,
    REGISTERED,
    RETIRE_DEVICE,
    RETIRED,
    STATUS_CHANGED,
    TAG_DEVICE,
    TAGGED,
    UPDATE_DEVICE,
    UPDATED,
)
from tests.given_when_then import Rules

device = Rules(DEVICE)


def moved(*statuses: DeviceStatus) -> list[DeviceStatusChanged]:
    return [
        DeviceStatusChanged(from_status=before.value, to_status=after.value, reason="")
        for before, after in pairwise(statuses)
    ]


def in_status(status: DeviceStatus) -> tuple[Event, ...]:
    if status is DeviceStatus.PENDING:
        return (REGISTERED,)
    if status is DeviceStatus.DECOMMISSIONED:
        return (REGISTERED, RETIRED)
    if status in RETIRED_STATUSES:
        return (REGISTERED, RETIRED, *moved(DeviceStatus.DECOMMISSIONED, status))
    return (REGISTERED, *moved(DeviceStatus.PENDING, status))


def test_new_device_is_registered() -> None:
    device.given().when(REGISTER_DEVICE).then(REGISTERED)


def test_device_is_registered_with_its_hostname_alone() -> None:
    unknown: dict[str, Any] = dict.fromkeys(DESCRIPTION)
    bare = replace(REGISTERED, **unknown)
    device.given().when(RegisterDevice(device_id="42", hostname="web-1")).then(bare)


def test_registering_twice_is_refused() -> None:
    device.given(REGISTERED).when(REGISTER_DEVICE).then_refused(Kind.CONFLICT, "device 42 is registered already")


@pytest.mark.parametrize("command", [UPDATE_DEVICE, TAG_DEVICE, CHANGE_STATUS, RETIRE_DEVICE])
def test_unknown_device_is_not_found(command: Command) -> None:
    device.given().when(command).then_refused(Kind.NOT_FOUND, "device 42 is not known; register it first")


def test_update_records_only_what_changed() -> None:
    device.given(REGISTERED).when(UPDATE_DEVICE).then(UPDATED)


def test_updating_to_the_same_records_nothing() -> None:
    device.given(REGISTERED, UPDATED).when(UPDATE_DEVICE).then_nothing()


def test_updating_nothing_records_nothing() -> None:
    device.given(REGISTERED).when(UpdateDevice(device_id="42")).then_nothing()


def test_device_is_tagged() -> None:
    device.given(REGISTERED).when(TAG_DEVICE).then(TAGGED)


def test_tagging_with_the_same_value_records_nothing() -> None:
    device.given(REGISTERED, TAGGED).when(TAG_DEVICE).then_nothing()


def test_tag_is_given_another_value() -> None:
    hamburg = TagDevice(device_id="42", key="site", value="Hamburg")
    device.given(REGISTERED, TAGGED).when(hamburg).then(replace(TAGGED, value="Hamburg"))


def test_pending_device_goes_online() -> None:
    device.given(REGISTERED).when(CHANGE_STATUS).then(STATUS_CHANGED)


@pytest.mark.parametrize("before", DeviceStatus)
@pytest.mark.parametrize("after", DeviceStatus)
def test_status_changes_only_as_the_table_says(before: DeviceStatus, after: DeviceStatus) -> None:
    asked = device.given(*in_status(before)).when(ChangeDeviceStatus(device_id="42", status=after))
    if before is after:
        asked.then_nothing()
    elif after in NEXT[before]:
        asked.then(*moved(before, after))
    elif after is DeviceStatus.DECOMMISSIONED and before not in RETIRED_STATUSES:
        asked.then_refused(Kind.NOT_ALLOWED, "device 42 becomes DECOMMISSIONED by RetireDevice")
    else:
        asked.then_refused(Kind.NOT_ALLOWED, f"device 42 cannot go from {before.value} to {after.value}")


def test_registered_device_is_retired() -> None:
    device.given(REGISTERED).when(RETIRE_DEVICE).then(RETIRED)


@pytest.mark.parametrize("status", RETIRED_STATUSES)
def test_retiring_twice_records_nothing(status: DeviceStatus) -> None:
    device.given(*in_status(status)).when(RETIRE_DEVICE).then_nothing()


@pytest.mark.parametrize("command", [UPDATE_DEVICE, TAG_DEVICE])
def test_retired_device_is_not_changed_any_more(command: Command) -> None:
    device.given(REGISTERED, RETIRED).when(command).then_refused(Kind.NOT_ALLOWED, "device 42 is DECOMMISSIONED")


@pytest.mark.parametrize("key", ["", "a.b", "$set", "tag key", "k" * 64, "ümlaut"])
def test_tag_key_that_no_store_could_name_a_field_after_is_invalid(key: str) -> None:
    with pytest.raises(ValidationError):
        adapter(TagDevice).validate_python({"device_id": "42", "key": key, "value": "x"})


def test_status_that_does_not_exist_is_invalid() -> None:
    with pytest.raises(ValidationError):
        adapter(ChangeDeviceStatus).validate_python({"device_id": "42", "status": "SLEEPING"})
