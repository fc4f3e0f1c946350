"""Health, lag, projections, dead letters and numbers for Prometheus."""

import csv
from collections.abc import Callable

import pytest

from projections.operations import UPDATE, DeadLetter
from schemas.envelope import SYSTEM_TENANT, StreamId, Topic
from tests.read_api.world import ACME, BOLT, NOW, Caller, Stores, World, problem


def test_health_needs_no_key(nobody: Caller) -> None:
    answer = nobody.table("/v1/ops/health")
    assert answer["ready"] is True
    assert answer["parts"] == {"log": "ok", "timeline": "ok"}
    assert answer["as_of"]["at"] == "2026-01-31T12:00:00Z"


def test_a_part_that_fails_makes_it_not_ready_without_telling_strangers_why(nobody: Caller, world: World) -> None:
    world.operations.parts = {"log": "ok", "timeline": "no route to 10.0.0.7"}
    response = nobody.get("/v1/ops/health")
    assert nobody.get("/v1/ops/alive").json() == {"alive": True}
    world.operations.parts = {"log": "ok"}
    assert problem(response, 503)["parts"] == {"log": "ok", "timeline": "failing"}
    assert "10.0.0.7" not in response.text
    assert response.headers["retry-after"] == "1"


def test_a_part_that_the_others_go_on_without_is_told_and_leaves_it_ready(nobody: Caller, world: World) -> None:
    world.operations.parts = {"log": "ok", "rate_limits": "degraded: requests are not limited, 10.0.0.7 is away"}
    answer, numbers = nobody.get("/v1/ops/health"), nobody.get("/metrics").text
    world.operations.parts = {"log": "ok"}
    assert answer.status_code == 200
    assert answer.json()["parts"] == {"log": "ok", "rate_limits": "degraded"}
    assert 'factline_up{part="rate_limits"} 0.0' in numbers


def test_lag_and_projections_are_listed(acme: Caller) -> None:
    lag = {
        "projection": "devices",
        "role": "documents",
        "state": "live",
        "lag_events": 3,
        "lag_s": 1.5,
        "reached": ["events/0/7"],
    }
    [row] = acme.rows("/v1/ops/lag")
    assert {name: row[name] for name in lag} == lag
    assert acme.rows("/v1/ops/projections") == [
        {
            **lag,
            "live": "devices_v2",
            "builds": ["devices_v1", "devices_v2"],
            "parked": 2,
            "parked_records": 5,
            "error": None,
        }
    ]


def test_lag_is_told_of_the_tenants_own_partition_and_to_the_operator_of_all(
    acme: Caller, bolt: Caller, stores: Stores, caller: Callable[[str | None], Caller]
) -> None:
    behind = {"partition": 0, "lag_events": 3, "lag_s": 1.5}
    even = {"partition": 1, "lag_events": 0, "lag_s": 0.0}
    for tenant, name, lag in ((acme, ACME, behind), (bolt, BOLT, even)):
        [row] = tenant.rows("/v1/ops/lag", tenant=name)
        assert row["tenant"] == {"tenant_id": name, **lag}
        assert row["partitions"] == [{"topic": "events", **lag}]
    problem(acme.get("/v1/ops/lag", tenant=BOLT), 403)
    stores.put("tenants", SYSTEM_TENANT, SYSTEM_TENANT, status="ACTIVE")
    operator = caller(stores.issue_key(SYSTEM_TENANT, "operator", "*"))
    [row] = operator.rows("/v1/ops/lag")
    assert row["tenant"] is None
    assert row["partitions"] == [{"topic": "events", **behind}, {"topic": "events", **even}]
    [row] = operator.rows("/v1/ops/lag", tenant=BOLT)
    assert row["tenant"] == {"tenant_id": BOLT, **even}


@pytest.fixture
def letters(world: World) -> None:
    world.operations.letters = [
        DeadLetter(view, Topic.EVENTS, 0, position, tenant, StreamId("device-1"), "device.registered", "bad", 1, NOW)
        for view in ("alerts_v1", "devices_v2")
        for position, tenant in ((1, ACME), (2, BOLT), (3, ACME))
    ]


@pytest.mark.usefixtures("letters")
def test_dead_letters_are_the_tenants_own_page_by_page(acme: Caller, bolt: Caller) -> None:
    rows = acme.all_rows("/v1/ops/dead-letters", limit=1)
    assert [(row["view"], row["position"]) for row in rows] == [
        ("alerts_v1", "events/0/1"),
        ("alerts_v1", "events/0/3"),
        ("devices_v2", "events/0/1"),
        ("devices_v2", "events/0/3"),
    ]
    assert len(bolt.rows("/v1/ops/dead-letters")) == 2
    assert len(acme.rows("/v1/ops/dead-letters", view="devices_v2")) == 2


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(("path", "rows"), [("dead-letters", 4), ("lag", 1), ("projections", 1)])
def test_tables_of_operations_are_csv_for_who_asks_for_it(acme: Caller, path: str, rows: int) -> None:
    answer = acme.get(f"/v1/ops/{path}", {"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    _, *found = csv.reader(answer.text.splitlines())
    assert len(found) == rows


def test_requests_are_counted_by_route_and_status(acme: Caller, nobody: Caller) -> None:
    acme.get("/v1/devices/one")
    acme.get("/v1/devices/two")
    acme.get("/nowhere/at/all")
    text = nobody.get("/metrics").text
    assert 'factline_http_requests_total{method="GET",route="/v1/devices/{id}",status="404"} 2.0' in text
    assert 'factline_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'factline_http_request_seconds_count{route="/v1/devices/{id}"} 2.0' in text


def test_the_projections_lag_is_measured(nobody: Caller) -> None:
    response = nobody.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'factline_projection_lag_events{projection="devices"} 3.0' in response.text
    assert 'factline_projection_lag_seconds{projection="devices"} 1.5' in response.text
    assert 'factline_partition_lag_events{partition="0",projection="devices"} 3.0' in response.text
    assert 'factline_partition_lag_seconds{partition="1",projection="devices"} 0.0' in response.text
    assert 'factline_parked_streams{projection="devices"} 2.0' in response.text
    assert 'factline_parked_records{projection="devices"} 5.0' in response.text


def test_workers_that_keep_no_view_are_in_the_lag_and_what_is_not_known_is_null(acme: Caller) -> None:
    commands, correlate = acme.table("/v1/ops/lag")["workers"]
    assert (commands["worker"], commands["lag_events"], commands["lag_s"]) == ("commands", None, None)
    assert commands["error"] == "the broker does not answer"
    assert (correlate["running"], correlate["lag_events"], correlate["lag_s"]) == (1, 7, 2.5)


def test_numbers_say_who_is_up_and_what_nobody_knows(nobody: Caller, world: World) -> None:
    world.operations.parts = {"log": "ok", "timeline": "no route to 10.0.0.7"}
    text = nobody.get("/metrics").text
    assert 'factline_up{part="log"} 1.0' in text
    assert 'factline_up{part="timeline"} 0.0' in text
    assert 'factline_up{part="commands"} 0.0' in text
    assert 'factline_up{part="correlate"} 1.0' in text
    assert 'factline_workers_lag_events{worker="commands"} NaN' in text
    assert 'factline_workers_lag_events{worker="correlate"} 7.0' in text
    assert "10.0.0.7" not in text


def test_methods_that_somebody_invents_make_one_line(nobody: Caller) -> None:
    for method in ("PROPFIND", "LOCK"):
        nobody.http.request(method, "/v1/ops/alive")
    text = nobody.get("/metrics").text
    assert 'method="other"' in text
    assert "PROPFIND" not in text


def test_health_says_what_to_do_about_records_of_a_newer_release(nobody: Caller, world: World) -> None:
    world.operations.parts = {"log": "ok", "devices": f"devices_v1 waits before events/0/7; {UPDATE}"}
    answer = problem(nobody.get("/v1/ops/health"), 503)
    assert answer["parts"] == {"log": "ok", "devices": UPDATE}
    assert UPDATE in answer["detail"]
