"""`factline import` from the command to what the log has, with and without a server."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fleet.device import RegisterDevice
from factline.client import Client
from infra.cli.import_directory import EmbeddedSink
from infra.cli.import_sinks import ServerSink
from infra.cli.main import cli
from infra.embedded import DEMO_TENANT, Embedded
from schemas.envelope import TenantId, Topic
from streams.intake.files.text import RefusedRow, SourceRow
from streams.intake.importing.run import Outcome, run
from streams.intake.importing.sink import IMPORTER, FactsTaken, ImportFailed
from streams.ports import Submission
from tests.infra.cli.importing import Account, counts, events, factline, import_invoices, new_data_dir, refused_rows
from tests.infra.server_process import ServerProcess
from tests.streams.intake.files.samples import HEADER, REAL_DATA, invoice_row, real_data, write
from tests.waiting import eventually

# the real logs do not end with a line end
FINISHED = ["--year", "2025", "--take-last"]


def import_metrics(data_dir: Path, *files: Path) -> Account:
    series = ("--device", "web-1", "--metric", "cpu", "--unit", "percent")
    return factline("metrics", *files, "--tenant", "demo", "--data-dir", data_dir, *series)


def import_logs(data_dir: Path, *files: Path, options: Sequence[str] = ()) -> Account:
    return factline("logs", *files, "--tenant", "demo", "--data-dir", data_dir, "--device", "web-1", *options)


def recorded_lines(data_dir: Path) -> list[dict[str, Any]]:
    return [line for event in events(data_dir, "invoice.received") for line in event.data["lines"]]


# --- without a server


@real_data
def test_real_invoices_are_imported_once_and_sum_up_exactly(data_dir: Path) -> None:
    files = sorted((REAL_DATA / "online-retail").glob("*.csv"))
    first = import_invoices(data_dir, *files)
    assert (first.exit_code, dict(first)) == (0, counts(accepted=31_102))
    second = import_invoices(data_dir, *files)
    assert (second.exit_code, dict(second)) == (0, counts(repeated=31_102))
    expected = Decimal(0)
    for path in files:
        with path.open(newline="") as file:
            expected += sum(Decimal(row["Quantity"]) * Decimal(row["UnitPrice"]) for row in csv.DictReader(file))
    assert sum(line["quantity"] * line["unit_price"] for line in recorded_lines(data_dir)) == expected


@real_data
def test_real_metrics_and_logs_are_imported_once(data_dir: Path) -> None:
    series = REAL_DATA / "nab" / "ec2_cpu_utilization_24ae8d.csv"
    logs = [REAL_DATA / "loghub" / name for name in ("OpenSSH_2k.log", "Linux_2k.log")]
    assert dict(import_metrics(data_dir, series)) == counts(accepted=4_032)
    assert dict(import_logs(data_dir, *logs, options=FINISHED)) == counts(accepted=4_000)
    assert dict(import_metrics(data_dir, series)) == counts(repeated=4_032)
    assert dict(import_logs(data_dir, *logs, options=FINISHED)) == counts(repeated=4_000)
    assert len(events(data_dir, "log.recorded", Topic.TELEMETRY)) == 4_000
    assert [event.stream for event in events(data_dir, "device.registered")] == ["device-web-1"]


def test_an_invoice_says_when_it_was_issued_and_who_brought_it(data_dir: Path, tmp_path: Path) -> None:
    options = ["--currency", "EUR", "--kind", "online-retail"]
    import_invoices(data_dir, write(tmp_path / "f.csv", [HEADER, invoice_row("C1")]), options=options)
    [event] = events(data_dir, "invoice.received")
    assert (event.happened_at.isoformat(), event.actor) == ("2010-12-01T08:26:00+00:00", IMPORTER)
    assert (event.data["kind"], event.data["currency"], event.data["direction"]) == ("credit_note", "EUR", "out")


def test_credit_notes_by_number_are_told_and_the_caller_may_say_otherwise(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("C1", quantity="-6"), invoice_row("CONS-2026-001")])
    told = "credit notes, by their numbers of C and digits: 1; --kind says otherwise"
    assert told in import_invoices(data_dir, path).output
    kinds = {event.data["number"]: event.data["kind"] for event in events(data_dir, "invoice.received")}
    assert kinds == {"C1": "credit_note", "CONS-2026-001": "invoice"}
    other = write(tmp_path / "g.csv", [HEADER, invoice_row("C2")])
    assert "credit notes" not in import_invoices(data_dir, other, options=["--kind", "invoice"]).output
    assert events(data_dir, "invoice.received")[-1].data["kind"] == "invoice"


def test_refused_rows_are_told_counted_and_written_with_line_and_reason(data_dir: Path, tmp_path: Path) -> None:
    rows = [invoice_row("1"), invoice_row("2", at="1700000000"), invoice_row("3"), invoice_row("2")]
    path = write(tmp_path / "f.csv", [HEADER, *rows])
    account = import_invoices(data_dir, path)
    assert (account.exit_code, dict(account)) == (1, counts(accepted=2, refused=2))
    assert re.search(rf"^ +1  InvoiceDate is not an instant \(first: {path}, line 3\)$", account.output, re.MULTILINE)
    assert f"refused rows are in {path}.refused.csv" in account.output
    header, *written = refused_rows(path)
    assert header == ["line", "reason", *HEADER.split(",")]
    assert {int(row[0]): (row[1], ",".join(row[2:])) for row in written} == {
        3: (
            "InvoiceDate is not an instant: '1700000000'; write it like 2026-01-31 08:30:00, or name the --date-format",
            rows[1],
        ),
        5: ("another row of the same invoice is refused: line 3", rows[3]),
    }


def test_the_file_of_refused_rows_can_be_corrected_and_imported(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("1"), invoice_row("2", quantity="six")])
    assert import_invoices(data_dir, path).exit_code == 1
    corrected = Path(f"{path}.refused.csv")
    corrected.write_text(corrected.read_text().replace(",six,", ",6,"))
    assert dict(import_invoices(data_dir, corrected)) == counts(accepted=1)


def test_refused_rows_of_an_earlier_import_are_forgotten(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row(quantity="six")])
    assert import_invoices(data_dir, path).exit_code == 1
    write(path, [HEADER, invoice_row()])
    assert import_invoices(data_dir, path).exit_code == 0
    assert not Path(f"{path}.refused.csv").exists()


def test_the_same_number_with_other_content_is_refused_and_nothing_is_changed(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row(), invoice_row(product="b")])
    assert import_invoices(data_dir, path).exit_code == 0
    write(path, [HEADER, invoice_row(price="9.99"), invoice_row(product="b"), invoice_row("2")])
    account = import_invoices(data_dir, path)
    assert (account.exit_code, dict(account)) == (1, counts(accepted=1, refused=2))
    assert [row[0] for row in refused_rows(path)[1:]] == ["2", "3"]
    reason = "its total is 30.6000, not 75.2400; if this file is right, add --correct"
    for row in refused_rows(path)[1:]:
        assert row[1].startswith("recorded already, with other content: ")
        assert row[1].endswith(reason)
    assert [str(line["unit_price"]) for line in recorded_lines(data_dir)] == ["2.5500"] * 3


def test_a_reading_of_a_time_that_has_one_is_a_repeat(data_dir: Path, tmp_path: Path) -> None:
    rows = ["timestamp,value", "2014-04-10 00:04:00,1", "2014-04-10 00:04:00,2", "2014-04-10 00:09:00,NaN"]
    path = write(tmp_path / "f.csv", rows)
    account = import_metrics(data_dir, path)
    assert (account.exit_code, dict(account)) == (1, counts(accepted=1, repeated=1, refused=1))
    assert "readings of an instant that has a later one in the file: 1; the last one counts" in account.output
    assert refused_rows(path)[1][:2] == ["4", "value is not a finite number: 'NaN'"]
    [fact] = events(data_dir, "device.metrics.reported", Topic.TELEMETRY)
    assert (fact.data["metrics"], fact.data["unit"], fact.stream) == ({"cpu": 2.0}, "percent", "device-web-1")


def test_rows_without_a_device_of_the_call_are_of_their_own(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ["time,host,metric,value", "1,web-1,cpu,5", "1,db-1,cpu,6"])
    account = factline("metrics", path, "--tenant", "demo", "--data-dir", data_dir, "--long", "--unit", "cpu=percent")
    assert (account.exit_code, dict(account)) == (0, counts(accepted=2)), account.output
    assert {event.stream for event in events(data_dir, "device.registered")} == {"device-web-1", "device-db-1"}
    lines = write(tmp_path / "log", ["Jun  9 06:06:20 gw p: a", "Jun  9 06:06:20 p[1]: b"])
    account = factline("logs", lines, "--tenant", "demo", "--data-dir", data_dir)
    assert (account.exit_code, dict(account)) == (1, counts(accepted=1, refused=1))
    assert "device-gw" in {event.stream for event in events(data_dir, "device.registered")}


def test_lines_that_are_piped_in_are_imported(data_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    record = '{"__REALTIME_TIMESTAMP":"1772644830000000","MESSAGE":"m","_HOSTNAME":"web-1","PRIORITY":"3"}'
    call = ["import", "logs", "-", "--tenant", "demo", "--data-dir", str(data_dir)]
    result = CliRunner().invoke(cli, call, input=record)
    assert result.exit_code == 0, result.output
    [fact] = events(data_dir, "log.recorded", Topic.TELEMETRY)
    assert (fact.stream, fact.data["severity"], fact.data["summary"]) == ("device-web-1", "error", "m")


def test_what_was_odd_in_a_log_is_told(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"Mar  4 00:16:12 h p: a\x81b\nMar  4 00:16:13 h p: Failed pass")
    account = import_logs(data_dir, path)
    assert (account.exit_code, dict(account)) == (0, counts(accepted=1))
    assert f"{path}: line 2 has no line end yet and was not imported" in account.output
    assert f"{path}: bytes that are not UTF-8: 1, first in line 1" in account.output


def test_the_guessed_year_is_told(data_dir: Path, tmp_path: Path) -> None:
    account = import_logs(data_dir, write(tmp_path / "log", ["Jan  1 00:00:00 h p: a", "no log line"]))
    assert re.search(r"lines that do not say their year begin in \d{4}; --year says otherwise", account.output)
    assert (account.exit_code, dict(account)) == (1, counts(accepted=1, refused=1))
    assert refused_rows(tmp_path / "log")[1][2] == "no log line"


def test_a_device_that_is_known_stays_as_it_is(data_dir: Path, tmp_path: Path) -> None:
    with Embedded.open(data_dir) as embedded:
        register = RegisterDevice(device_id="web-1", hostname="web-1.example")
        embedded.writer.write([Submission("r", DEMO_TENANT, "fleet.RegisterDevice", register, IMPORTER)])
    assert import_metrics(data_dir, write(tmp_path / "f.csv", ["timestamp,value"])).exit_code == 0
    assert [event.data["hostname"] for event in events(data_dir, "device.registered")] == ["web-1.example"]


def test_a_windows_file_imports_nothing_until_its_encoding_is_named(data_dir: Path, tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", [HEADER, invoice_row("1")])
    windows = write(tmp_path / "w.csv", [HEADER, invoice_row("2", description="CAFÉ €")], encoding="cp1252")
    account = import_invoices(data_dir, good, windows)
    assert (account.exit_code, dict(account)) == (2, {})
    assert f"{windows}, line 2, is not UTF-8" in account.output
    assert "--encoding cp1252" in account.output
    assert not recorded_lines(data_dir)
    assert dict(import_invoices(data_dir, windows, options=["--encoding", "cp1252"])) == counts(accepted=1)
    assert [line["description"] for line in recorded_lines(data_dir)] == ["CAFÉ €"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.csv", "cannot be read: No such file"), (".", "is a directory"), ("empty.csv", "is empty")],
)
def test_a_file_that_cannot_be_read_is_named(data_dir: Path, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty.csv").touch()
    account = import_invoices(data_dir, tmp_path / name)
    assert account.exit_code == 2
    assert said in account.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["invoices", "--tenant", "demo"], "Missing argument"),
        (["invoices", "f.csv"], "Missing option '--tenant'"),
        (["invoices", "f.csv", "--tenant", "A B"], "Invalid value for '--tenant'"),
        (["invoices", "f.csv", "--tenant", "demo", "--currency", "pounds"], "Invalid value for '--currency'"),
        (["invoices", "f.csv", "--tenant", "demo", "--encoding", "hex"], "Invalid value for '--encoding'"),
        (["metrics", "f.csv", "--tenant", "demo", "--device", "a b", "--metric", "m"], "Invalid value for '--device'"),
        (["logs", "f.csv", "--tenant", "demo", "--device", "d", "--year", "26"], "Invalid value for '--year'"),
    ],
)
def test_a_mistake_in_the_call_is_a_usage_error(arguments: list[str], said: str) -> None:
    account = factline(*arguments)
    assert account.exit_code == 2
    assert said in account.output


def test_help_shows_examples() -> None:
    for name in ("invoices", "metrics", "logs"):
        assert f"factline import {name} " in factline(name, "--help").output


def test_an_unknown_tenant_is_told_how_to_register(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row()])
    account = factline("invoices", path, "--tenant", "acme", "--data-dir", data_dir)
    assert account.exit_code == 2
    assert "tenant acme is not known; register it with `factline tenants add acme" in account.output


def test_a_directory_that_is_open_or_has_no_data_is_told(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row()])
    with Embedded.open(data_dir):
        account = import_invoices(data_dir, path)
    assert (account.exit_code, "is in use by" in account.output) == (2, True)
    account = import_invoices(tmp_path / "none", path)
    assert (account.exit_code, "there is no factline data in" in account.output) == (2, True)
    assert not (tmp_path / "none").exists()


def test_refused_rows_that_cannot_be_written_do_not_end_the_import(data_dir: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("1", quantity="x"), invoice_row("2")])
    Path(f"{path}.refused.csv").mkdir()
    account = import_invoices(data_dir, path)
    assert (account.exit_code, dict(account)) == (1, counts(accepted=1, refused=1))
    assert "f.csv.refused.csv cannot be written" in account.output


# --- the run itself


class Number(int):
    size = 1


def test_whatever_ends_a_run_the_answers_that_came_are_told(data_dir: Path) -> None:
    told: list[int] = []

    def send(batch: Sequence[Number]) -> Outcome:
        if batch[0] == 6:
            raise KeyboardInterrupt
        return Outcome(len(batch), 0, ())

    with Embedded.open(data_dir) as embedded, pytest.raises(KeyboardInterrupt):
        run(
            (Number(n) for n in range(100)),
            send,
            sink=EmbeddedSink(embedded, DEMO_TENANT),
            batch_items=2,
            on_outcome=lambda outcome: told.append(outcome.accepted),
        )
    assert told[:3] == [2, 2, 2]
    assert len(told) <= 4


@given(
    plan=st.lists(st.sampled_from(["send", "refuse"]), max_size=50),
    answers=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=20, max_size=20),
    batch_items=st.integers(1, 7),
)
@settings(max_examples=50)
def test_rows_read_are_rows_accepted_repeated_or_refused(
    plan: list[str], answers: list[tuple[int, int]], batch_items: int
) -> None:
    row = SourceRow(1, ())
    outcomes: list[Outcome] = []

    def send(batch: Sequence[Number]) -> Outcome:
        refused, repeated = answers[len(batch) % len(answers)]
        refused = min(refused, len(batch))
        repeated = min(repeated, len(batch) - refused)
        return Outcome(len(batch) - refused - repeated, repeated, [RefusedRow(row, "x")] * refused)

    items: Iterator[Number | RefusedRow] = (Number(1) if kind == "send" else RefusedRow(row, "y") for kind in plan)
    run(items, send, sink=Nowhere(), batch_items=batch_items, on_outcome=outcomes.append)
    assert sum(o.accepted + o.repeated + len(o.refused) for o in outcomes) == len(plan)


class Nowhere:
    """A sink that nothing is sent to: the test's own `send` answers."""

    threads = 2

    def commands(self, batch: Sequence[Submission]) -> list[Any]:
        raise NotImplementedError

    def facts(self, batch: Sequence[Any]) -> FactsTaken:
        raise NotImplementedError

    def stop(self) -> None:
        pass


@given(
    rows=st.lists(
        st.builds(
            invoice_row,
            st.sampled_from(["1", "2", "C3", ""]),
            price=st.sampled_from(["1", "2", "x", "2.55555"]),
            customer=st.sampled_from(["", "1.0", "1"]),
        ),
        max_size=8,
    ),
    end=st.sampled_from(["", "\n"]),
)
@settings(max_examples=30)
def test_any_file_of_invoices_is_accounted_for_and_a_second_import_adds_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], end: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    new_data_dir(folder / "data")
    path = write(folder / "f.csv", [HEADER, *rows], end=end)
    first = import_invoices(folder / "data", path)
    assert first.adds_up
    assert first["rows read"] == len(rows)
    assert first["accepted"] == len(recorded_lines(folder / "data"))
    assert first.exit_code == (1 if first["refused"] else 0)
    second = import_invoices(folder / "data", path)
    assert dict(second) == counts(repeated=first["accepted"], refused=first["refused"])


# --- with a server


@contextmanager
def served(folder: Path) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    with ServerProcess(folder / "data") as server:
        yield server, {"FACTLINE_URL": server.address, "FACTLINE_API_KEY": server.api_key}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with served(tmp_path_factory.mktemp("served")) as (_server, settings):
        yield settings


@real_data
def test_a_server_takes_real_files_once_and_answers_with_their_exact_revenue(environment: dict[str, str]) -> None:
    path = REAL_DATA / "online-retail" / "2010-12-01.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    call = ("invoices", path, "--tenant", "demo")
    assert dict(factline(*call, environment=environment)) == counts(accepted=len(rows))
    assert dict(factline(*call, environment=environment)) == counts(repeated=len(rows))
    expected = sum(Decimal(row["Quantity"]) * Decimal(row["UnitPrice"]) for row in rows)
    eventually(lambda: revenue(environment) == expected, lambda: f"{revenue(environment)} of {expected}")


def revenue(environment: dict[str, str]) -> Decimal:
    asking = Client(environment["FACTLINE_URL"], environment["FACTLINE_API_KEY"])
    answer = asking.get("/v1/analytics/revenue?by=month")
    asking.close()
    return sum((Decimal(row["revenue"]) for row in answer["rows"]), Decimal(0))


@real_data
def test_a_server_takes_real_metrics_and_logs_once(environment: dict[str, str]) -> None:
    series = REAL_DATA / "nab" / "machine_temperature_system_failure.csv"
    metrics = ("metrics", series, "--tenant", "demo", "--device", "machine", "--metric", "temperature")
    # twelve of its times occur twice
    assert dict(factline(*metrics, environment=environment)) == counts(accepted=22_683, repeated=12)
    assert dict(factline(*metrics, environment=environment)) == counts(repeated=22_695)
    logs = ("logs", REAL_DATA / "loghub" / "Linux_2k.log", "--tenant", "demo", "--device", "combo", *FINISHED)
    assert dict(factline(*logs, environment=environment)) == counts(accepted=2_000)
    assert dict(factline(*logs, environment=environment)) == counts(repeated=2_000)


def test_a_servers_refusals_are_those_of_the_rows(environment: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("S1"), invoice_row("S2")])
    call = ("invoices", path, "--tenant", "demo")
    assert dict(factline(*call, environment=environment)) == counts(accepted=2)
    write(path, [HEADER, invoice_row("S1"), invoice_row("S2", quantity="7")])
    account = factline(*call, environment=environment)
    assert (account.exit_code, dict(account)) == (1, counts(repeated=1, refused=1))
    assert refused_rows(path)[1][0] == "3"


def test_a_server_is_asked_by_a_check_and_takes_a_correction(environment: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("T/1", customer="a b"), invoice_row("T2")])
    call = ("invoices", path, "--tenant", "demo")
    assert dict(factline(*call, environment=environment)) == counts(accepted=2)
    write(path, [HEADER, invoice_row("T/1", customer="a b", price="9.99"), invoice_row("T2"), invoice_row("T3")])

    def check(*more: str) -> Account:
        return factline(*call, "--check", *more, environment=environment)

    # what was recorded a moment ago is in the histories a moment later
    eventually(lambda: dict(check()) == counts(accepted=1, repeated=1, refused=1), lambda: check().output)
    assert dict(check("--correct")) == counts(accepted=2, repeated=1)
    assert dict(factline(*call, "--correct", environment=environment)) == counts(accepted=2, repeated=1)
    eventually(lambda: dict(check()) == counts(repeated=3), lambda: check().output)


def test_another_tenants_key_is_refused_before_anything_is_sent(environment: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("other")])
    account = factline("invoices", path, "--tenant", "acme", environment=environment)
    assert (account.exit_code, dict(account)) == (2, {})
    assert "FACTLINE_API_KEY is not one of tenant acme" in account.output
    assert "factline tenants add acme" in account.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FACTLINE_API_KEY": ""}, "no API key of tenant demo; set FACTLINE_API_KEY"),
        ({"FACTLINE_API_KEY": "ak_x.sk_y"}, "the api key is not valid"),
        ({"FACTLINE_URL": "nowhere"}, "nowhere is no address of a server"),
        ({"FACTLINE_URL": "http://127.0.0.1:9"}, "did not answer for 5 s: .*start one with `factline serve`"),
    ],
)
def test_a_server_that_cannot_be_used_is_named(
    environment: dict[str, str], tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row("other")])
    account = factline("invoices", path, "--tenant", "demo", environment=environment | changes)
    assert (account.exit_code, dict(account)) == (2, {})
    assert re.search(said, account.output, re.DOTALL)


def test_a_batch_that_is_too_large_for_the_server_is_sent_in_parts(environment: dict[str, str], tmp_path: Path) -> None:
    asking = Client(environment["FACTLINE_URL"], environment["FACTLINE_API_KEY"])
    sink = ServerSink(asking, TenantId("demo"))
    # a name that no device may have, and longer than a request may be
    long = RegisterDevice(device_id="long", hostname="x" * 17_000_000)
    short = RegisterDevice(device_id="short", hostname="x")
    batch = [Submission(f"{n}", DEMO_TENANT, "fleet.RegisterDevice", c, IMPORTER) for n, c in enumerate((long, short))]
    refused, taken = sink.commands(batch)
    asking.close()
    assert "larger than 16 MiB" in refused.reason
    assert taken.kind is None


def test_a_server_that_is_gone_for_good_ends_an_import_with_what_to_do() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"rows": []})
        raise httpx.ConnectError("connection refused")

    asking = Client("http://127.0.0.1:8080", "ak_x.sk_y", transport=httpx.MockTransport(answer))
    sink = ServerSink(asking, DEMO_TENANT)
    sink.stop()
    with pytest.raises(ImportFailed, match=r"connection refused; .* run the same import again to go on"):
        sink.facts([])
    asking.close()


@pytest.mark.full
def test_an_import_goes_on_when_its_server_is_killed_and_comes_back(tmp_path: Path) -> None:
    rows = [invoice_row(f"{n}", product=f"{line}") for n in range(12_000) for line in range(2)]
    path = write(tmp_path / "f.csv", [HEADER, *rows])
    with served(tmp_path) as (server, settings), importing(path, settings) as process:
        wait_for_invoices(settings)
        server.kill()
        assert process.poll() is None
        server.start()
        output, _ = process.communicate(timeout=120)
        account = Account(process.returncode, output)
        assert (account.exit_code, account["refused"]) == (0, 0)
        assert account["accepted"] + account["repeated"] == account["rows read"] == len(rows)
        again = factline("invoices", path, "--tenant", "demo", environment=settings)
        assert dict(again) == counts(repeated=len(rows))
    assert len(recorded_lines(tmp_path / "data")) == len(rows)


@pytest.mark.full
def test_an_interrupted_import_says_what_is_done_and_can_be_run_again(tmp_path: Path) -> None:
    rows = [invoice_row(f"{n}") for n in range(15_000)]
    path = write(tmp_path / "f.csv", [HEADER, *rows])
    with served(tmp_path) as (_server, settings), importing(path, settings) as process:
        wait_for_invoices(settings)
        process.send_signal(2)
        output, errors = process.communicate(timeout=60)
        account = Account(process.returncode, output)
        assert account.exit_code == 130, errors
        assert account.adds_up
        assert "run the same import again to go on" in errors
        again = factline("invoices", path, "--tenant", "demo", environment=settings)
        assert again["repeated"] >= account["accepted"] > 0
        assert again["accepted"] + again["repeated"] == len(rows)


@contextmanager
def importing(path: Path, settings: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "infra.cli.main", "import", "invoices", str(path), "--tenant", "demo"]
    with subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_invoices(settings: dict[str, str]) -> None:
    asking = Client(settings["FACTLINE_URL"], settings["FACTLINE_API_KEY"])
    eventually(lambda: asking.get("/v1/invoices?limit=1")["rows"])
    asking.close()


def test_lines_of_a_rotated_log_are_all_there_and_known_again(data_dir: Path, tmp_path: Path) -> None:
    """A case from outside: the third equal line of a second, behind the rotation, is a line of its own."""
    older = write(tmp_path / "rot.log.1", ["Mar  4 10:00:00 h app: tick"] * 2)
    newer = write(tmp_path / "rot.log", ["Mar  4 10:00:00 h app: tick", "Mar  4 10:00:01 h app: tock"])
    for expected in (counts(accepted=4), counts(repeated=4)):
        assert dict(import_logs(data_dir, older, newer, options=["--year", "2026"])) == expected
    assert dict(import_logs(data_dir, older, options=["--year", "2026"])) == counts(repeated=2)
    assert len(events(data_dir, "log.recorded", Topic.TELEMETRY)) == 4
