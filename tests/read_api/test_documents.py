"""Lists of devices, alerts and invoices."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from domain.finance.invoice import invoice_id
from projections.fields import instant_text
from projections.projection import Projection
from projections.rows import Patch
from read_api import tables
from schemas.envelope import TenantId
from tests.contracts.lists import LISTED, Question, Row, check_walk, documents_of, questions
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


def test_a_parameter_with_one_value_is_refused_when_it_is_given_twice(acme: Caller) -> None:
    assert "twice" in problem(acme.http.get("/v1/devices?sort=hostname&sort=-hostname"), 400)["detail"]


def test_a_filter_given_several_times_takes_any_of_the_values(acme: Caller) -> None:
    rows = acme.rows("/v1/devices", status=["ONLINE", "OFFLINE"], os_type="linux")
    assert [row["hostname"] for row in rows] == sorted(HOSTS)
    assert acme.rows("/v1/devices", status=["ONLINE", "ONLINE"]) == acme.rows("/v1/devices", status="ONLINE")
    # a comma is a part of a value, and no status has one
    problem(acme.get("/v1/devices", status="ONLINE,OFFLINE"), 400)
    problem(acme.get("/v1/devices", os_type=[f"os{n}" for n in range(101)]), 400)


def test_a_cursor_goes_on_with_the_same_values_in_any_order(acme: Caller) -> None:
    first = acme.table("/v1/devices", status=["ONLINE", "OFFLINE"], limit=2)
    rest = acme.table("/v1/devices", status=["OFFLINE", "ONLINE"], limit=9, cursor=first["next"])
    assert [row["id"] for row in first["rows"] + rest["rows"]] == ["d2", "d3", "d4", "d0", "d1"]
    problem(acme.get("/v1/devices", status="ONLINE", cursor=first["next"]), 400)


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


# --- ranges, words, facets and forms


@pytest.fixture(scope="module")
def shop(stores: Stores, caller: Callable[[str | None], Caller]) -> Caller:
    """Return a caller of a tenant with five invoices and a credit note."""
    tenant = TenantId("shop")
    stores.put("tenants", tenant, tenant, status="ACTIVE")
    for n, (party, total, day, status) in enumerate(
        [
            ("Ann & Söhne", "99.5000", 1, "PAID"),
            ("Ann & Söhne", "100.0000", 10, "RECEIVED"),
            ("Bob", "1000.0000", 20, "APPROVED"),
            ("=cmd()", "7.0000", 31, "RECEIVED"),
            ("Bob", "-12.5000", 31, "PAID"),
        ]
    ):
        at = f"2026-01-{day:02}T12:00:00.000000Z"
        fields: dict[str, Any] = {
            "number": f"R-{n}",
            "party": party,
            "total": total,
            "issue_date": at,
            "status": status,
        }
        stores.put("invoices", tenant, f"i{n}", **fields, currency="EUR", line_count=n)
    return caller(stores.issue_key(tenant, "shop-all", "*"))


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_a_range_holds_its_first_value_and_not_its_end(shop: Caller) -> None:
    assert ids(shop.rows("/v1/invoices", total_from="99.50", total_before="1000", sort="total")) == ["i0", "i1"]
    assert ids(shop.rows("/v1/invoices", total_before="0")) == ["i4"]
    answer = shop.table("/v1/invoices", issue_date_from="2026-01-10T13:00:00+01:00", issue_date_before="2026-01-31")
    assert ids(answer["rows"]) == ["i2", "i1"]
    wanted = {"from": "2026-01-10T12:00:00.000000Z", "before": "2026-01-31T00:00:00.000000Z"}
    assert answer["ranges"] == {"issue_date": wanted}


def test_a_time_before_now_is_one_question_over_all_pages(stores: Stores, shop: Caller) -> None:
    now = datetime.now(UTC)
    for n, age in enumerate((timedelta(hours=1), timedelta(days=2), timedelta(days=30))):
        stores.put("devices", TenantId("shop"), f"d{n}", hostname="x", last_seen_at=instant_text(now - age))
    assert ids(shop.all_rows("/v1/devices", last_seen_at_from="-7d", sort="last_seen_at", limit=1)) == ["d1", "d0"]
    # who was not heard of for a day: the silent ones
    assert ids(shop.rows("/v1/devices", last_seen_at_before="-1d", sort="-last_seen_at")) == ["d1", "d2"]


@pytest.mark.parametrize(
    ("parameter", "value", "status"),
    [
        ("total_from", "many", 422),
        ("total_from", "nan", 422),
        ("total_before", "", 422),
        ("issue_date_from", "yesterday", 422),
        ("issue_date_from", "2026-02-30", 422),
        ("issue_date_from", "-1y", 422),
        ("issue_date_from", "-999999w", 422),
        ("party_from", "a", 400),
        ("q", "--", 400),
        ("q", "x" * 201, 400),
    ],
)
def test_a_bound_or_a_word_that_is_none_is_refused(shop: Caller, parameter: str, value: str, status: int) -> None:
    query: dict[str, Any] = {parameter: value}
    problem(shop.get("/v1/invoices", **query), status)


def test_a_range_without_room_is_refused(shop: Caller) -> None:
    detail = problem(shop.get("/v1/invoices", total_from="2", total_before="1.5"), 400)["detail"]
    assert detail == "total_from must be less than total_before"


def test_words_are_looked_for_without_regard_to_case_and_accents(shop: Caller) -> None:
    assert ids(shop.rows("/v1/invoices", q="SOHNE ann", sort="number")) == ["i0", "i1"]
    assert ids(shop.rows("/v1/invoices", q="R-2")) == ["i2"]
    assert "parameter 'q'" in problem(shop.get("/v1/users", q="x"), 400)["detail"]


def test_facets_count_under_the_other_filters_and_not_under_their_own(shop: Caller) -> None:
    rows = shop.rows("/v1/invoices/filters", status="PAID", total_from="-100")
    counts = {(row["field"], row["value"]): row["count"] for row in rows}
    assert counts["status", "RECEIVED"] == 2
    assert counts["status", "PAID"] == 2
    assert counts["party", "Bob"] == 1
    assert ("party", "=cmd()") not in counts
    assert shop.rows("/v1/invoices/_filters", q="bob", currency="EUR") != rows


@pytest.mark.parametrize("view", LISTED, ids=lambda view: view.name)
def test_walking_any_list_gives_each_match_once_while_documents_are_added(
    stores: Stores, caller: Callable[[str | None], Caller], view: Projection
) -> None:
    layout, runs = view.documents, count()

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(mine=documents_of(layout), added=documents_of(layout), question=questions(layout))
    def walked(mine: list[Row], added: list[Row], question: Question) -> None:
        run = next(runs)
        tenants = {whose: TenantId(f"{view.name}-{whose}-{run}") for whose in ("mine", "theirs")}
        stores.put("tenants", tenants["mine"], tenants["mine"], status="ACTIVE")
        key = stores.issue_key(tenants["mine"], f"{view.name}-{run}", "*")

        def put(whose: str, id_: str, row: Row) -> None:
            stores.write(view.name, [Patch(tenants[whose], id_, "events", 1, row)])

        def pages() -> Iterator[list[str]]:
            sort = f"-{question.sort}" if question.descending else question.sort
            query: dict[str, Any] = {**question.filters, "sort": sort, "limit": question.page}
            for field, bounds in question.ranges.items():
                ends = zip((f"{field}_from", f"{field}_before"), bounds, strict=True)
                query |= {name: bound for name, bound in ends if bound is not None}
            query |= {"q": " ".join(question.words)} if question.words else {}
            yield from map(ids, caller(key).pages(f"/v1/{view.name}", **query))

        check_walk(layout, question, mine, added, put=put, pages=pages)

    walked()


# --- forms


def test_a_list_as_csv_has_all_rows_in_stable_columns(shop: Caller) -> None:
    answer = shop.get("/v1/invoices", {"Accept": "text/csv"}, sort="number")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["id"] for row in rows] == ["i0", "i1", "i2", "i3", "i4"]
    assert rows[0]["party"] == "Ann & Söhne"
    # a formula for a spreadsheet is text, a number below nothing is none
    assert rows[3]["party"] == "'=cmd()"
    assert rows[4]["total"] == "-12.5000"
    assert rows[4]["due_date"] == ""
    assert json.loads(rows[4]["other"]) == {"line_count": 4}
    assert list(rows[0])[:3] == ["id", "version", "number"]
    nothing = shop.get("/v1/invoices", {"Accept": "text/csv"}, party="nobody")
    assert nothing.text.splitlines() == answer.text.splitlines()[:1]


def test_a_list_as_json_lines_has_the_rows_of_all_pages(shop: Caller) -> None:
    answer = shop.get("/v1/invoices", {"Accept": "application/x-ndjson"}, sort="-total")
    assert [json.loads(line) for line in answer.text.splitlines()] == shop.all_rows("/v1/invoices", sort="-total")
    assert answer.headers["x-as-of"] == "2026-01-31T12:00:00Z events/0/7"


def test_a_page_in_another_form_says_where_the_next_begins(shop: Caller) -> None:
    page = shop.get("/v1/invoices", {"Accept": "text/csv"}, sort="number", limit=2)
    assert len(page.text.splitlines()) == 3
    rest = shop.rows("/v1/invoices", sort="number", cursor=page.headers["x-next-cursor"])
    assert ids(rest) == ["i2", "i3", "i4"]


def test_what_is_wrong_is_a_problem_in_every_form(shop: Caller) -> None:
    problem(shop.get("/v1/invoices", {"Accept": "text/csv"}, cursor="x"), 400)


def test_more_rows_than_an_answer_may_have_break_it_off(shop: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 4)
    monkeypatch.setattr(tables, "_PAGE_ROWS", 2)
    with pytest.raises(httpx.RemoteProtocolError):
        shop.get("/v1/invoices", {"Accept": "application/x-ndjson"})
    monkeypatch.setattr(tables, "MOST_ROWS", 5)
    assert len(shop.get("/v1/invoices", {"Accept": "application/x-ndjson"}).text.splitlines()) == 5
