"""A caller whose token names an organization sees its devices, with what they reported, and no others."""

from collections.abc import Callable

import pytest

from read_api.app import Answers
from read_api.edge.auth import Caller as Known
from read_api.edge.auth import CredentialKind
from tests.read_api.world import ACME, Caller, Stores, problem

MEMBER = Known(ACME, "id/ann", (), kind=CredentialKind.TOKEN, roles=("VIEWER",), organization_id="north")


@pytest.fixture(scope="module")
def devices(stores: Stores) -> None:
    for id_, organization in (("n-1", "north"), ("s-1", "south"), ("free-1", None)):
        stores.put("devices", ACME, id_, hostname=f"{id_}.example", status="ONLINE", organization_id=organization)


@pytest.fixture
def member(
    devices: None, answers: Answers, caller: Callable[[str | None], Caller], monkeypatch: pytest.MonkeyPatch
) -> Caller:
    del devices
    known = answers.authenticator._known
    monkeypatch.setattr(
        answers.authenticator, "_known", lambda text: MEMBER if text == "Bearer of-ann" else known(text)
    )
    client = caller(None)
    client.http.headers["Authorization"] = "Bearer of-ann"
    return client


def test_list_and_counts_are_of_the_organization(member: Caller, acme: Caller) -> None:
    assert [row["id"] for row in member.rows("/v1/devices")] == ["n-1"]
    assert [row["id"] for row in member.rows("/v1/devices", organization_id="north", q="example")] == ["n-1"]
    assert "what is yours" in problem(member.get("/v1/devices", None, organization_id="south"), 403)["detail"]
    counts = {(row["field"], row["value"]): row["count"] for row in member.rows("/v1/devices/_filters")}
    assert counts["organization_id", "north"] == counts["status", "ONLINE"] == 1
    assert ("organization_id", "south") not in counts
    assert len(acme.rows("/v1/devices")) >= 3


@pytest.mark.parametrize("what", ["", "/metrics", "/logs"])
def test_device_of_another_organization_or_of_none_is_as_if_it_were_not_there(member: Caller, what: str) -> None:
    assert member.get(f"/v1/devices/n-1{what}").status_code == 200
    said = {
        problem(member.get(f"/v1/devices/{id_}{what}"), 404)["detail"].replace(id_, "")
        for id_ in ("s-1", "free-1", "x")
    }
    assert said == {"no device has the id "}


@pytest.mark.parametrize(
    "path", ["/v1/logs", "/v1/alerts", "/v1/devices/n-1/state", "/v1/devices/n-1/history", "/v1/live"]
)
def test_what_is_not_limited_is_not_answered(member: Caller, path: str) -> None:
    assert "limited to an organization" in problem(member.get(path), 403)["detail"]


def test_graphql_shows_no_more(member: Caller) -> None:
    query = '{ devices { nodes { id } } own: device(id: "n-1") { id } other: device(id: "s-1") { id }'
    query += ' alert(id: "x") { id } }'
    found = member.http.post("/v1/graphql", json={"query": query}).json()
    assert found["data"] == {"devices": {"nodes": [{"id": "n-1"}]}, "own": {"id": "n-1"}, "other": None, "alert": None}
    assert [error["path"] for error in found["errors"]] == [["alert"]]
