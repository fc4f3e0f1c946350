"""The rules for organizations, and the process that tells them of their devices."""

from dataclasses import replace

from domain.fleet.device import DEVICE, RegisterDevice, UpdateDevice
from domain.fleet.processes import DEVICE_MEMBERSHIP
from domain.given import Given
from domain.identity.organization import (
    ORGANIZATION,
    Organization,
    devices_stream,
    organization_stream,
)
from domain.identity.organization_devices import (
    ORGANIZATION_DEVICES,
    AddDevice,
    OrganizationDeviceAdded,
    OrganizationDevices,
    RemoveDevice,
)
from domain.process import Ask
from domain.rejection import Kind
from tests.examples.fleet import REGISTER_DEVICE, REGISTERED, RETIRED, UPDATED
from tests.examples.identity import (
    ADD_DEVICE,
    ARCHIVE_ORGANIZATION,
    CREATE_ORGANIZATION,
    DEVICE_ADDED,
    DEVICE_REMOVED,
    ORGANIZATION_ARCHIVED,
    ORGANIZATION_CREATED,
    ORGANIZATION_UPDATED,
    REMOVE_DEVICE,
    UPDATE_ORGANIZATION,
)
from tests.examples.process import ANSWERED
from tests.given_when_then import GIVEN, Rules, Runs

organization = Rules(ORGANIZATION)
created = organization.given(ORGANIZATION_CREATED)
devices = Rules(ORGANIZATION_DEVICES)
device = Rules(DEVICE)
membership = Runs(DEVICE_MEMBERSHIP, "42")

JOINED = replace(ANSWERED, step="join", outcome="accepted", kind=None, reason=None, stream="organization_devices-org-1")
LEFT = replace(JOINED, step="leave")
ARCHIVED = Organization(description={"name": "North"}, archived=True)


def test_organization_is_created_once() -> None:
    organization.given().when(CREATE_ORGANIZATION).then(ORGANIZATION_CREATED)
    created.when(CREATE_ORGANIZATION).then_refused(Kind.CONFLICT, "organization org-1 is created already")


def test_organization_is_updated_with_what_changes() -> None:
    created.when(UPDATE_ORGANIZATION).then(ORGANIZATION_UPDATED)
    organization.given(ORGANIZATION_CREATED, ORGANIZATION_UPDATED).when(UPDATE_ORGANIZATION).then_nothing()


def test_organization_that_has_devices_is_not_archived() -> None:
    def beside(*ids: str) -> Given:
        return GIVEN._replace(streams={devices_stream("org-1"): OrganizationDevices(ids=dict.fromkeys(ids, True))})

    created.when(ARCHIVE_ORGANIZATION, beside("42", "43")).then_refused(
        Kind.NOT_ALLOWED, "organization org-1 has 2 devices; retire or move them first"
    )
    created.when(ARCHIVE_ORGANIZATION, beside()).then(ORGANIZATION_ARCHIVED)
    created.when(ARCHIVE_ORGANIZATION).then(ORGANIZATION_ARCHIVED)


def test_archived_organization_takes_nothing() -> None:
    archived = organization.given(ORGANIZATION_CREATED, ORGANIZATION_ARCHIVED)
    archived.when(ARCHIVE_ORGANIZATION).then_nothing()
    archived.when(UPDATE_ORGANIZATION).then_refused(Kind.NOT_ALLOWED, "organization org-1 is archived")
    beside = GIVEN._replace(streams={organization_stream("org-1"): ARCHIVED})
    devices.given().when(ADD_DEVICE, beside).then_refused(Kind.NOT_ALLOWED, "organization org-1 is archived")


def test_device_is_added_and_removed_once() -> None:
    devices.given().when(ADD_DEVICE).then(DEVICE_ADDED)
    devices.given(DEVICE_ADDED).when(ADD_DEVICE).then_nothing()
    devices.given(DEVICE_ADDED).when(replace(ADD_DEVICE, device_id="43")).then(
        OrganizationDeviceAdded(device_id="43", devices=2)
    )
    devices.given(DEVICE_ADDED).when(REMOVE_DEVICE).then(DEVICE_REMOVED)
    devices.given(DEVICE_ADDED, DEVICE_REMOVED).when(REMOVE_DEVICE).then_nothing()


def test_organization_that_was_not_created_is_not_known() -> None:
    for command in (UPDATE_ORGANIZATION, ARCHIVE_ORGANIZATION):
        organization.given().when(command).then_refused(
            Kind.NOT_FOUND, "organization org-1 is not known; create it first"
        )


def test_device_is_not_given_to_an_archived_organization() -> None:
    beside = GIVEN._replace(streams={organization_stream("org-1"): ARCHIVED})
    device.given().when(REGISTER_DEVICE, beside).then_refused(Kind.NOT_ALLOWED, "organization org-1 is archived")
    moved = UpdateDevice(device_id="42", organization_id="org-1")
    device.given(REGISTERED).when(moved, beside).then_refused(Kind.NOT_ALLOWED, "organization org-1 is archived")


def test_device_of_an_organization_that_is_open_or_unknown_is_registered() -> None:
    for state in (None, replace(ARCHIVED, archived=False)):
        beside = GIVEN._replace(streams={organization_stream("org-1"): state})
        device.given().when(REGISTER_DEVICE, beside).then(REGISTERED)


def test_device_without_an_organization_reads_nothing_else() -> None:
    assert DEVICE.reads is not None
    assert DEVICE.reads(RegisterDevice(device_id="42", hostname="web-1"), GIVEN.actor) == ()


# --- the process


def test_registered_device_joins_its_organization() -> None:
    membership.when(REGISTERED).then(Ask("join", AddDevice(organization_id="org-1", device_id="42")))


def test_device_that_moves_leaves_the_one_organization_and_joins_the_other() -> None:
    moved = replace(UPDATED, organization_id="org-2")
    membership.given(JOINED).when(moved).then(
        Ask("leave", RemoveDevice(organization_id="org-1", device_id="42")),
        Ask("join", AddDevice(organization_id="org-2", device_id="42")),
    )
    membership.given(JOINED).when(replace(moved, organization_id="org-1")).then()


def test_retired_device_leaves_its_organization_once() -> None:
    membership.given(JOINED).when(RETIRED).then(Ask("leave", RemoveDevice(organization_id="org-1", device_id="42")))
    membership.given(JOINED, LEFT).when(RETIRED).then()
    membership.when(RETIRED).then()


def test_device_that_was_not_taken_has_nothing_to_leave() -> None:
    refused = replace(JOINED, outcome="refused", kind="not_allowed", reason="organization org-1 is archived")
    membership.given(refused).when(RETIRED).then()
    membership.when(refused).then()


def test_events_without_an_organization_are_not_the_processs_business() -> None:
    assert DEVICE_MEMBERSHIP.route(replace(UPDATED, organization_id=None), None) is None  # type: ignore[arg-type]
