"""What happened, and what a stream was at a version or an instant."""

from urllib.parse import quote

import pytest

from domain.catalog import payload_of
from domain.identity.tenant import TenantRegistered, TenantSuspended
from domain.message import Event
from projections.history.event_rows import EventRow
from schemas.canonical_json import canonical_json
from schemas.envelope import StreamId, TenantId
from tests.read_api.world import ACME, BOLT, Caller, Stores, at, problem

STREAM = StreamId("tenant-acme")
STORY: tuple[Event, ...] = (
    TenantRegistered(name="Acme", domain=None, owner_id="ann"),
    TenantSuspended(reason="unpaid"),
)


def row(tenant_id: TenantId, version: int, event: Event, position: int) -> EventRow:
    return EventRow(
        tenant_id=tenant_id,
        stream=STREAM,
        version=version,
        partition=0,
        position=position,
        event_id=f"e{position}",
        type=event.TYPE,
        schema_version=1,
        happened_at=at(version),
        recorded_at=at(version),
        actor_type="user",
        actor_id="ann",
        correlation_id="c",
        causation_id="c",
        data=canonical_json(payload_of(event)),
    )


@pytest.fixture(scope="module", autouse=True)
def events(stores: Stores) -> None:
    rows = [row(ACME, version, event, version * 2) for version, event in enumerate(STORY, 1)]
    rows.append(row(BOLT, 1, STORY[0], 3))
    stores.write("audit_trail", rows)
    stores.write("events", rows)
    stores.write("stream_history", rows)
    stores.write(
        "stream_history", [row(ACME, n, STORY[0], n)._replace(stream=StreamId("device-d")) for n in range(1, 4)]
    )


def test_the_trail_is_newest_first_and_holds_the_payload(acme: Caller) -> None:
    rows = acme.rows("/v1/audit/events")
    assert [found["position"] for found in rows] == ["events/0/4", "events/0/2"]
    assert rows[0] == {
        "position": "events/0/4",
        "stream": "tenant-acme",
        "version": 2,
        "event_id": "e4",
        "type": "tenant.suspended",
        "schema_version": 1,
        "happened_at": "2026-01-31T02:02:00Z",
        "recorded_at": "2026-01-31T02:02:00Z",
        "actor": {"type": "user", "id": "ann"},
        "correlation_id": "c",
        "causation_id": "c",
        "data": {"reason": "unpaid"},
    }


def test_the_trail_is_narrowed_by_type_and_time(acme: Caller) -> None:
    found = acme.rows("/v1/audit/events", types="tenant.registered,device.registered")
    assert [one["type"] for one in found] == ["tenant.registered"]
    assert acme.rows("/v1/audit/events", end="2026-01-31T02:01:00Z") == []


def test_a_stream_gives_its_events_and_its_state(acme: Caller) -> None:
    answer = acme.table(f"/v1/audit/streams/{STREAM}")
    assert [found["version"] for found in answer["rows"]] == [1, 2]
    assert answer["state"] == {"name": "Acme", "status": "SUSPENDED", "quota": None}
    assert answer["version"] == 2


@pytest.mark.parametrize("as_of", ["1", "2026-01-31T02:01:00Z", "2026-01-31T03:01:59.999999+01:00"])
def test_a_stream_as_of_earlier_does_not_know_what_came_later(acme: Caller, as_of: str) -> None:
    answer = acme.table(f"/v1/audit/streams/{STREAM}", as_of=as_of)
    assert [found["version"] for found in answer["rows"]] == [1]
    assert answer["state"] == {"name": "Acme", "status": "ACTIVE", "quota": None}


def test_before_its_first_event_a_stream_has_no_state(acme: Caller) -> None:
    answer = acme.table(f"/v1/audit/streams/{STREAM}", as_of="2026-01-01T00:00:00Z")
    assert (answer["rows"], answer["state"], answer["version"]) == ([], None, 0)


def test_pages_of_a_stream_all_tell_the_same_state(acme: Caller) -> None:
    first = acme.table(f"/v1/audit/streams/{STREAM}", limit=1)
    second = acme.table(f"/v1/audit/streams/{STREAM}", limit=1, cursor=first["next"])
    assert [page["rows"][0]["version"] for page in (first, second)] == [1, 2]
    assert first["state"] == second["state"] == {"name": "Acme", "status": "SUSPENDED", "quota": None}
    assert second["next"] is None


def test_a_stream_of_another_tenant_is_its_own(bolt: Caller) -> None:
    assert bolt.table(f"/v1/audit/streams/{STREAM}")["version"] == 1


@pytest.mark.parametrize("stream", ["device-nope", "invoice-:1", "invoice-M%C3%BCller%20%26%20S%C3%B6hne:%C3%BC%2F1"])
def test_an_unknown_stream_is_not_found(acme: Caller, stream: str) -> None:
    detail = problem(acme.get(f"/v1/audit/streams/{quote(stream)}"), 404)["detail"]
    assert detail == f"no stream is called {stream}"


@pytest.mark.parametrize("as_of", ["soon", "-1", "1.5", "9" * 40, "2026-13-31"])
def test_any_other_as_of_is_refused(acme: Caller, as_of: str) -> None:
    assert "as_of" in problem(acme.get(f"/v1/audit/streams/{STREAM}", as_of=as_of), 400)["detail"]


def test_a_devices_history_is_its_stream_oldest_first(acme: Caller, bolt: Caller) -> None:
    assert [found["version"] for found in acme.all_rows("/v1/devices/d/history", limit=2)] == [1, 2, 3]
    problem(bolt.get("/v1/devices/d/history"), 404)


def test_events_are_found_by_what_they_say_and_are_a_tenants_own(acme: Caller, bolt: Caller) -> None:
    every = acme.rows("/v1/audit/events")
    assert acme.rows("/v1/audit/search") == every
    for query in ({"stream": "tenant-"}, {"actor": "ann"}, {"correlation_id": "c"}, {"causation_id": "c"}):
        assert acme.rows("/v1/audit/search", **query) == every
        assert len(bolt.rows("/v1/audit/search", **query)) == 1
        assert acme.rows("/v1/audit/search", **dict.fromkeys(query, "other")) == []
    assert [row["version"] for row in acme.rows("/v1/audit/search", types="tenant.registered")] == [1]
    times = {"happened_from": "2026-01-31T02:02:00Z", "happened_before": "2026-02-01"}
    assert [row["version"] for row in acme.rows("/v1/audit/search", **times)] == [2]
    assert acme.all_rows("/v1/audit/search", limit=1) == every
    problem(acme.get("/v1/audit/search", types="nothing.happened"), 400)


def test_one_event_is_found_by_its_id_by_its_tenant(acme: Caller, bolt: Caller) -> None:
    assert [row["version"] for row in acme.rows("/v1/audit/events/e4")] == [2]
    assert problem(bolt.get("/v1/audit/events/e4"), 404)["detail"] == "no event has the id e4"


def test_a_day_is_a_moment_of_the_log(acme: Caller) -> None:
    assert acme.table(f"/v1/audit/streams/{STREAM}", as_of="2026-01-31")["version"] == 0
    assert acme.table(f"/v1/audit/streams/{STREAM}", as_of="2026-02-01")["version"] == 2
