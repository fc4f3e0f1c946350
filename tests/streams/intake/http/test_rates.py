"""A key asks as often as it may, and is told before and when it has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.limits.memory import MemoryRateLimiter
from projections.credentials import RateLimits
from schemas.key_ids import key_tag
from tests.streams.intake.http.ways_in import WaysIn, refused, ways_in

REGISTER = {"device_id": "web-1", "hostname": "web-1.example"}


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path, limiter=MemoryRateLimiter()) as way:
        yield way


def test_answer_says_what_is_left_and_the_one_too_many_when_to_come_again(way: WaysIn) -> None:
    for left in (2, 1, 0):
        response = way.command("fleet.RegisterDevice", REGISTER, key="slow")
        assert response.status_code in (200, 409)
        told = {name: response.headers[f"X-RateLimit-{name}"] for name in ("Limit-Minute", "Remaining-Minute")}
        assert told == {"Limit-Minute": "3", "Remaining-Minute": str(left)}
        assert response.headers["X-RateLimit-Limit-Day"] == "9"
    response = way.command("fleet.RegisterDevice", REGISTER, key="slow")
    problem = refused(response, 429)
    assert 58 <= int(response.headers["Retry-After"]) <= 60
    assert problem["detail"].startswith("this api key has sent the 3 requests that it may send a minute")
    assert (problem["limit"], problem["window"]) == (3, "minute")
    # what was denied is counted nowhere
    assert response.headers["X-RateLimit-Remaining-Hour"] == "2"


def test_request_without_the_right_is_refused_first_and_not_counted(way: WaysIn) -> None:
    for _ in range(3):
        way.command("fleet.RegisterDevice", REGISTER, key="slow")
    response = way.command("finance.ReceiveInvoice", {}, key="slow")
    refused(response, 403)
    assert response.headers["X-RateLimit-Remaining-Minute"] == "0"
    refused(way.command("fleet.NoSuchCommand", {}, key="slow"), 404)
    assert response.headers["X-RateLimit-Remaining-Hour"] == "2"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/commands/fleet/RegisterDevice",
        "/v1/invitations",
        "/v1/keys",
        "/v1/tasks/a/complete",
        "/v1/tasks/claim",
        "/v1/telemetry",
        "/v1/tenants",
        "/v1/users/ann/password-token",
    ],
)
def test_every_way_in_looks_at_the_right_before_it_counts(way: WaysIn, path: str) -> None:
    response = way.post(path, {}, key="poor")
    refused(response, 403)
    assert response.headers["X-RateLimit-Remaining-Minute"] == "3"


def test_limit_comes_before_the_body_is_looked_at(way: WaysIn) -> None:
    for _ in range(3):
        refused(
            way.command("fleet.RegisterDevice", b"{", key="slow", headers={"Content-Type": "application/json"}), 400
        )
    huge = b"[" + b"0," * 2_000_000 + b"0]"
    refused(way.post("/v1/commands", huge, key="slow", headers={"Content-Type": "application/json"}), 429)


def test_key_without_limits_is_told_none(way: WaysIn) -> None:
    response = way.command("fleet.RegisterDevice", REGISTER)
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]


def test_key_states_its_limits_when_it_is_issued_and_the_answer_shows_them(way: WaysIn) -> None:
    asked = {"name": "agent", "scopes": ["devices:read"], "limits": {"minute": 600}}
    answer = way.post("/v1/keys", asked).json()
    assert answer["limits"] == {"minute": 600, "hour": None, "day": None}
    [found] = way.credentials.find(answer["key_id"])
    assert found.limits == RateLimits(600)
    silent = way.post("/v1/keys", {"name": "agent", "scopes": ["devices:read"]}).json()
    [found] = way.credentials.find(silent["key_id"])
    assert found.limits == RateLimits()


@pytest.mark.parametrize(
    ("limits", "status"),
    [({"minute": 3, "hour": 5, "day": 9}, 201), (None, 201), ({"minute": 4}, 403), ({"day": 10}, 403)],
)
def test_key_grants_no_more_requests_than_it_has(way: WaysIn, limits: dict[str, int] | None, status: int) -> None:
    asked = {"name": "agent", "scopes": ["fleet:write"], "limits": limits}
    assert way.post("/v1/keys", asked, key="slow").status_code == status
    command = {"key_id": f"{key_tag('demo')}1", "secret_sha256": "0" * 64, "scopes": ["fleet:write"], "limits": limits}  # type: ignore[arg-type]
    answered = way.command("identity.IssueApiKey", command, key="slow")
    assert answered.status_code == (200 if status == 201 else 403)


@pytest.mark.parametrize("limits", [{"minute": 0}, {"minute": -1}, {"week": 7}, {"minute": 1.5}])
def test_limit_that_cannot_be_is_refused(way: WaysIn, limits: dict[str, float]) -> None:
    asked = {"name": "agent", "scopes": ["devices:read"], "limits": limits}
    refused(way.post("/v1/keys", asked), 422)


def test_keys_that_the_operator_makes_may_ask_all_day(way: WaysIn) -> None:
    made = way.post("/v1/tenants", {"tenant_id": "new", "name": "New"}, key="operator").json()
    more = way.post("/v1/tenants/new/keys", key="operator").json()
    for key in (made, more):
        [found] = way.credentials.find(key["key_id"])
        assert found.limits == RateLimits(600_000, 36_000_000, 864_000_000)


# --- quotas ----------------------------------------------------------------------------------------------------------

FACT = {
    "type": "device.heartbeat",
    "device_id": "web-1",
    "happened_at": "2026-01-31T08:30:00Z",
    "data": {},
}


def test_tenant_records_no_more_events_a_day_than_its_quota_says(way: WaysIn) -> None:
    def register(n: int, **more: object) -> dict[str, object]:
        return {"command": "fleet.RegisterDevice", "body": {**REGISTER, "device_id": f"d{n}"}, **more}

    assert way.command("fleet.RegisterDevice", REGISTER, key="quota", headers={"Idempotency-Key": "a"}).is_success
    # what was answered before is not counted again
    assert way.command("fleet.RegisterDevice", REGISTER, key="quota", headers={"Idempotency-Key": "a"}).is_success
    # of a batch the last events may go past the end
    assert len(way.batch(register(1), register(2), register(3), key="quota")) == 3
    for path, body in (("/v1/commands", [register(4)]), ("/v1/commands/fleet/RegisterDevice", register(4)["body"])):
        response = way.post(path, body, key="quota")
        problem = refused(response, 429)
        assert problem["detail"].startswith("this tenant has recorded the 3 events that it may record a day; send")
        assert (problem["quota"], problem["limit"]) == ("events_per_day", 3)
        assert 86_390 <= int(response.headers["Retry-After"]) <= 86_400


CLAIM = {"kinds": ["http.check"], "worker": "w1"}
COMPLETE = {"attempt": 1, "output": {}}
KEY = {"name": "agent", "scopes": ["devices:read"]}
INVITATION = {"user_id": "ann", "email": "ann@acme.example", "roles": ["USER"]}


@pytest.mark.parametrize(
    "sent",
    [
        [
            ("/v1/commands/operations/RequestTask", {"task_id": "a", "kind": "http.check"}),
            ("/v1/tasks/claim", CLAIM),
            ("/v1/tasks/a/complete", COMPLETE),
        ],
        [("/v1/keys", KEY), ("/v1/invitations", INVITATION), ("/v1/users/ann/password-token", {})],
    ],
)
def test_quota_of_events_is_that_of_all_ways_that_record_them(way: WaysIn, sent: list[tuple[str, object]]) -> None:
    for path, body in sent:
        assert way.post(path, body, key="quota").is_success, path
    for path, body in (
        ("/v1/commands/fleet/RegisterDevice", REGISTER),
        ("/v1/tasks/claim", CLAIM),
        ("/v1/tasks/a/complete", COMPLETE),
        ("/v1/keys", KEY),
        ("/v1/invitations", INVITATION),
        ("/v1/users/ann/password-token", {}),
    ):
        assert refused(way.post(path, body, key="quota"), 429)["quota"] == "events_per_day"


def test_tenant_records_no_more_facts_a_day_than_its_quota_says(way: WaysIn) -> None:
    assert way.telemetry([FACT], key="quota").json()["accepted"] == 1
    # nothing new: the log has them
    assert way.telemetry([FACT], key="quota").json()["repeated"] == 1
    assert way.telemetry([{**FACT, "device_id": "web-2"}], key="quota").json()["accepted"] == 1
    assert "the 2 facts that it may record a day" in refused(way.telemetry([FACT], key="quota"), 429)["detail"]
    assert way.telemetry([FACT]).is_success
