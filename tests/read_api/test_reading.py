"""A read that names a position waits until its view has it, or says how far the view is."""

import threading
import time

import pytest

from projections.operations import DeadLetter
from schemas.envelope import StreamId, Topic
from tests.read_api.world import ACME, NOW, Caller, World, problem


@pytest.fixture(autouse=True)
def _log_goes_on_behind_the_view(world: World) -> None:
    world.feed.longer_than = 1_000


def test_a_view_that_has_the_position_answers_at_once(acme: Caller, world: World) -> None:
    response = acme.get("/v1/devices", headers={"X-Consistent-With": f"events/0/{world.progress.position}"})
    assert response.status_code == 200


def test_a_view_that_gets_there_in_time_is_waited_for(acme: Caller, world: World) -> None:
    target = world.progress.position + 1
    timer = threading.Timer(0.1, world.progress.move, (target,))
    timer.start()
    response = acme.get("/v1/devices", headers={"X-Consistent-With": f"events/0/{target}"})
    timer.join()
    assert response.status_code == 200
    assert f"events/0/{target}" in response.json()["as_of"]["positions"]


def test_a_view_that_does_not_get_there_says_how_far_it_is(acme: Caller, world: World) -> None:
    began = time.monotonic()
    response = acme.get("/v1/devices", headers={"X-Consistent-With": "events/0/1, events/0/999"})
    body = problem(response, 503)
    at = f"events/0/{world.progress.position}"
    assert body["detail"] == f"devices is at {at}, not yet at events/0/999; try again"
    assert body["reached"] == at
    assert response.headers["retry-after"] == "1"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "token", ["", "12", "events/0", "events/0/x", "secrets/0/1", "events/0/1,,", "events/0/" + "9" * 30]
)
def test_anything_else_is_refused(acme: Caller, token: str) -> None:
    problem(acme.get("/v1/devices", headers={"X-Consistent-With": token}), 400)


def test_waiting_reads_leave_room_for_others(acme: Caller, world: World) -> None:
    statuses: list[int] = []

    def wait() -> None:
        statuses.append(acme.get("/v1/devices", headers={"X-Consistent-With": "events/0/999"}).status_code)

    threads = [threading.Thread(target=wait) for _ in range(30)]
    for thread in threads:
        thread.start()
    assert acme.get("/v1/devices").status_code == 200
    for thread in threads:
        thread.join()
    assert statuses == [503] * 30


def test_a_record_that_the_view_has_parked_is_a_conflict_and_not_an_answer_without_it(
    acme: Caller, bolt: Caller, world: World
) -> None:
    parked = DeadLetter(
        "devices_v2", Topic.EVENTS, 0, 5, ACME, StreamId("device-web-1"), "device.tagged", "no such room", 1, NOW
    )
    world.progress.letters = [parked]
    body = problem(acme.get("/v1/devices", headers={"X-Consistent-With": "events/0/5"}), 409)
    assert body["detail"].startswith("devices does not have events/0/5: its stream device-web-1 is parked")
    assert "factline dead-letters retry devices" in body["detail"]
    assert acme.get("/v1/devices", headers={"X-Consistent-With": "events/0/4"}).status_code == 200


def test_a_tenant_sees_and_names_positions_of_its_own_partition_only(acme: Caller, bolt: Caller) -> None:
    [own] = acme.table("/v1/devices")["as_of"]["positions"]
    assert own.startswith("events/0/")
    assert bolt.table("/v1/devices")["as_of"]["positions"] == ["events/1/3"]
    body = problem(bolt.get("/v1/devices", headers={"X-Consistent-With": "events/0/1"}), 400)
    assert body["detail"] == "events/0/1 is not in the partition of this tenant, which is 1"
