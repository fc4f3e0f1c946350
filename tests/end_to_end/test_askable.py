"""What a technician, an accountant, an auditor and an integrator ask, asked of real data."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.data_dir import operator_key
from infra.embedded import DEMO_TENANT, Embedded
from infra.serve.embedded import create_app
from tests.streams.intake.files.samples import REAL_DATA, real_data
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

pytestmark = real_data

SERIES = {"web-1": "ec2_cpu_utilization_24ae8d.csv", "web-2": "ec2_cpu_utilization_fe7f93.csv"}
GUESSER, GUESSES = "183.62.140.253", 286
CUSTOMER = "17850"


class Asker:
    """A client of the tenant demo at a server that has been told the real data."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self._client.get(path, params=query)

    def table(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table(path, **query)["rows"]
        return found

    def command(self, name: str, id_: str, **body: Any) -> None:
        context, _, name = name.partition(".")
        headers = {"Idempotency-Key": id_}
        self._client.post(f"/v1/commands/{context}/{name}", json=body, headers=headers).raise_for_status()


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    with Embedded.open(tmp_path_factory.mktemp("embedded")) as embedded:
        key = embedded.first_start()
        with served(create_app(embedded, host_metrics=False)) as client:
            client.headers["X-API-Key"] = key or ""
            environment = {"FACTLINE_URL": str(client.base_url), "FACTLINE_API_KEY": key or ""}
            imports = [["invoices", *map(str, sorted((REAL_DATA / "online-retail").glob("*.csv")))]]
            log = str(REAL_DATA / "loghub/OpenSSH_2k.log")
            imports += [["logs", log, "--device", "gate", "--year", "2015", "--take-last"]]
            for device, file in SERIES.items():
                imports += [["metrics", str(REAL_DATA / "nab" / file), "--device", device, "--metric", "cpu"]]
            for arguments in imports:
                done = CliRunner().invoke(cli, ["import", *arguments, "--tenant", DEMO_TENANT], env=environment)
                assert done.exit_code == 0, done.output
            asker = Asker(client)
            asker.command("fleet.UpdateDevice", "rename-web-1", device_id="web-1", hostname="web-1.example")
            operator = {"X-API-Key": operator_key(embedded.dir.path) or ""}
            eventually(lambda: _has_read_everything(client.get("/v1/ops/lag", headers=operator)))
            yield asker


def _has_read_everything(answer: httpx.Response) -> bool:
    return {(row["state"], row["lag_events"]) for row in answer.json()["rows"]} == {("live", 0)}


def largest(file: str) -> float:
    with (REAL_DATA / "nab" / file).open() as text:
        return max(float(row["value"]) for row in csv.DictReader(text))


# --- a technician ---------------------------------------------------------------------------------------------------


def test_failed_logins_by_address(asker: Asker) -> None:
    first, *others = asker.rows("/v1/analytics/logs", by="ip", contains="Failed password")
    assert (first["ip"], first["lines"]) == (GUESSER, GUESSES)
    lines = (REAL_DATA / "loghub/OpenSSH_2k.log").read_text().splitlines()
    assert first["lines"] + sum(row["lines"] for row in others) == sum("Failed password" in line for line in lines)
    users = asker.rows("/v1/analytics/logs", by="user", contains="Failed password", ip=GUESSER)
    assert (users[0]["user"], sum(row["lines"] for row in users)) == ("root", GUESSES)


def test_devices_above_a_value_in_a_window(asker: Asker) -> None:
    window = {"metric": "cpu", "start": "2014-02-01", "end": "2014-05-01"}
    wanted = sorted(((largest(file), device) for device, file in SERIES.items()), reverse=True)
    found = asker.rows("/v1/metrics/top", **window)
    assert [(row["value"], row["device_id"]) for row in found] == wanted
    [only] = asker.rows("/v1/metrics/top", **window, above=wanted[1][0])
    assert only["device_id"] == wanted[0][1]


def test_a_default_window_without_data_says_where_the_data_is(asker: Asker) -> None:
    whole = {"first": "2014-02-14T14:30:00Z", "last": "2014-02-28T14:25:00Z"}
    for path, query in (("/v1/devices/web-1/metrics", {}), ("/v1/analytics/timeseries", {"device_id": "web-1"})):
        answer = asker.table(path, metric="cpu", **query)
        assert (answer["rows"], answer["data"]) == ([], whole)
        start, end = (datetime.fromisoformat(answer["window"][side]) for side in ("start", "end"))
        assert end - start == timedelta(days=1)
    # of all devices
    assert asker.table("/v1/metrics/top", metric="cpu")["data"] == {**whole, "first": "2014-02-14T14:27:00Z"}
    assert asker.table("/v1/metrics/top", metric="nothing")["data"] is None


def test_silent_devices(asker: Asker) -> None:
    # all of them were heard of when their files were imported, a moment ago
    assert asker.rows("/v1/devices", last_seen_at_before="-1d") == []
    heard = asker.rows("/v1/devices", last_seen_at_from="-1d", sort="-last_seen_at")
    assert {row["id"] for row in heard} == {"gate", *SERIES}


def test_a_device_as_of_any_instant_with_its_metrics(asker: Asker) -> None:
    with (REAL_DATA / "nab" / SERIES["web-1"]).open() as text:
        last = max(row["timestamp"] for row in csv.DictReader(text) if row["timestamp"] <= "2014-02-20 12:00:00")
    [then] = asker.rows("/v1/devices/web-1/state", as_of="2014-02-20T12:00:00Z")
    assert (then["version"], then["state"]) == (0, None)
    assert [(one["metric"], one["at"]) for one in then["metrics"]] == [("cpu", f"{last.replace(' ', 'T')}Z")]
    [now] = asker.rows("/v1/devices/web-1/state")
    assert now["state"]["description"]["hostname"] == "web-1.example"
    assert asker.get("/v1/devices/web-1/state", as_of="2001-01-01").status_code == 404


# --- an accountant --------------------------------------------------------------------------------------------------


def test_what_one_customer_bought_in_december(asker: Asker) -> None:
    [row] = asker.rows("/v1/analytics/revenue", party=CUSTOMER, start="2010-12-01", end="2011-01-01")
    assert (row["revenue"], row["currency"]) == ("5391.2100", "GBP")


def test_the_statement_of_a_customer_ends_with_what_is_owed(asker: Asker) -> None:
    rows = asker.rows("/v1/analytics/statement", party=CUSTOMER)
    assert rows[-1]["balance"] == "5391.2100"
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    later = asker.rows("/v1/analytics/statement", party=CUSTOMER, start="2010-12-02")
    assert later == rows[-len(later) :]
    assert {row["what"] for row in rows} <= {"invoice", "credit_note"}


def test_an_invoice_with_lines_payments_and_due_date(asker: Asker) -> None:
    [listed] = asker.rows("/v1/invoices", q="536365")
    [document] = asker.rows(f"/v1/invoices/{listed['id']}/document")
    assert (document["total"], document["party"], len(document["lines"])) == ("139.1200", CUSTOMER, 7)
    assert document["lines"][0]["product"] == "85123A"
    assert (document["due_date"], document["payments"], document["open"]) == (None, [], "139.1200")
    assert asker.get("/v1/invoices/nothing/document").status_code == 404


def test_overdue_invoices(asker: Asker) -> None:
    query = {"state": "overdue", "by": "invoice", "party": CUSTOMER, "as_of": "2010-12-31"}
    rows = asker.rows("/v1/analytics/receivables", **query)
    assert len(rows) == len({row["invoice"] for row in rows})
    assert {row["currency"] for row in rows} == {"GBP"}
    listed = asker.rows("/v1/invoices", party=CUSTOMER, issue_date_before="2010-12-02", limit=100)
    assert {row["id"] for row in listed} <= {row["invoice"] for row in rows}


def test_one_customers_invoices_as_a_file_for_a_spreadsheet(asker: Asker, tmp_path: Path) -> None:
    answer = asker._client.get("/v1/invoices", params={"party": CUSTOMER}, headers={"Accept": "text/csv"})
    (tmp_path / "invoices.csv").write_bytes(answer.content)
    with (tmp_path / "invoices.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    statement = asker.rows("/v1/analytics/statement", party=CUSTOMER)
    assert {row["id"] for row in rows} == {row["invoice"] for row in statement}


# --- an auditor and an integrator -----------------------------------------------------------------------------------


def test_events_by_stream_type_actor_correlation_and_both_times(asker: Asker) -> None:
    of_customer = f"invoice-{CUSTOMER}"
    statement = asker.rows("/v1/analytics/statement", party=CUSTOMER)
    found = asker.rows("/v1/audit/search", stream=of_customer, types="invoice.received", limit=100)
    assert Counter(row["type"] for row in found) == {"invoice.received": len(statement)}
    assert [row["position"] for row in found] == sorted((row["position"] for row in found), key=_number, reverse=True)
    actor = found[0]["actor"]["id"]
    assert asker.rows("/v1/audit/search", actor=actor, stream=of_customer, limit=100) == found
    assert asker.rows("/v1/audit/search", actor="nobody") == []
    day = {"happened_from": "2010-12-01", "happened_before": "2010-12-02"}
    assert 0 < len(asker.rows("/v1/audit/search", stream=of_customer, **day, limit=100)) < len(found)
    assert asker.rows("/v1/audit/search", stream=of_customer, start="2010-12-01", end="2011-01-01") == []
    pages, cursor = [], None
    while True:
        page = asker.table("/v1/audit/search", stream=of_customer, limit=9, **({"cursor": cursor} if cursor else {}))
        pages += page["rows"]
        if (cursor := page["next"]) is None:
            break
    assert pages == found


def _number(position: str) -> int:
    return int(position.rpartition("/")[2])


def test_one_event_by_its_id(asker: Asker) -> None:
    [newest] = asker.rows("/v1/audit/events", limit=1)
    assert asker.rows(f"/v1/audit/events/{newest['event_id']}") == [newest]
    assert asker.get("/v1/audit/events/nothing").status_code == 404


def test_what_a_command_did_by_its_id(asker: Asker) -> None:
    [event] = asker.rows("/v1/audit/search", correlation_id="rename-web-1", causation_id="rename-web-1")
    assert (event["type"], event["stream"]) == ("device.updated", "device-web-1")


def test_a_window_may_be_said_in_days_before_now(asker: Asker) -> None:
    answer = asker.table("/v1/audit/events", start="-7d", types="device.updated")
    assert [row["stream"] for row in answer["rows"]] == ["device-web-1"]
    start = datetime.fromisoformat(answer["window"]["start"])
    assert timedelta(days=6) < datetime.now(UTC) - start < timedelta(days=8)
