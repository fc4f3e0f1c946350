"""Errors are problems, and the documentation needs no other host."""

import re

import pytest

from projections.stores import StoreUnavailable
from read_api.app import Answers
from tests.read_api.world import Caller, problem


def test_an_unknown_path_is_a_problem(nobody: Caller) -> None:
    assert problem(nobody.get("/v1/nope"), 404)["detail"] == "nothing is at /v1/nope; /docs lists what there is"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_answers_are_only_read(acme: Caller, method: str) -> None:
    response = acme.http.request(method, "/v1/devices")
    problem(response, 405)
    assert response.headers["allow"] == "GET"


def test_a_fault_says_nothing_of_the_inside(acme: Caller, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(answers.documents, "find", fail)
    response = acme.get("/v1/devices")
    problem(response, 500)
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("documents.find", "/v1/devices"),
        ("timeline.rows", "/v1/logs"),
        ("analytics.ask", "/v1/analytics/revenue"),
    ],
)
def test_a_store_that_does_not_answer_is_worth_another_try(
    acme: Caller, answers: Answers, monkeypatch: pytest.MonkeyPatch, question: str, path: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("no route to 10.0.0.7")

    reader, method = question.split(".")
    monkeypatch.setattr(getattr(answers, reader), method, fail)
    response = acme.get(path)
    assert problem(response, 503)["detail"] == "a store does not answer; try again"
    assert response.headers["retry-after"] == "1"


def test_the_documentation_needs_no_other_host(nobody: Caller) -> None:
    page = nobody.get("/docs").text
    assert not re.findall(r"https?://", page)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert assets
    for asset in assets:
        assert nobody.get(asset).status_code == 200


def test_the_description_lists_every_answer_with_an_example(nobody: Caller) -> None:
    paths = nobody.get("/openapi.json").json()["paths"]
    assert {
        "/v1/devices",
        "/v1/devices/filters",
        "/v1/devices/{id}",
        "/v1/devices/{id}/metrics",
        "/v1/devices/{id}/logs",
        "/v1/devices/{id}/history",
        "/v1/logs",
        "/v1/alerts",
        "/v1/alerts/filters",
        "/v1/invoices",
        "/v1/invoices/filters",
        "/v1/invoices/{id}",
        "/v1/analytics/revenue",
        "/v1/analytics/events",
        "/v1/analytics/timeseries",
        "/v1/audit/events",
        "/v1/audit/streams/{stream}",
        "/v1/ops/health",
        "/v1/ops/lag",
        "/v1/ops/projections",
        "/v1/ops/dead-letters",
        "/v1/live",
        "/metrics",
    } <= set(paths)
    devices = paths["/v1/devices"]["get"]
    assert {"status", "os_type", "sort", "limit", "cursor"} <= {one["name"] for one in devices["parameters"]}
    assert "example" in devices["responses"]["200"]["content"]["application/json"]
