"""Makes the data folder beside it, with the code of commit 864c86d; it runs with that code only, see README.md."""

# What it imports is gone or elsewhere now.
# mypy: ignore-errors

import hashlib
import json
import socket
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import httpx
import uvicorn
from click.testing import CliRunner

from domain.fleet.events import WatchRemoved
from infra.cli import cli
from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.server import create_app
from projections import catalog, watches

HERE = Path(__file__).parent
PARKED = "too loud"
MINUTE = timedelta(minutes=1)
T0 = datetime(2026, 1, 31, 8, tzinfo=UTC)


def flawed_watches() -> None:
    """Let the view of watches fail for one event, as a release with a fault would: it parks its stream."""

    def project(envelope: Any, event: Any) -> Any:
        if isinstance(event, WatchRemoved) and event.reason == PARKED:
            raise ZeroDivisionError("a fault of this release")
        return watches.PROJECTION.project(envelope, event)

    flawed = replace(watches.PROJECTION, project=project)
    catalog.PROJECTIONS = tuple(flawed if one is watches.PROJECTION else one for one in catalog.PROJECTIONS)


@contextmanager
def serving(folder: Path) -> Iterator[httpx.Client]:
    """Run the server, without the readings of this machine, and give a client of the operator."""
    with Embedded.open(folder) as embedded, socket.socket() as listener:
        embedded.first_start()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(embedded, host_metrics=False), log_level="critical"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"X-API-Key": operator_key(folder)}
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as operator:
                while not server.started:
                    time.sleep(0.05)
                yield operator
        finally:
            server.should_exit = True
            thread.join()


class Tenant:
    def __init__(self, operator: httpx.Client, name: str) -> None:
        self.name = name
        answer = operator.post("/v1/tenants", json={"tenant_id": name, "name": name.title()})
        headers = {"X-API-Key": answer.json()["api_key"]}
        self.http = httpx.Client(base_url=operator.base_url, headers=headers, timeout=60, trust_env=False)
        until(lambda: self.http.get("/v1/devices").status_code == 200)
        self.commands = 0
        digest = hashlib.sha256(secret(name).encode()).hexdigest()
        for key, scopes in (("all", ["*"]), ("narrow", ["devices:read"]), ("old", ["*"])):
            self.do("identity.IssueApiKey", key_id=key, secret_sha256=digest, scopes=scopes)
        self.do("identity.RotateApiKey", key_id="old", secret_sha256=digest[::-1])
        self.do("identity.RevokeApiKey", key_id="old", reason="lost")
        self.http.headers["X-API-Key"] = key_of(name, "all")
        until(lambda: self.http.get("/v1/devices").status_code == 200)

    def do(self, name: str, /, **body: Any) -> None:
        self.commands += 1
        at = (T0 + self.commands * MINUTE).isoformat()
        item = {"command": name, "body": body, "id": f"{name}-{self.commands}", "happened_at": at}
        [reply] = self.http.post("/v1/commands", json=[item]).raise_for_status().json()["replies"]
        assert reply["outcome"] == "accepted", reply

    def report(self, *facts: Mapping[str, Any]) -> None:
        answer = self.http.post("/v1/telemetry", json=facts).raise_for_status().json()
        assert answer["refused"] == [], answer

    def import_(self, what: str, file: str, text: str, *options: str) -> None:
        environment = {"FACTLINE_URL": str(self.http.base_url), "FACTLINE_API_KEY": key_of(self.name, "all")}
        with TemporaryDirectory() as folder:
            path = Path(folder, file)
            path.write_text(text)
            done = CliRunner().invoke(
                cli, ["import", what, str(path), "--tenant", self.name, *options], env=environment
            )
        assert done.exit_code == 0, done.output


def secret(tenant: str) -> str:
    return f"of-{tenant}"


def key_of(tenant: str, key: str) -> str:
    return f"ak_{key}.sk_{secret(tenant)}"


def until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


INVOICES = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536370,22728,ALARM CLOCK BAKELIKE PINK,24,2010-12-01 08:45:00,3.75,12583.0,France
C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom
536414,22139,,56,2010-12-02 11:52:00,0.0,,United Kingdom
"""
METRICS = "timestamp,value\n" + "".join(f"2014-02-14 14:{5 * n:02}:00,{n * n / 7}\n" for n in range(12))
LOGS = "".join(
    f"Jun 14 15:16:{n:02} combo sshd(pam_unix)[{19939 + n}]: authentication failure; rhost=218.188.2.{n % 3}\n"
    for n in range(12)
)


def tell(tenant: Tenant) -> None:
    """Tell each event and fact there is, but those that end a tenant."""
    mine = tenant.name
    for n, device in enumerate(("web-1", "db-1", "log-1", "old-1", "x.y:z@~1", "spare")):
        described = {"os_type": ("linux", "bsd")[n % 2], "device_type": ("server", "sensor", "vm")[n % 3]}
        tenant.do("fleet.RegisterDevice", device_id=device, hostname=f"{device} ä.example", **described)
    tenant.do("fleet.UpdateDevice", device_id="web-1", os_version="13", ip="192.0.2.7")
    tenant.do("fleet.TagDevice", device_id="web-1", key="site", value=f"Berlin {mine}")
    tenant.do("fleet.TagDevice", device_id="web-1", key="a/b", value="$1 & ünïcode")
    tenant.do("fleet.ChangeDeviceStatus", device_id="web-1", status="ONLINE", reason="first heartbeat")
    tenant.do("fleet.RetireDevice", device_id="old-1", reason="replaced")
    for n, severity in enumerate(("info", "warning", "critical")):
        about = {"rule": "cpu high", "device_id": "web-1", "value": 97.5, "threshold": 90.1, "window": 300}
        tenant.do("fleet.RaiseAlert", alert_id=f"a{n}", severity=severity, **about)
    tenant.do("fleet.AcknowledgeAlert", alert_id="a1", note="looking")
    tenant.do("fleet.ResolveAlert", alert_id="a2", note="restarted")
    rules = {
        "hot": {"kind": "threshold", "metric": "heat", "above": 90.0},
        "jump": {"kind": "rate_of_change", "metric": "nobody.reports", "by": -1.5, "within_s": 60},
        "ssh": {
            "kind": "failures",
            "contains": "authentication failure",
            "key_after": "rhost=",
            "count": 3,
            "within_s": 60,
        },
        "odd": {"kind": "anomaly", "metric": "heat"},
    }
    for id_, rule in rules.items():
        tenant.do("fleet.DefineWatch", watch_id=id_, name=f"watch of {id_}", severity="warning", rule=rule)
    tenant.do("fleet.RemoveWatch", watch_id="jump", reason=PARKED if mine == "acme" else "too quiet")
    tenant.import_("invoices", "invoices.csv", INVOICES)
    tenant.import_("metrics", "cpu.csv", METRICS, "--device", "web-1", "--metric", "cpu", "--unit", "percent")
    tenant.import_("logs", "auth.log", LOGS, "--device", "log-1", "--year", "2005")
    ways = {
        ("536365", "17850"): [
            ("CategoriseInvoice", {"category": "sales", "by": "rule 7"}),
            ("ApproveInvoice", {"note": "checked"}),
            ("RecordPayment", {"payment_id": "p1", "amount": "0.0100", "method": "cash"}),
            ("RecordPayment", {"payment_id": "p2", "amount": "0.5", "method": "cash", "reference": "Ä-1"}),
            ("RefundPayment", {"payment_id": "p2", "reason": "returned"}),
        ],
        ("536370", "12583"): [("DisputeInvoice", {"reason": "wrong price"})],
        ("S1", "shop"): [("RejectInvoice", {"reason": "not ours"})],
        ("S2", "shop"): [("CancelInvoice", {"reason": "written twice"})],
    }
    lines = [{"product": "exact", "quantity": "3", "unit_price": "0.3333"}]
    for number in ("S1", "S2", "S3"):
        about = {"direction": "in", "issue_date": "2011-02-28T23:59:59.999999+01:00", "currency": "EUR"}
        tenant.do("finance.ReceiveInvoice", number=number, party="shop", country="Österreich", lines=lines, **about)
    for (number, party), steps in ways.items():
        for name, body in steps:
            tenant.do(f"finance.{name}", number=number, party=party, **body)
    for n in range(6):
        at = f"2026-01-31T10:0{n}:00Z"
        tenant.report(
            fact("db-1", "device.metrics.reported", at, metrics={"heat": 85.0 + 5 * n, "free": 1e15 + n}, unit=""),
            fact("db-1", "log.recorded", at, severity="error", summary=f"ERROR no {n}", details="x\ny"),
            fact("spare", "device.heartbeat", at, agent_version=f"1.{n}"),
        )


def fact(device_id: str, type_: str, happened_at: str, **data: Any) -> dict[str, Any]:
    return {"type": type_, "device_id": device_id, "happened_at": happened_at, "data": data}


def settled(operator: httpx.Client) -> None:
    """Wait until every view has read all there is, and the watches have said all they have to say."""
    seen = ""
    while True:
        time.sleep(1)
        rows = operator.get("/v1/ops/lag").json()["rows"]
        now = json.dumps(rows)
        if now == seen and {(row["state"], row["lag_events"]) for row in rows} == {("live", 0)}:
            return
        seen = now


# --- what is asked of it ---------------------------------------------------------------------------------------------

DEVICE_IDS = ("web-1", "db-1", "log-1", "old-1", "x.y:z@~1", "nobody")
LISTS = {
    "/v1/devices": (("hostname", "-status", "last_seen_at"), {"status": "ONLINE", "os_type": "bsd"}),
    "/v1/alerts": ((), {"severity": "warning", "status": "OPEN"}),
    "/v1/watches": ((), {"kind": "threshold"}),
    "/v1/invoices": (("issue_date", "-number"), {"direction": "in", "country": "France"}),
}
DAY = {"start": "2026-01-31T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
OLD_DAY = {"start": "2014-02-14T00:00:00Z", "end": "2014-02-15T00:00:00Z"}
NOT_ASKED = {"/v1/live", "/v1/ops/alive", "/v1/ops/health", "/v1/ops/lag", "/v1/tenants", "/metrics"}
"""A stream of what is recorded, which the log itself stands for; and what tells of the process."""

STREAMS = ("device-web-1", "device-old-1", "alert-a1", "watch-jump", "api_key-old", "tenant-acme", "device-nobody")


def questions(invoices: Sequence[str]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield each path of the API as it stands in its description, as it is asked, and the query."""
    for path, (sorts, filters) in LISTS.items():
        yield path, path, {"limit": 3}
        for query in ({}, *({"sort": sort} for sort in sorts), *({key: value} for key, value in filters.items())):
            yield path, path, {"limit": 100, **query}
        yield f"{path}/filters", f"{path}/filters", {}
    for what, ids in (
        ("devices", DEVICE_IDS),
        ("alerts", ("a0", "a1", "a2", "nobody")),
        ("watches", ("hot", "jump", "ssh", "odd")),
        ("invoices", (*invoices, "nobody")),
    ):
        for id_ in ids:
            yield f"/v1/{what}/{{id}}", f"/v1/{what}/{id_}", {}
    for device in DEVICE_IDS:
        for last in ("metrics", "logs", "history"):
            yield f"/v1/devices/{{id}}/{last}", f"/v1/devices/{device}/{last}", {}
    for (device, metric, day), aggregate in product(
        (("web-1", "cpu", OLD_DAY), ("db-1", "heat", DAY), ("db-1", "free", DAY)), ("avg", "last", "count")
    ):
        query = {"metric": metric, "aggregate": aggregate, **day}
        yield "/v1/devices/{id}/metrics", f"/v1/devices/{device}/metrics", {"step": "1h", **query}
        yield "/v1/analytics/timeseries", "/v1/analytics/timeseries", {"device_id": device, **query}
    yield "/v1/devices/{id}/metrics", "/v1/devices/web-1/metrics", {"metric": "cpu", **OLD_DAY}
    for query in ({}, {"limit": 7, "severity": "error"}, {"contains": "ROOT"}, {"device_id": "log-1", "limit": 5}):
        yield "/v1/logs", "/v1/logs", query
    for by in ("day", "month", "country", "product"):
        yield "/v1/analytics/revenue", "/v1/analytics/revenue", {"by": by}
    yield "/v1/analytics/events", "/v1/analytics/events", {}
    for query in ({"limit": 100}, {"types": "device.tagged", "limit": 2}):
        yield "/v1/audit/events", "/v1/audit/events", query
    for stream, as_of in product((*STREAMS, f"invoice-{invoices[0]}"), (None, "1", "2")):
        query = {} if as_of is None else {"as_of": as_of}
        yield "/v1/audit/streams/{stream}", f"/v1/audit/streams/{stream}", query
    yield "/v1/ops/dead-letters", "/v1/ops/dead-letters", {}


def asked(operator: httpx.Client, *tenants: str) -> list[dict[str, Any]]:
    """Ask everything of each tenant, and of the operator what is the operator's."""
    found = []

    def ask(who: str, described: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        answer = operator.get(path, params=query, headers=headers)
        question = {"who": who, "described": described, "path": path, "query": query}
        # text: a list of parked records is JSON lines
        found.append({**question, "status": answer.status_code, "answer": answer.text})

    for tenant in tenants:
        headers = {"X-API-Key": key_of(tenant, "all")}
        rows = operator.get("/v1/invoices", headers=headers).json()["rows"]
        for described, path, query in questions([row["id"] for row in rows]):
            ask(tenant, described, path, query, headers)
    for path in ("/v1/ops/projections", "/v1/operator/dead-letters"):
        ask("operator", path, path, {}, operator.headers)
    described = {path for path, ways in operator.get("/openapi.json").json()["paths"].items() if "get" in ways}
    assert described == {one["described"] for one in found} | NOT_ASKED, described ^ {one["described"] for one in found}
    return found


def main() -> None:
    flawed_watches()
    with TemporaryDirectory() as work:
        folder = Path(work, "data")
        with serving(folder) as operator:
            for name in ("acme", "bolt"):
                tell(Tenant(operator, name))
            Tenant(operator, "gone").do("identity.CloseTenant", tenant_id="gone", reason="moved away")
            Tenant(operator, "held").do("identity.SuspendTenant", tenant_id="held", reason="did not pay")
            settled(operator)
            operator.post("/v1/operator/projections/devices/rebuild", timeout=None).raise_for_status()
            settled(operator)
        with serving(folder) as operator:
            settled(operator)
            answers = asked(operator, "acme", "bolt")
        replay = [
            CliRunner().invoke(cli, ["replay", "--tenant", name, "--data-dir", str(folder)]).stdout_bytes.decode()
            for name in ("acme", "bolt", "gone", "held")
        ]
        (HERE / "answers.jsonl").write_text("".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in answers))
        (HERE / "replay.jsonl").write_text("".join(replay))
        with tarfile.open(HERE / "data.tar.xz", "w:xz") as archive:
            archive.add(folder, "data")


if __name__ == "__main__":
    main()
