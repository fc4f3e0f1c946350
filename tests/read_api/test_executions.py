"""The steps of an execution over the API."""

import csv
from collections.abc import Callable

import pytest

from projections.automation.execution_logs import StepRow
from tests.read_api.world import ACME, BOLT, Caller, Stores, at, problem


@pytest.fixture(scope="module", autouse=True)
def steps(stores: Stores) -> None:
    kinds = ("workflow.started", "workflow.node.started", "workflow.node.completed")
    rows = [
        StepRow(tenant, "e1", n, at(n), kinds[n - 1], "a", "A", "task", 1, -1, f"{tenant} {n}", 0, "ann", n)
        for tenant in (ACME, BOLT)
        for n in (1, 2, 3)
    ]
    stores.write("execution_logs", [row for row in rows if row.tenant_id == ACME])
    stores.write("execution_logs", [row for row in rows if row.tenant_id == BOLT])


def test_steps_come_from_the_beginning_page_by_page(acme: Caller) -> None:
    first = acme.table("/v1/executions/e1/logs", limit=2)
    second = acme.table("/v1/executions/e1/logs", limit=2, cursor=first["next"])
    assert [row["data"] for row in (*first["rows"], *second["rows"])] == ["acme 1", "acme 2", "acme 3"]
    assert second["next"] is None
    assert set(first["rows"][0]) >= {"step", "event", "node_id", "actor"}
    assert "tenant_id" not in first["rows"][0]


def test_steps_are_csv_for_who_asks_for_it(acme: Caller) -> None:
    text = acme.get("/v1/executions/e1/logs", {"Accept": "text/csv"}).text
    header, *rows = csv.reader(text.splitlines())
    assert [row[header.index("data")] for row in rows] == ["acme 1", "acme 2", "acme 3"]
    assert {row[header.index("other")] for row in rows} == {""}


def test_steps_of_another_tenant_or_of_no_execution_are_not_there(bolt: Caller) -> None:
    assert [row["data"] for row in bolt.rows("/v1/executions/e1/logs")] == ["bolt 1", "bolt 2", "bolt 3"]
    assert bolt.rows("/v1/executions/e9/logs") == []


def test_steps_need_the_scope_of_executions(caller: Callable[[str | None], Caller], stores: Stores) -> None:
    key = stores.issue_key(ACME, "acme-devices", "devices:read")
    problem(caller(key).get("/v1/executions/e1/logs"), 403)


# --- of those who see their own only


@pytest.fixture(scope="module")
def ann(stores: Stores, caller: Callable[[str | None], Caller]) -> Caller:
    for id_, by in (("w-ann", "ann-key"), ("w-bob", "bob")):
        stores.put("workflows", ACME, id_, name=id_, status="ACTIVE", created_by=by, changed_at="2026-01-31T08:30:00Z")
    for id_, by in (("e-ann", "ann-key"), ("e1", "bob")):
        stores.put("executions", ACME, id_, status="RUNNING", started_by=by, started_at="2026-01-31T08:30:00Z")
    return caller(stores.issue_key(ACME, "ann-key", "workflows:own", "executions:own"))


@pytest.mark.parametrize(("path", "own", "other"), [("workflows", "w-ann", "w-bob"), ("executions", "e-ann", "e1")])
def test_who_sees_their_own_only_finds_nothing_else(ann: Caller, acme: Caller, path: str, own: str, other: str) -> None:
    owner = "created_by" if path == "workflows" else "started_by"
    assert [row["id"] for row in ann.rows(f"/v1/{path}")] == [own]
    assert [row["id"] for row in ann.rows(f"/v1/{path}", **{owner: "ann-key"})] == [own]
    assert ann.rows(f"/v1/{path}/{own}")[0]["id"] == own
    found = problem(ann.get(f"/v1/{path}/{other}"), 404)["detail"]
    assert found == problem(ann.get(f"/v1/{path}/nothing"), 404)["detail"].replace("nothing", other)
    assert "what is yours" in problem(ann.get(f"/v1/{path}", None, **{owner: "bob"}), 403)["detail"]
    values = {(row["field"], row["value"]): row["count"] for row in ann.rows(f"/v1/{path}/_filters")}
    assert values[owner, "ann-key"] == 1
    assert not [value for _, value in values if value in {"bob", other}]
    assert {row["id"] for row in acme.rows(f"/v1/{path}")} >= {own, other}


def test_steps_of_anothers_execution_are_not_there_for_who_sees_their_own_only(ann: Caller) -> None:
    problem(ann.get("/v1/executions/e1/logs"), 404)
    assert ann.rows("/v1/executions/e-ann/logs") == []


@pytest.mark.parametrize("path", ["/v1/approvals", "/v1/tasks", "/v1/audit/events", "/v1/devices", "/v1/live"])
def test_right_to_ones_own_is_no_other(ann: Caller, path: str) -> None:
    problem(ann.get(path), 403)
