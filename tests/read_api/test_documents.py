"""Lists of devices, alerts and invoices."""

from typing import Any
from urllib.parse import quote

import pytest

from domain.finance.invoice import invoice_id
from tests.read_api.world import ACME, BOLT, Caller, Stores, problem

HOSTS = ("web-1", "web-2", "db-1", "db-2", "db-3")


@pytest.fixture(scope="module", autouse=True)
def devices(stores: Stores) -> None:
    for number, host in enumerate(HOSTS):
        status = "ONLINE" if number % 2 else "OFFLINE"
        stores.put("devices", ACME, f"d{number}", hostname=host, status=status, os_type="linux")
        stores.put("devices", BOLT, f"d{number}", hostname=f"bolt-{host}", status=status, os_type="windows")


def test_a_list_gives_rows_a_cursor_and_what_it_is_as_of(acme: Caller) -> None:
    answer = acme.table("/v1/devices", limit=2)
    assert answer["rows"] == [
        {"id": "d2", "version": 1, "hostname": "db-1", "status": "OFFLINE", "os_type": "linux"},
        {"id": "d3", "version": 1, "hostname": "db-2", "status": "ONLINE", "os_type": "linux"},
    ]
    assert answer["next"]
    assert answer["as_of"] == {"at": "2026-01-31T12:00:00Z", "positions": ["events/0/7"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("sort", ["hostname", "-hostname", "status", "-status"])
def test_pages_give_every_row_once_in_order(acme: Caller, sort: str, limit: int) -> None:
    rows = acme.all_rows("/v1/devices", sort=sort, limit=limit)
    field = sort.removeprefix("-")
    expected = sorted(((row[field], row["id"]) for row in rows), reverse=sort.startswith("-"))
    assert [(row[field], row["id"]) for row in rows] == expected
    assert {row["hostname"] for row in rows} == set(HOSTS)


def test_a_filter_leaves_only_what_equals(acme: Caller) -> None:
    assert {row["id"] for row in acme.rows("/v1/devices", status="ONLINE")} == {"d1", "d3"}
    assert acme.rows("/v1/devices", status="ONLINE", os_type="windows") == []


def test_facets_count_what_a_filter_would_give(acme: Caller) -> None:
    rows = acme.rows("/v1/devices/filters")
    assert {"field": "status", "value": "OFFLINE", "count": 3} in rows
    assert {"field": "status", "value": "ONLINE", "count": 2} in rows
    assert {"field": "os_type", "value": "linux", "count": 5} in rows
    assert not [row for row in rows if row["value"] == "windows"]


def test_one_device_comes_with_its_version_as_etag(acme: Caller) -> None:
    response = acme.get("/v1/devices/d0")
    assert [row["hostname"] for row in response.json()["rows"]] == ["web-1"]
    assert response.headers["etag"] == '"1"'


@pytest.mark.parametrize("party", ["", "Müller & Söhne 100%/<b>", "😀" * 100])
def test_an_invoice_is_found_whatever_its_party_is_called(stores: Stores, bolt: Caller, party: str) -> None:
    id_ = invoice_id(party, "ü/1 x")
    stores.put("invoices", BOLT, id_, party=party)
    assert [row["id"] for row in bolt.rows(f"/v1/invoices/{quote(id_)}")] == [id_]


@pytest.mark.parametrize(
    ("party", "number"),
    [("91020", "INV/2026/00001"), ("Ann Lee", "7"), ("Müller & Söhne", "7#1?x=y"), ("50%", "1+1"), ("", "a/b c")],
)
def test_an_id_works_in_a_path_as_it_is_shown(stores: Stores, bolt: Caller, party: str, number: str) -> None:
    id_ = invoice_id(party, number)
    stores.put("invoices", BOLT, id_, party=party)
    for path in (f"/v1/invoices/{id_}", f"/v1/invoices/{quote(id_, safe='')}"):
        assert [row["id"] for row in bolt.rows(path)] == [id_]
    # a client that encodes what the caller reads of it
    if "/" not in party + number:
        assert [row["id"] for row in bolt.rows(f"/v1/invoices/{quote(f'{party}:{number}', safe=':')}")] == [id_]
    missing = problem(bolt.get(f"/v1/audit/streams/invoice-{id_}"), 404)["detail"]
    assert missing == f"no stream is called invoice-{id_}"


def test_a_path_with_a_slash_in_an_id_says_how_to_write_it(bolt: Caller) -> None:
    detail = problem(bolt.get("/v1/invoices/91020:INV/2026/00001"), 404)["detail"]
    assert detail.endswith("/docs lists what there is; a slash within an id is written %2F")
    assert "%2F" not in problem(bolt.get("/v1/nothing"), 404)["detail"]


def test_a_device_called_filters_has_its_own_address(stores: Stores, bolt: Caller) -> None:
    stores.put("devices", BOLT, "other", hostname="x", status="ONLINE")
    assert {row["field"] for row in bolt.rows("/v1/devices/filters")} >= {"status"}
    stores.put("devices", BOLT, "filters", hostname="air filters", status="ONLINE")
    assert [row["hostname"] for row in bolt.rows("/v1/devices/filters")] == ["air filters"]
    assert {row["field"] for row in bolt.rows("/v1/devices/_filters")} >= {"status"}
    assert bolt.rows("/v1/alerts/filters") == bolt.rows("/v1/alerts/_filters")


def test_an_unknown_id_is_not_found(acme: Caller) -> None:
    assert problem(acme.get("/v1/invoices/nope"), 404)["detail"] == "no invoice has the id nope"


def test_an_unknown_filter_says_which_there_are(acme: Caller) -> None:
    detail = problem(acme.get("/v1/alerts", colour="red"), 400)["detail"]
    assert detail.startswith("there is no parameter 'colour': /v1/alerts takes ")
    assert {"status", "severity", "device_id", "sort", "limit", "cursor"} <= set(detail.split(" takes ")[1].split(", "))


def test_an_unknown_sort_says_which_there_are(acme: Caller) -> None:
    assert "hostname, status" in problem(acme.get("/v1/devices", sort="colour"), 400)["detail"]


def test_a_filter_given_twice_is_refused(acme: Caller) -> None:
    problem(acme.http.get("/v1/devices?status=ONLINE&status=OFFLINE"), 400)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
def test_a_limit_out_of_range_is_refused(acme: Caller, limit: str) -> None:
    body = problem(acme.get("/v1/devices", limit=limit), 422)
    assert body["errors"][0]["where"] == "query.limit"


def test_the_cursor_of_another_tenant_is_refused(acme: Caller, bolt: Caller) -> None:
    cursor = bolt.table("/v1/devices", limit=1)["next"]
    assert "cursor" in problem(acme.get("/v1/devices", limit=1, cursor=cursor), 400)["detail"]


def test_a_cursor_for_another_filter_or_sort_is_refused(acme: Caller) -> None:
    cursor = acme.table("/v1/devices", limit=1)["next"]
    problem(acme.get("/v1/devices", cursor=cursor, status="ONLINE"), 400)
    problem(acme.get("/v1/devices", cursor=cursor, sort="-hostname"), 400)
    problem(acme.get("/v1/alerts", cursor=cursor), 400)


def test_documents_without_the_sort_field_come_once(stores: Stores, acme: Caller) -> None:
    for number in range(5):
        fields: dict[str, Any] = {"party": "ann"} if number % 2 else {}
        stores.put("invoices", ACME, f"i{number}", **fields)
    for sort in ("party", "-party"):
        ids = [row["id"] for row in acme.all_rows("/v1/invoices", sort=sort, limit=1)]
        assert sorted(ids) == [f"i{number}" for number in range(5)]
