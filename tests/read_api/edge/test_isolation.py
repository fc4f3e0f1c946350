"""Whatever two tenants write, whichever list is asked: never a foreign row, every own row once."""

from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.fleet.device_logs import LogRow
from projections.history.event_rows import EventRow
from projections.rows import Patch, Row
from schemas.envelope import StreamId, TenantId
from tests.read_api.world import Caller, Stores, at, problem

NUMBERS = count(1)
STATUSES = ("ONLINE", "OFFLINE")

side = st.integers(0, 1)
# colliding names and times: order must not depend on luck
name = st.sampled_from(["", "a", "A", "b", "ü", "it's", "a%", "\\"])
devices = st.lists(st.tuples(side, name, st.sampled_from(STATUSES)), max_size=12)
moments = st.lists(st.tuples(side, st.integers(0, 3), st.sampled_from(["info", "error"])), max_size=12)
limits = st.integers(1, 5)


class Pair:
    """Two fresh tenants in stores that already hold many."""

    def __init__(self, stores: Stores, caller: Callable[[str | None], Caller]) -> None:
        number = next(NUMBERS)
        # one name begins with the other: a prefix match would mix them
        self.tenants = (TenantId(f"t{number}"), TenantId(f"t{number}-b"))
        self.stores = stores
        for tenant_id in self.tenants:
            stores.put("tenants", tenant_id, tenant_id, status="ACTIVE")
        self.callers = [caller(stores.issue_key(tenant_id, f"key-{tenant_id}", "*")) for tenant_id in self.tenants]
        self.wrote: tuple[list[str], list[str]] = ([], [])

    def write(self, view: str, rows: list[tuple[int, str, Row]]) -> None:
        self.stores.write(view, [row for _, _, row in rows])
        for owner, id_, _ in rows:
            self.wrote[owner].append(id_)

    def check(self, path: str, id_field: str, limit: int, **query: Any) -> list[list[dict[str, Any]]]:
        answers = [list(caller.pages(path, limit=limit, **query)) for caller in self.callers]
        for owner, pages in enumerate(answers):
            assert all(len(page) == limit for page in pages[:-1])
            found = [str(row[id_field]) for page in pages for row in page]
            assert sorted(found) == sorted(self.wrote[owner])
        return [[row for page in pages for row in page] for pages in answers]

    def check_foreign_cursor(self, path: str, **query: Any) -> None:
        for owner, caller in enumerate(self.callers):
            cursor = caller.table(path, limit=1, **query)["next"]
            if cursor:
                problem(self.callers[1 - owner].get(path, cursor=cursor, limit=1, **query), 400)

    def close(self) -> None:
        for caller in self.callers:
            caller.http.close()


many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(rows=devices, limit=limits, sort=st.sampled_from(["hostname", "-hostname", "status", "-status"]))
@many
def test_a_list_of_devices_is_the_tenants_own(
    stores: Stores,
    caller: Callable[[str | None], Caller],
    rows: list[tuple[int, str, str]],
    limit: int,
    sort: str,
) -> None:
    pair = Pair(stores, caller)
    patches: list[tuple[int, str, Row]] = []
    for number, (owner, host, status) in enumerate(rows):
        fields = {"hostname": host, "status": status, "owner": pair.tenants[owner]}
        patches.append((owner, f"d{number}", Patch(pair.tenants[owner], f"d{number}", "events", 1, fields)))
    pair.write("devices", patches)
    for owner, found in enumerate(pair.check("/v1/devices", "id", limit, sort=sort)):
        assert {row["owner"] for row in found} <= {pair.tenants[owner]}
    for status in STATUSES:
        wanted = [sum(owner == mine and of == status for owner, _, of in rows) for mine in (0, 1)]
        for mine, client in enumerate(pair.callers):
            assert len(client.all_rows("/v1/devices", status=status, sort=sort, limit=limit)) == wanted[mine]
            facets = {row["value"]: row["count"] for row in client.rows("/v1/devices/filters")}
            assert facets.get(status, 0) == wanted[mine]
    pair.check_foreign_cursor("/v1/devices", sort=sort)
    pair.close()


@given(rows=moments, limit=limits)
@many
def test_a_list_of_logs_is_the_tenants_own(
    stores: Stores, caller: Callable[[str | None], Caller], rows: list[tuple[int, int, str]], limit: int
) -> None:
    pair = Pair(stores, caller)
    logs: list[tuple[int, str, Row]] = []
    for number, (owner, minute, severity) in enumerate(rows):
        tenant_id, id_ = pair.tenants[owner], f"f{number}"
        logs.append(
            (owner, id_, LogRow(tenant_id, at(minute), id_, "d", severity, "t", tenant_id, "said", "", number + 1))
        )
    pair.write("device_logs", logs)
    for path in ("/v1/logs", "/v1/devices/d/logs"):
        for owner, found in enumerate(pair.check(path, "id", limit)):
            assert {row["hostname"] for row in found} <= {pair.tenants[owner]}
            assert [(row["happened_at"], row["id"]) for row in found] == sorted(
                ((row["happened_at"], row["id"]) for row in found), reverse=True
            )
        pair.check_foreign_cursor(path)
    errors = [client.all_rows("/v1/logs", severity="error", contains="SAI", limit=limit) for client in pair.callers]
    assert [len(found) for found in errors] == [
        sum(owner == mine and severity == "error" for owner, _, severity in rows) for mine in (0, 1)
    ]
    pair.close()


@given(rows=moments, limit=limits)
@many
def test_an_audit_is_the_tenants_own(
    stores: Stores, caller: Callable[[str | None], Caller], rows: list[tuple[int, int, str]], limit: int
) -> None:
    pair = Pair(stores, caller)
    versions = [0, 0]
    events: list[tuple[int, str, Row]] = []
    for owner, minute, kind in rows:
        position = next(NUMBERS)
        versions[owner] += 1
        row = EventRow(
            tenant_id=pair.tenants[owner],
            stream=StreamId("thing-1"),
            version=versions[owner],
            partition=0,
            position=position,
            event_id=f"e{position}",
            type="alert.raised" if kind == "error" else "alert.resolved",
            schema_version=1,
            happened_at=at(minute),
            recorded_at=at(minute),
            actor_type="user",
            actor_id=pair.tenants[owner],
            correlation_id="",
            causation_id="",
            data="{}",
        )
        events.append((owner, f"e{position}", row))
    pair.write("audit_trail", events)
    pair.stores.write("stream_history", [row for _, _, row in events])
    for owner, found in enumerate(pair.check("/v1/audit/events", "event_id", limit)):
        assert {row["actor"]["id"] for row in found} <= {pair.tenants[owner]}
    pair.check_foreign_cursor("/v1/audit/events")
    for mine, client in enumerate(pair.callers):
        wanted = sum(owner == mine and kind == "error" for owner, _, kind in rows)
        assert len(client.all_rows("/v1/audit/events", types="alert.raised", limit=limit)) == wanted
        if versions[mine]:
            found = client.all_rows("/v1/audit/streams/thing-1", limit=limit)
            assert [row["version"] for row in found] == list(range(1, versions[mine] + 1))
    pair.close()
