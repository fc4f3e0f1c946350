"""A data folder that commit 864c86d wrote opens, answers and goes on: see old_data/README.md."""

import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from infra.sqlite.documents import SqliteDocuments
from projections.catalog import PROJECTIONS, of_role
from projections.documents import words_of
from projections.rows import Role
from schemas.envelope import TenantId
from tests.infra.server_process import ServerProcess, factline
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

pytestmark = pytest.mark.full

HERE = Path(__file__).parent / "old_data"
TENANTS = ("acme", "bolt", "gone", "held")
PARKED = "watches"
"""The view that could not take an event."""

ANSWERS = [json.loads(line) for line in (HERE / "answers.jsonl").read_text().splitlines()]
VIEWS = {
    row["projection"]
    for one in ANSWERS
    if one["path"] == "/v1/ops/projections"
    for row in json.loads(one["answer"])["rows"]
} - {"api_keys"}
"""The views of before, without the one that had hashes of keys; `keys` took its place."""
PATHS = sorted({asked["described"] for asked in ANSWERS})


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("old")
    with tarfile.open(HERE / "data.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "data"


@pytest.fixture
def data(unpacked: Path, tmp_path: Path) -> Path:
    return shutil.copytree(unpacked, tmp_path / "data", symlinks=True)


@pytest.fixture(scope="module")
def client(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Serve a copy, without the readings of this machine, and give a client of the operator."""
    folder = shutil.copytree(unpacked, tmp_path_factory.mktemp("asked") / "data", symlinks=True)
    with Embedded.open(folder) as embedded:
        assert embedded.first_start() is None
        with served(create_app(embedded, host_metrics=False)) as client:
            client.headers["X-API-Key"] = operator_key(folder) or ""
            eventually(lambda: all(row["state"] == "live" for row in client.get("/v1/ops/lag").json()["rows"]))
            yield client


def key_of(tenant: str) -> str:
    return f"ak_all.sk_of-{tenant}"


def ran(*arguments: str, folder: Path) -> str:
    done = factline(*arguments, "--data-dir", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SINCE = {"currency": "/v1/analytics/revenue"} | dict.fromkeys(
    ("gap_s", "late_s", "levels", "again_s", "flap_count", "flap_s", "look_back_s", "overdue", "returned", "quota"),
    "/v1/audit/streams/{stream}",
)
"""Fields that answers have had since, by the route that says them: a currency, what watches may be told, what was given
back of a payment or is overdue, a quota."""


OF_THE_ANSWER = ("window", "data")
"""What answers say beside their rows since then: which time they are about, and where the data is."""


def as_before(found: Any, path: str) -> Any:
    """Return an answer without the fields that it has had since."""
    if isinstance(found, list):
        return [as_before(one, path) for one in found]
    if isinstance(found, dict):
        return {name: as_before(one, path) for name, one in found.items() if SINCE.get(name) != path}
    return found


def comparable(text: str) -> Sequence[Mapping[str, Any]]:
    """Return an answer, which may be JSON lines, without the moment at which it was given and without newer views."""
    found = [json.loads(line) for line in text.splitlines()]
    for one in found:
        one.get("as_of", {}).pop("at", None)
        for name in OF_THE_ANSWER if "rows" in one else ():
            one.pop(name, None)
        _forget_what_is_asked(one.get("as_of", {}), "positions")
        # each copy of the folder is a log of its own, and a cursor says of which it is
        if one.get("next"):
            one["next"] = one["next"].partition("@")[0]
        if "rows" in one:
            one["rows"] = [_of_before(row) for row in one["rows"] if row.get("projection", PARKED) in VIEWS]
            for row in one["rows"]:
                _forget_what_is_asked(row, "reached")
                # answers of before did not count them
                row.pop("parked_records", None)
    return found


def _forget_what_is_asked(of: dict[str, Any], name: str) -> None:
    """Leave out positions of telemetry: a server of today records there each minute how much it was asked."""
    if name in of:
        of[name] = [position for position in of[name] if not position.startswith("telemetry/")]


def _of_before(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row without what a log line says since then."""
    newer = {"program", "user", "ip"} if "summary" in row and "event_type" in row else set()
    return {name: value for name, value in row.items() if name not in newer}


def test_every_event_and_fact_of_the_log_is_read_byte_for_byte(data: Path) -> None:
    found = "".join(ran("replay", "--tenant", tenant, folder=data) for tenant in TENANTS)
    assert found == (HERE / "replay.jsonl").read_text()


@pytest.mark.parametrize("path", PATHS)
def test_every_endpoint_gives_the_answers_of_before(client: httpx.Client, path: str) -> None:
    for asked in (one for one in ANSWERS if one["described"] == path):
        headers = {} if asked["who"] == "operator" else {"X-API-Key": key_of(asked["who"])}
        answer = client.get(asked["path"], params=asked["query"], headers=headers)
        found = as_before(comparable(answer.text), path)
        assert (answer.status_code, found) == (asked["status"], comparable(asked["answer"])), asked


def test_views_equal_the_log_without_a_rebuild(data: Path) -> None:
    names = [projection.name for projection in PROJECTIONS if projection.name != PARKED]
    assert ran("verify", *names, folder=data).count("no difference") == len(names)


def test_a_view_of_before_is_asked_what_it_knows_and_after_a_rebuild_everything(
    client: httpx.Client, data: Path
) -> None:
    key = {"X-API-Key": key_of("acme")}
    every = client.get("/v1/invoices", headers=key).json()["rows"]
    by_date = client.get("/v1/invoices", params={"issue_date_from": "2000-01-01", "limit": 100}, headers=key)
    assert len(by_date.json()["rows"]) >= len(every) > 0
    for query in ({"currency": "GBP"}, {"q": "invoice"}, {"sort": "total"}, {"total_from": "1"}):
        answer = client.get("/v1/invoices", params=query, headers=key)
        assert (answer.status_code, "`factline projections rebuild invoices`" in answer.text) == (409, True), query
    assert {row["field"] for row in client.get("/v1/invoices/filters", headers=key).json()["rows"]} >= {"status"}
    ran("projections", "rebuild", "invoices", folder=data)
    # the views of the server that is asked hold the one engine of this process
    with closing(SqliteDocuments(data / "views" / "documents.sqlite", of_role(Role.DOCUMENTS))) as documents:
        words = words_of([every[0]["id"]])
        page: dict[str, Any] = {"sort": "total", "descending": False, "after": None, "limit": 100}
        found = documents.find("invoices", TenantId("acme"), filters={}, words=words, **page)
        assert every[0]["id"] in {document.id for document in found}
    assert "no difference" in ran("verify", "invoices", folder=data)


def test_what_was_parked_is_taken_by_a_retry(data: Path) -> None:
    assert "1 taken, 0 still parked" in ran("dead-letters", "retry", PARKED, folder=data)
    assert "no difference" in ran("verify", PARKED, folder=data)


def test_new_commands_and_facts_follow_on_what_is_there(data: Path) -> None:
    reading = {"type": "device.metrics.reported", "device_id": "db-1", "data": {"metrics": {"heat": 20.0}}}
    with ServerProcess(data) as server, server.client(key_of("acme")) as client:
        tag = {"device_id": "web-1", "key": "site", "value": "Oslo"}
        reply = client.post("/v1/commands/fleet/TagDevice", json=tag).raise_for_status().json()
        token = {"X-Consistent-With": reply["position"]["token"]}
        [device] = client.get("/v1/devices/web-1", headers=token).raise_for_status().json()["rows"]
        assert device["tag:site"] == "Oslo"
        # the watch remembers what it has seen, and that its alert is open
        open_ = {"status": "OPEN"}
        before = [row["rule"] for row in client.get("/v1/alerts", params=open_).json()["rows"]]
        assert "watch of hot" in before
        cool = [{**reading, "happened_at": f"2026-01-31T{hour}:00:00Z"} for hour in (11, 12)]
        client.post("/v1/telemetry", json=cool).raise_for_status()
        before.remove("watch of hot")
        eventually(lambda: [row["rule"] for row in client.get("/v1/alerts", params=open_).json()["rows"]] == before)
    names = [projection.name for projection in PROJECTIONS if projection.name != PARKED]
    assert ran("verify", *names, folder=data).count("no difference") == len(names)
