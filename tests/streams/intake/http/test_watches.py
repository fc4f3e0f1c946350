"""What a watch would have raised, asked over HTTP from stored series, and the same as the watch itself raises."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from infra.river.scorer import new_scorer
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import of_role
from projections.fleet.device_logs import PROJECTION as LOGS
from projections.fleet.device_logs import LogRow
from projections.fleet.device_metrics import PROJECTION as METRICS
from projections.fleet.metric_rows import MetricRow
from projections.rows import Patch, Role, View
from read_api.edge.asking import add_edge
from read_api.edge.auth import Caller, Unauthenticated
from schemas.envelope import TenantId
from streams.correlate import preview
from streams.correlate.preview import Preview, Stored
from streams.intake.http import watches
from streams.intake.http.app import add_intake_problems
from streams.intake.http.watches import watches_router

ACME, BOLT = TenantId("acme"), TenantId("bolt")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CALLERS = {
    "acme": Caller(ACME, "k", ("*",)),
    "bolt": Caller(BOLT, "k", ("watches:read",)),
    "narrow": Caller(ACME, "k", ("alerts:read",)),
}


def at(second: float) -> datetime:
    return NOON - timedelta(hours=1) + timedelta(seconds=second)


async def _identify(header: str | None) -> Caller:
    if caller := CALLERS.get(header or ""):
        return caller
    raise Unauthenticated("the api key is not valid")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("preview")
    timeline = SqliteTimeline(folder / "t.sqlite", of_role(Role.TIMELINE))
    documents = SqliteDocuments(folder / "d.sqlite", of_role(Role.DOCUMENTS))
    for store, names in ((timeline, (METRICS.name, LOGS.name)), (documents, ("devices",))):
        for name in names:
            store.create(View(name, 1))
            store.switch(View(name, 1))
    readings = [(n, 99.0 if n in {30, 31, 40} else 5.0) for n in range(60)]
    timeline.apply(
        View(METRICS.name, 1),
        [
            MetricRow(tenant, device, "cpu", at(60 * n), value, "", n + 1)
            for tenant, device in ((ACME, "web-1"), (ACME, "web-2"), (BOLT, "web-1"))
            for n, value in readings
            if device == "web-1" or n < 35
        ],
    )
    lines = [(n, f"Failed password from {'ab'[n % 2]}") for n in range(10)] + [(20, "last message repeated 9 times")]
    timeline.apply(
        View(LOGS.name, 1),
        [LogRow(ACME, at(n), f"f{n}", "web-1", "info", "", "", text, "", n + 1) for n, text in lines],
    )
    documents.apply(
        View("devices", 1),
        [Patch(ACME, device, "telemetry", 1, {"last_seen_at": "2026"}) for device in ("web-1", "web-2", "web-3")],
    )
    app = FastAPI()
    add_edge(app, _identify, "")
    add_intake_problems(app)
    app.include_router(watches_router(Stored(timeline, documents), new_scorer, lambda: NOON))
    with TestClient(app) as opened:
        yield opened
    timeline.close()
    documents.close()


def asked(client: TestClient, key: str = "acme", **body: Any) -> Any:
    return client.post("/v1/watches/preview", json=body, headers={"X-API-Key": key})


def rows(client: TestClient, key: str = "acme", **body: Any) -> list[dict[str, Any]]:
    answer = asked(client, key, **body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


CPU = {"kind": "threshold", "metric": "cpu", "above": 90}


def test_alerts_are_those_that_the_watch_would_have_raised_on_each_device(client: TestClient) -> None:
    found = rows(client, rule=CPU, quiet_s=120, severity="critical", name="hot")
    assert [(row["device_id"], row["raised_at"], row["resolved_at"]) for row in found] == [
        ("web-1", "2026-01-31T11:30:00Z", "2026-01-31T11:33:00Z"),
        ("web-2", "2026-01-31T11:30:00Z", "2026-01-31T11:33:00Z"),
        ("web-1", "2026-01-31T11:40:00Z", "2026-01-31T11:42:00Z"),
    ]
    assert {(row["severity"], row["rule"], row["value"], row["threshold"]) for row in found} == {
        ("critical", "hot", 99, 90)
    }


def test_time_and_device_bound_what_is_looked_at(client: TestClient) -> None:
    bounds = {"start": "2026-01-31T11:31:00Z", "end": "2026-01-31T11:40:00Z"}
    answer = asked(client, rule=CPU, device_id="web-1", **bounds).json()
    assert [row["raised_at"] for row in answer["rows"]] == ["2026-01-31T11:31:00Z"]
    assert (answer["looked_at"]["devices"], answer["looked_at"]["samples"]) == (1, 9)
    assert rows(client, rule=CPU, device_id="web-9") == []


def test_levels_failures_and_silence_are_previewed_too(client: TestClient) -> None:
    levels = [{"severity": "critical", "limit": 95}]
    assert [row["severity"] for row in rows(client, rule=CPU, device_id="web-2", levels=levels)] == [
        "warning",
        "critical",
    ]
    logins = {"kind": "failures", "contains": "Failed", "key_after": " from ", "count": 6, "within_s": 60}
    assert [(row["rule"], row["value"]) for row in rows(client, rule=logins)] == [("preview: b", 14)]
    missed = rows(client, rule={"kind": "no_data", "metric": "cpu", "after_s": 600})
    assert [(row["device_id"], row["raised_at"]) for row in missed] == [("web-2", "2026-01-31T11:44:00Z")]


def test_what_is_unusual_is_previewed_from_the_beginning(client: TestClient) -> None:
    assert rows(client, rule={"kind": "anomaly", "metric": "cpu"}) == []


def test_another_tenants_series_are_not_looked_at(client: TestClient) -> None:
    assert rows(client, "bolt", rule=CPU) == []
    assert len(rows(client, "bolt", rule=CPU, device_id="web-1", quiet_s=1)) == 2


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 422, "rule: Field required"),
        ({"rule": {"kind": "threshold", "metric": "cpu"}}, 422, "a threshold needs either `above` or `below`"),
        ({"rule": CPU, "start": "yesterday"}, 422, "start: must be an RFC 3339 instant like 2026-01-31T08:30:00Z"),
        (
            {"rule": CPU, "start": "2026-01-31T11:31:00Z", "end": "2026-01-31T11:31:00Z"},
            400,
            "start must be before end",
        ),
        ({"rule": CPU, "start": "2025-01-31T11:31:00Z"}, 400, "more than 92 days; ask for a shorter time"),
        (
            {"rule": {"kind": "no_data", "after_s": 9}},
            422,
            "a preview of silence needs the `metric` that is missed: others are not kept as series",
        ),
    ],
)
def test_what_cannot_be_previewed_is_refused(client: TestClient, body: Any, status: int, detail: str) -> None:
    answer = asked(client, **body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


def test_body_that_is_no_object_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/watches/preview", content=b"[1]", headers={"X-API-Key": "acme"})
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "the body must be a JSON object with a rule, like that of DefineWatch",
    )


def test_preview_needs_the_scope_of_watches(client: TestClient) -> None:
    assert asked(client, "narrow", rule=CPU).status_code == 403


def test_preview_of_too_much_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MOST_SAMPLES", 50)
    answer = asked(client, rule=CPU)
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "more than 50 readings or lines; ask for a shorter time or for one device",
    )


def test_previews_take_no_thread_that_others_wait_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def named(*_args: Any, **_more: Any) -> Preview:
        names.append(current_thread().name)
        return Preview((), 0, 0)

    monkeypatch.setattr(watches, "preview", named)
    assert rows(client, rule=CPU) == []
    assert names[0].startswith("previews")


def test_pages_of_stored_rows_follow_one_another(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asked(client, rule=CPU, quiet_s=120).json()
    monkeypatch.setattr(preview, "_PAGE", 7)
    assert asked(client, rule=CPU, quiet_s=120).json() == whole
