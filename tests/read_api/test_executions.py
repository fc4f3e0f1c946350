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
