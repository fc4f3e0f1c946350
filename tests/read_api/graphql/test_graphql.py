"""GraphQL over HTTP: the documents of the lists over REST, with what they name, under the same rights and bounds."""

from collections.abc import Callable, Mapping
from time import sleep
from typing import Any

import httpx
import pytest
from graphql import build_schema, get_introspection_query

from read_api.graphql.context import AT_ONCE, MOST_COST
from tests.read_api.world import ACME, BOLT, Caller, Stores, problem

PATH = "/v1/graphql"
DEVICES = 'query($first: Int, $after: String) { devices(first: $first, after: $after, sort: "hostname") {'
PAGE = DEVICES + " edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } }"


@pytest.fixture(scope="module", autouse=True)
def things(stores: Stores) -> None:
    for n in range(5):
        device: dict[str, Any] = {
            "hostname": f"h{n}",
            "status": "ONLINE" if n % 2 else "OFFLINE",
            "organization_id": "org",
        }
        stores.put("devices", ACME, f"d{n}", **device)
        stores.put("alerts", ACME, f"a{n}", status="OPEN", severity="critical", device_id=f"d{n % 2}", value=n + 0.5)
    stores.put("organizations", ACME, "org", name="North", status="ACTIVE")
    stores.put("devices", BOLT, "d0", hostname="of-bolt", status="ONLINE")
    stores.put("alerts", BOLT, "a9", status="OPEN", severity="critical", device_id="d0")


def send(caller: Caller, query: str, **variables: Any) -> httpx.Response:
    return caller.http.post(PATH, json={"query": query, "variables": variables})


def answer(caller: Caller, query: str, **variables: Any) -> dict[str, Any]:
    response = send(caller, query, **variables)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def data(caller: Caller, query: str, **variables: Any) -> Any:
    found = answer(caller, query, **variables)
    assert "errors" not in found, found
    return found["data"]


def test_things_come_with_what_they_name_and_what_names_them(acme: Caller) -> None:
    found = data(
        acme,
        """
        { device(id: "d0") {
            hostname status organization { name devices(first: 2) { nodes { hostname } } }
            alerts(sort: "value") { nodes { id value device { id alerts(first: 1, sort: "-value") { nodes { id } } } } }
        } }
        """,
    )["device"]
    assert (found["hostname"], found["status"]) == ("h0", "OFFLINE")
    assert found["organization"] == {"name": "North", "devices": {"nodes": [{"hostname": "h0"}, {"hostname": "h1"}]}}
    assert [alert["id"] for alert in found["alerts"]["nodes"]] == ["a0", "a2", "a4"]
    assert {one["device"]["alerts"]["nodes"][0]["id"] for one in found["alerts"]["nodes"]} == {"a4"}


def test_no_row_of_another_tenant_is_there(acme: Caller, bolt: Caller) -> None:
    query = """
        { devices { nodes { hostname } } device(id: "d0") { hostname alerts { nodes { id } } } alert(id: "a1") { id } }
    """
    found = data(bolt, query)
    assert found["devices"]["nodes"] == [{"hostname": "of-bolt"}]
    assert found["device"] == {"hostname": "of-bolt", "alerts": {"nodes": [{"id": "a9"}]}}
    assert found["alert"] is None
    assert data(acme, '{ alert(id: "a9") { id } }') == {"alert": None}


def test_pages_give_each_thing_once_and_cursors_are_those_of_rest(acme: Caller) -> None:
    found, after = [], None
    for has_next in (True, True, False):
        page = data(acme, PAGE, first=2, after=after)["devices"]
        assert page["nodes"] == [edge["node"] for edge in page["edges"]]
        assert page["pageInfo"] == {
            "hasNextPage": has_next,
            "hasPreviousPage": after is not None,
            "endCursor": page["edges"][-1]["cursor"],
        }
        after = page["pageInfo"]["endCursor"]
        found += [node["id"] for node in page["nodes"]]
    assert found == ["d0", "d1", "d2", "d3", "d4"]
    first = acme.table("/v1/devices", limit=2, sort="hostname")
    assert [one["node"]["id"] for one in data(acme, PAGE, first=1, after=first["next"])["devices"]["edges"]] == ["d2"]
    cursor = data(acme, PAGE, first=3)["devices"]["edges"][0]["cursor"]
    assert acme.rows("/v1/devices", sort="hostname", cursor=cursor)[0]["id"] == "d1"


def test_filters_ranges_and_words_are_those_of_rest(acme: Caller) -> None:
    ask = '{ a: alerts(valueFrom: "1", valueBefore: "4", sort: "-value", deviceId: ["d0", "d1"]) { nodes { id } }'
    ask += ' b: devices(q: "h3") { nodes { id } } c: devices(status: "ONLINE") { nodes { id } } }'
    found = {name: [one["id"] for one in page["nodes"]] for name, page in data(acme, ask).items()}
    assert found == {"a": ["a3", "a2", "a1"], "b": ["d3"], "c": ["d1", "d3"]}


def test_a_document_is_there_whole(acme: Caller) -> None:
    [row] = acme.rows("/v1/devices/d1")
    assert data(acme, '{ device(id: "d1") { document } }')["device"]["document"] == row


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ('{ devices(status: "BROKEN") { nodes { id } } }', "BROKEN"),
        ('{ devices(sort: "colour") { nodes { id } } }', "cannot be sorted by 'colour'"),
        ('{ devices(after: "no cursor") { nodes { id } } }', "the cursor is not one of this list"),
        ("{ devices(first: 0) { nodes { id } } }", "first must be 1 to 100, it is 0"),
        ("{ devices(first: 101) { nodes { id } } }", "first must be 1 to 100, it is 101"),
    ],
)
def test_a_part_that_is_asked_for_wrongly_is_null_and_says_why(acme: Caller, ask: str, said: str) -> None:
    found = answer(acme, ask.removesuffix("}") + ' b: device(id: "d1") { id } }')
    assert found["data"] == {"devices": None, "b": {"id": "d1"}}
    [error] = found["errors"]
    assert said in error["message"]
    assert error["path"] == ["devices"]
    assert 400 <= error["extensions"]["status"] < 500


def test_each_part_needs_the_scope_that_it_needs_over_rest(
    stores: Stores, caller: Callable[[str | None], Caller]
) -> None:
    narrow = caller(stores.issue_key(ACME, "narrow", "alerts:read"))
    found = answer(narrow, '{ alert(id: "a1") { id device { id } } devices { nodes { id } } user(id: "x") { id } }')
    assert found["data"] == {"alert": {"id": "a1", "device": None}, "devices": None, "user": None}
    assert {error["message"] for error in found["errors"]} == {
        "api key narrow lacks the scope devices:read",
        "api key narrow lacks the scope users:read",
    }
    assert {error["extensions"]["status"] for error in found["errors"]} == {403}


def test_nobody_without_a_credential_learns_anything(nobody: Caller) -> None:
    assert send(nobody, "{ __typename }").status_code == 401
    assert nobody.get(PATH).status_code == 401


def test_personal_fields_are_masked_as_over_rest(stores: Stores, caller: Callable[[str | None], Caller]) -> None:
    stores.put("users", ACME, "ann", status="INVITED", email="ann@acme.example", roles=["ADMIN"])
    blind = caller(stores.issue_key(ACME, "blind", "users:read"))
    [row] = blind.rows("/v1/users/ann")
    found = data(blind, '{ user(id: "ann") { email roles document } }')["user"]
    assert (found["email"], found["document"]) == (row["email"], row)


def test_what_it_is_based_on_is_said_and_waited_for(acme: Caller) -> None:
    as_of = answer(acme, "{ devices(first: 1) { nodes { id } } }")["extensions"]["as_of"]
    assert as_of["devices"]["positions"]
    log = acme.table("/v1/devices")["as_of"]["positions"][0]
    body = {"query": '{ device(id: "d1") { id } }'}
    waited = acme.http.post(PATH, json=body, headers={"X-Consistent-With": "events/0/7"})
    assert waited.json()["data"] == {"device": {"id": "d1"}}, log
    ahead = acme.http.post(PATH, json=body, headers={"X-Consistent-With": "events/0/900"}).json()
    assert ahead["data"] == {"device": None}
    assert ahead["errors"][0]["extensions"]["status"] in {409, 503, 504}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ devices { nodes { colour } } }", "Cannot query field 'colour' on type 'Device'"),
        ("{", "Syntax Error"),
        ("mutation { x }", "mutation"),
        ("query A { __typename } query B { __typename }", "operation name"),
        (
            "{ " + 'device(id: "d1") { ' + "organization { devices { nodes { " * 4 + "id" + " } } }" * 4 + " } }",
            "deeper than 10",
        ),
        ("{ " + "__typename " * 1_100 + "}", "more than 1000 tokens"),
        (
            "".join(f"fragment f{n} on Device {{ ...f{n + 1} ...f{n + 1} }} " for n in range(12))
            + 'fragment f12 on Device { id } { device(id: "d1") { ...f0 } }',
            "more than 1,000 fields",
        ),
        ('fragment f on Device { ...f } { device(id: "d1") { ...f } }', "Cannot spread fragment 'f' within itself"),
        ("query($first: Int!) { devices(first: $first) { nodes { id } } }", "$first"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused_whole(acme: Caller, query: str, said: str) -> None:
    refused = problem(send(acme, query), 422)
    assert said in refused["detail"]
    assert said in " ".join(fault["message"] for fault in refused["errors"])


def test_a_request_that_asks_for_too_much_gets_no_more_than_its_bound(acme: Caller) -> None:
    lists = " ".join(f"a{n}: devices(first: 100) {{ nodes {{ id }} }}" for n in range(MOST_COST // 110 + 1))
    found = answer(acme, f"{{ {lists} }}")
    assert "asks for too much" in found["errors"][0]["message"]
    assert sum(page is None for page in found["data"].values()) == 1


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {}, 422),
        (b'{"query": 5}', {}, 422),
        (b'{"query": "{ __typename }", "variables": []}', {}, 422),
        (b"[", {}, 422),
        (b'{"query": "{ __typename }"}', {"Content-Type": "text/plain"}, 415),
        (b'{"query": "{ __typename }"}', {"Content-Encoding": "gzip"}, 415),
        (b'{"query": "' + b" " * 70_000 + b'{ __typename }"}', {}, 413),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    acme: Caller, content: bytes, headers: Mapping[str, str], status: int
) -> None:
    said = {"Content-Type": "application/json", **headers}
    problem(acme.http.post(PATH, content=content, headers=said), status)


def test_the_schema_is_given_in_its_own_language_and_to_tools(acme: Caller) -> None:
    described = acme.get(PATH)
    assert described.headers["content-type"].startswith("text/plain")
    assert "Device" in build_schema(described.text).type_map
    assert "__schema" in data(acme, get_introspection_query())


def test_one_request_holds_few_of_the_threads_that_all_share(
    acme: Caller, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, running, seen = stores.documents.find, [0], [0]

    def counted(*asked: Any, **named: Any) -> Any:
        running[0] += 1
        seen.append(running[0])
        sleep(0.02)
        running[0] -= 1
        return find(*asked, **named)

    monkeypatch.setattr(stores.documents, "find", counted)
    data(acme, "{ " + " ".join(f"a{n}: devices(first: {n + 1}) {{ nodes {{ id }} }}" for n in range(20)) + " }")
    assert len(seen) == 21
    assert max(seen) <= AT_ONCE


def test_a_fault_that_nobody_foresaw_is_no_part_of_the_answer(
    acme: Caller, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(stores.documents, "find", broken)
    found = answer(acme, '{ device(id: "d1") { id } devices(first: 1) { nodes { id } } }')
    assert found["errors"][0]["message"] == "an unexpected error; the server's log says more"
    assert found["data"] == {"device": {"id": "d1"}, "devices": None}
