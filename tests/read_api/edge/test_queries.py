"""What a route does not read is refused, and so are values that cannot be there, on every route in the same way."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from projections.fleet.device_logs import LogRow
from read_api.app import create_app
from tests.read_api.world import ACME, NOW, Caller, Stores, World, problem


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/logs?sevrity=error&limit=1", "did you mean severity?"),
        ("/v1/devices/one/logs?limits=1", "did you mean limit?"),
        ("/v1/analytics/revenue?by=month&timezon=Europe/Berlin", "there is no parameter 'timezon'"),
        ("/v1/invoices?curency=EUR", "there is no parameter 'curency'"),
        ("/v1/devices/filters?stauts=ONLINE", "did you mean status?"),
        ("/v1/devices/one?stauts=ONLINE", "takes no parameters"),
        ("/v1/audit/events?type=device.registered", "did you mean types?"),
        ("/v1/live?stram=device-1", "did you mean stream?"),
        ("/v1/ops/lag?tennant=acme", "did you mean tenant?"),
        ("/v1/ops/health?verbose=1", "takes no parameters"),
        ("/metrics?name=up", "takes no parameters"),
    ],
)
def test_a_parameter_that_the_route_does_not_read_is_refused(acme: Caller, path: str, meant: str) -> None:
    assert meant in problem(acme.http.get(path), 400)["detail"]


def test_a_parameter_that_is_given_twice_is_refused(acme: Caller) -> None:
    detail = problem(acme.http.get("/v1/devices?limit=1&limit=2"), 400)["detail"]
    assert detail == "the parameter limit is given twice; give it once"


def routes(world: World) -> Iterator[APIRoute]:
    # the documentation has pages of its own, which take no data from anywhere
    every = create_app(world.answers()).routes
    yield from (route for route in every if isinstance(route, APIRoute) and not route.path.startswith("/docs"))


def test_every_route_has_the_check(world: World) -> None:
    unchecked = [
        route.path
        for route in routes(world)
        if not any(getattr(one.call, "__name__", "") == "known_parameters" for one in route.dependant.dependencies)
    ]
    assert unchecked == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/devices?status=ONLNE", "status cannot be 'ONLNE': did you mean ONLINE? it is one of PENDING, ONLINE"),
        ("/v1/alerts?severity=not a word", "severity cannot be 'not a word'"),
        ("/v1/logs?severity=4", "severity cannot be '4'"),
        ("/v1/invoices?kind=bill", "kind cannot be 'bill': it is one of invoice, credit_note"),
        ("/v1/watches?kind=treshold", "did you mean threshold?"),
        ("/v1/leads?tier=hott", "did you mean hot?"),
        ("/v1/users?status=GONE", "it is one of INVITED, ACTIVE, WITHDRAWN, EXPIRED"),
        ("/v1/organizations?status=GONE", "it is one of ACTIVE, ARCHIVED"),
        ("/v1/maintenance?status=GONE", "it is one of PLANNED, CANCELLED"),
        ("/v1/processes?state=RUNNING", "it is one of ASKING, WAITING, IDLE, BROKEN"),
        ("/v1/processes?name=InvitationExpiry", "did you mean invitation_expiry?"),
        ("/v1/audit/events?types=device.registerd", "did you mean device.registered?"),
        ("/v1/live?types=device.registered,alert.razed", "did you mean alert.raised?"),
    ],
)
def test_a_value_that_cannot_be_there_is_refused(acme: Caller, path: str, said: str) -> None:
    assert said in problem(acme.http.get(path), 400)["detail"]


def test_a_severity_is_found_however_it_is_written(acme: Caller, stores: Stores) -> None:
    line = LogRow(ACME, NOW, "written", "web-1", "error", "t", "h", "a line", "", 1)
    stores.write("device_logs", [line])
    assert [row["id"] for row in acme.rows("/v1/logs", severity="ERROR")] == ["written"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/logs",
        "/v1/devices/one/logs",
        "/v1/devices/one/metrics",
        "/v1/devices/one/metrics?metric=cpu",
        "/v1/audit/events",
        "/v1/analytics/revenue",
    ],
)
def test_a_window_that_ends_before_it_begins_is_refused(acme: Caller, path: str) -> None:
    window = "start=2026-02-01T00:00:00Z&end=2026-01-01T00:00:00Z"
    answer = acme.http.get(f"{path}{'&' if '?' in path else '?'}{window}")
    assert problem(answer, 400)["detail"] == "start must be before end"
