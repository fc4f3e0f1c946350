"""Files that come in over HTTP are imported as the command line does it."""

import asyncio
from collections.abc import Iterator
from threading import Event, Thread
from time import sleep
from typing import Any

import orjson
import pytest

from read_api.edge.auth import Unauthenticated
from read_api.edge.problems import Problem
from schemas.envelope import Topic
from streams.intake.http import bodies, importing, imports
from tests.streams.intake.http.ways_in import WaysIn, refused
from tests.waiting import eventually

INVOICES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,"HEART, WHITE",6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
536366,22633,WARMER,six,2010-12-01 08:28:00,1.85,17850,United Kingdom
"""
METRICS = "timestamp,cpu_percent\n2026-01-31T08:30:00Z,12.5\n2026-01-31T08:31:00Z,13.5\n2026-01-31T08:32:00Z,x\n"
LOGS = """2026-01-31T08:30:00Z web-1 sshd[42]: Failed password for root from 203.0.113.7 port 22 ssh2
2026-01-31T08:31:00Z web-2 cron[7]: (root) CMD (true)
no form at all"""


def imported(way: WaysIn, kind: str, body: Any, *, key: str = "demo", **said: Any) -> list[dict[str, Any]]:
    """Send a file and return the lines of the answer."""
    response = way.post(f"/v1/import/{kind}", body, key=key, params=said)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in response.text.splitlines()]


def result(lines: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = lines[-1]["result"]
    return found


def counts(lines: list[dict[str, Any]]) -> tuple[int, int, int, int]:
    found = result(lines)
    return found["rows_read"], found["accepted"], found["repeated"], found["refused"]


def events(way: WaysIn) -> list[str]:
    """Return what was recorded of the things themselves, without what processes note."""
    of = ("invoice.", "device.")
    return [event.type for event in way.entries(Topic.EVENTS) if event.type.startswith(of)]


def test_a_check_says_what_would_be_taken_and_writes_nothing(way: WaysIn) -> None:
    lines = imported(way, "invoices", INVOICES, check=True, name="december.csv")
    assert counts(lines) == (3, 2, 0, 1)
    assert [line["refused"]["line"] for line in lines if "refused" in line] == [4]
    [reason] = [line["refused"]["reason"] for line in lines if "refused" in line]
    assert "Quantity" in reason
    assert result(lines)["reasons"][0]["first"] == "december.csv, line 4"
    assert any(note.startswith("december.csv: ") for note in result(lines)["notes"])
    assert events(way) == []


def test_what_is_counted_as_accepted_is_in_the_log_under_the_callers_name_and_the_file_again_adds_nothing(
    way: WaysIn,
) -> None:
    lines = imported(way, "invoices", INVOICES, currency="EUR", direction="in")
    assert counts(lines) == (3, 2, 0, 1)
    assert lines[-2] == {"done": 3, "total": 3}
    [invoice] = [event for event in way.entries(Topic.EVENTS) if event.type == "invoice.received"]
    assert (invoice.stream.partition("-")[0], invoice.actor.id, invoice.data["currency"]) == ("invoice", "demo", "EUR")
    assert counts(imported(way, "invoices", INVOICES, currency="EUR", direction="in")) == (3, 0, 2, 1)
    assert events(way) == ["invoice.received"]


def test_other_content_is_refused_and_corrected_where_that_is_asked_for(way: WaysIn) -> None:
    imported(way, "invoices", INVOICES)
    other = INVOICES.replace(",2.55,", ",2.75,")
    lines = imported(way, "invoices", other)
    assert counts(lines) == (3, 0, 0, 3)
    assert "if this file is right, add `correct`" in lines[0]["refused"]["reason"] + lines[1]["refused"]["reason"]
    assert counts(imported(way, "invoices", other, correct=True)) == (3, 2, 0, 1)
    assert events(way) == ["invoice.received", "invoice.corrected"]


def test_readings_are_recorded_with_their_device(way: WaysIn) -> None:
    lines = imported(way, "metrics", METRICS, device="rack-9", unit="percent")
    assert counts(lines) == (3, 2, 0, 1)
    assert [(fact.stream, fact.data["metrics"], fact.data["unit"]) for fact in way.facts()] == [
        ("device-rack-9", {"cpu_percent": 12.5}, "percent"),
        ("device-rack-9", {"cpu_percent": 13.5}, "percent"),
    ]
    assert events(way) == ["device.registered"]
    assert counts(imported(way, "metrics", METRICS, device="rack-9", unit="percent")) == (3, 0, 2, 1)


def test_log_lines_are_of_the_devices_that_they_name_the_last_one_too(way: WaysIn) -> None:
    lines = imported(way, "logs", LOGS)
    assert counts(lines)[:2] == (3, 2)
    assert [line["refused"]["line"] for line in lines if "refused" in line] == [3]
    assert [fact.stream for fact in way.facts()] == ["device-web-1", "device-web-2"]
    assert events(way) == ["device.registered", "device.registered"]
    assert counts(imported(way, "logs", LOGS))[:3] == (3, 0, 2)


def test_a_line_without_a_year_is_of_the_year_in_which_the_file_was_written(way: WaysIn) -> None:
    line = "Jan 31 08:30:00 web-1 sshd[42]: hello\n"
    lines = imported(way, "logs", line, modified="2019-02-01T00:00:00Z")
    assert result(lines)["notes"] == ["lines that do not say their year begin in 2019"]
    assert [fact.happened_at.year for fact in way.facts()] == [2019]


@pytest.mark.parametrize(
    ("body", "said", "why"),
    [
        ("", {}, "mine.csv is empty"),
        ("Müller".encode("cp1252"), {}, "add `encoding` cp1252"),
        ("a,b\n1,2\n", {}, "InvoiceNo"),
        (INVOICES, {"decimal": ",", "thousands": ","}, "must not be the same"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    way: WaysIn, body: str | bytes, said: dict[str, str], why: str
) -> None:
    problem = refused(way.post("/v1/import/invoices", body, params={"name": "mine.csv", **said}), 422)
    assert why in problem["detail"]
    assert "factline-import-" not in problem["detail"]
    # its place is free again
    assert counts(imported(way, "invoices", INVOICES))[0] == 3


def test_a_file_that_is_too_large_is_refused_before_it_is_read(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_FILE_BYTES", 100)
    assert refused(way.post("/v1/import/invoices", INVOICES), 413)["limit_bytes"] == 100
    monkeypatch.undo()
    assert counts(imported(way, "invoices", INVOICES))[0] == 3


def test_rights_are_those_of_what_is_recorded(way: WaysIn) -> None:
    refused(way.post("/v1/import/invoices", INVOICES, key="fleet"), 403)
    refused(way.post("/v1/import/logs", LOGS, key="fleet"), 403)


def test_a_tenant_has_one_import_at_a_time_and_keeps_nobody_else_from_theirs(way: WaysIn) -> None:
    go_on = Event()

    def slowly() -> Iterator[bytes]:
        yield INVOICES.encode()
        go_on.wait(60)

    def import_slowly() -> None:
        way.client.post("/v1/import/invoices", content=slowly(), headers={"X-API-Key": "demo"})

    first = Thread(target=import_slowly)
    first.start()
    try:
        eventually(lambda: "demo" in way.app.state.imports.at_work)
        assert "another file of this tenant" in refused(way.post("/v1/import/logs", LOGS), 503)["detail"]
        assert counts(imported(way, "invoices", INVOICES, key="acme"))[1] == 2
    finally:
        go_on.set()
        first.join()
    eventually(lambda: way.post("/v1/import/logs", LOGS).status_code == 200)


def test_an_import_that_meets_the_end_of_a_quota_says_so_and_goes_on_later(
    way: WaysIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def used_up(*_: Any) -> None:
        raise Problem(429, "this tenant has recorded what it may")

    with monkeypatch.context() as patched:
        patched.setattr(importing, "check_quota", used_up)
        found = result(imported(way, "invoices", INVOICES))
    assert found["problem"].startswith("this tenant has recorded what it may; what is counted here is recorded")
    assert (found["accepted"], found["without_an_answer"]) == (0, 2)
    assert counts(imported(way, "invoices", INVOICES))[1] == 2


def test_an_import_ends_when_the_caller_may_not_go_on(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def revoked(*_: Any) -> None:
        raise Unauthenticated("the key was revoked")

    for kind, body in (("invoices", INVOICES), ("metrics", METRICS)):
        device = {"device": "web-1"} if kind == "metrics" else {}
        with monkeypatch.context() as patched:
            patched.setattr(importing, "caller_of", revoked)
            found = result(imported(way, kind, body, **device))
        assert found["problem"].startswith("the key was revoked; what is counted here is recorded")
        assert found["accepted"] == 0
    assert events(way) == []


@pytest.mark.parametrize("kind", ["invoices", "metrics", "logs"])
def test_a_file_that_is_not_coded_as_it_was_said_is_refused(way: WaysIn, kind: str) -> None:
    said = {"encoding": "utf-16"} | ({} if kind == "invoices" else {"device": "x"})
    answer = way.post(f"/v1/import/{kind}", LOGS.encode("utf-16-le"), params=said)
    if answer.status_code == 200:
        assert "utf-16" in orjson.loads(answer.text.splitlines()[-1])["result"]["problem"]
    else:
        assert "utf-16" in refused(answer, 422)["detail"]


def test_a_file_that_does_not_come_on_gives_its_place_to_the_next(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SILENCE_S", 0.2)

    def stalled() -> Iterator[bytes]:
        yield INVOICES.encode()[:50]
        sleep(1)
        yield b"more"

    refused(way.client.post("/v1/import/invoices", content=stalled(), headers={"X-API-Key": "demo"}), 408)
    assert counts(imported(way, "invoices", INVOICES))[1] == 2


def test_a_file_that_cannot_be_kept_holds_up_no_other(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(importing, "TemporaryDirectory", full)
        assert way.post("/v1/import/invoices", INVOICES).status_code == 500
    assert counts(imported(way, "invoices", INVOICES))[1] == 2


def test_an_import_ends_with_the_server_and_says_so(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> None:
        way.app.state.imports.stop()
        await asyncio.sleep(3_600)

    monkeypatch.setattr(importing, "check_quota", never)
    assert result(imported(way, "invoices", INVOICES))["problem"].startswith("the server ends; ")


def test_rows_of_an_invoice_that_lie_too_far_apart_end_the_import_and_memory_stays_bounded(
    way: WaysIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MAX_WAITING_ROWS", 1_500)
    header, row = INVOICES.splitlines()[0], "{},tea,green,1,2026-01-01,2.50,acme,France"
    apart = "\n".join([header, *(row.format(n) for n in range(3_000)), *(row.format(n) for n in range(3_000)), ""])
    found = result(imported(way, "invoices", apart, check=True))
    assert "put the rows of an invoice together" in found["problem"]
    together = "\n".join([header, *(row.format(n // 2) for n in range(6_000)), ""])
    assert counts(imported(way, "invoices", together, check=True)) == (6_000, 6_000, 0, 0)
