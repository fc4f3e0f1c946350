"""Two tenants' lives are told to a server of either profile in one order, so that answers can be compared."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
from click.testing import CliRunner

from infra.cli.main import cli
from schemas.envelope import TenantId
from schemas.key_ids import key_tag
from tests.streams.intake.files.samples import REAL_DATA
from tests.waiting import eventually

TENANTS = ("acme", "bolt")
"""Their data differs, and the names of their things are the same."""

DEVICES = ("web-1", "db-1", "log-1", "old-1", "x.y:z@~1", "spare")
WHEN = "2011-03-01T09:{:02d}:00Z"

# a series with gaps, one with two readings at a time, log lines of a machine
IMPORTS: Mapping[str, Sequence[Sequence[str]]] = {
    "acme": (
        ("invoices", "online-retail/2010-12-01.csv"),
        ("metrics", "nab/ec2_cpu_utilization_24ae8d.csv", "--device", "web-1", "--metric", "cpu", "--unit", "percent"),
        ("metrics", "nab/ec2_request_latency_system_failure.csv", "--device", "web-1", "--metric", "latency"),
        ("logs", "loghub/Linux_2k.log", "--device", "log-1", "--year", "2005"),
    ),
    "bolt": (
        ("invoices", "online-retail/2010-12-02.csv"),
        ("metrics", "nab/ec2_disk_write_bytes_1ef3de.csv", "--device", "db-1", "--metric", "writes", "--unit", "bytes"),
        ("metrics", "nab/ec2_cpu_utilization_77c1ca.csv", "--device", "web-1", "--metric", "cpu", "--unit", "percent"),
        ("logs", "loghub/OpenSSH_2k.log", "--device", "log-1", "--year", "2015"),
    ),
}


class Profile:
    """A running server, and what its two tenants have told it so far."""

    def __init__(self, name: str, url: str, operator_key: str) -> None:
        self.name = name
        self.tenants: dict[str, Tenant] = {}
        self.operator = httpx.Client(base_url=url, headers={"X-API-Key": operator_key}, timeout=60, trust_env=False)

    @property
    def url(self) -> str:
        return str(self.operator.base_url).rstrip("/")

    def onboard(self) -> None:
        for tenant_id in TENANTS:
            answer = self.operator.post("/v1/tenants", json={"tenant_id": tenant_id, "name": tenant_id.title()})
            assert answer.status_code == 201, answer.text
            self.tenants[tenant_id] = Tenant(self.url, tenant_id, answer.json()["api_key"])

    def close(self) -> None:
        self.operator.close()
        for tenant in self.tenants.values():
            tenant.close()


class Tenant:
    """One tenant at one server; its keys are the same at the other."""

    def __init__(self, url: str, tenant_id: str, first_key: str) -> None:
        self.id = TenantId(tenant_id)
        # the last one of each partition that something of this tenant is in
        self.position: dict[str, str] = {}
        self._first_key = first_key
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._client.headers["X-API-Key"] = first_key
        self._commands = 0
        eventually(lambda: self._client.get("/v1/devices").status_code == 200)
        for name, scopes in (("all", ["*"]), ("narrow", ["devices:read"])):
            digest = hashlib.sha256(self._secret.encode()).hexdigest()
            issued = {"key_id": key_tag(self.id) + name, "secret_sha256": digest, "scopes": scopes}
            self.command("identity.IssueApiKey", **issued, limits=dict.fromkeys(("minute", "hour", "day"), 100_000))
        self._client.headers["X-API-Key"] = self.key("all")
        eventually(lambda: self._client.get("/v1/devices").status_code == 200)

    @property
    def _secret(self) -> str:
        return f"of-{self.id}"

    def key(self, name: str) -> str:
        return f"ak_{key_tag(self.id)}{name}.sk_{self._secret}"

    def command(self, command: str, /, **body: Any) -> dict[str, Any]:
        """Execute one command, under an id and a time of its own which are the same in both profiles."""
        self._commands += 1
        [reply] = self.post(
            "/v1/commands",
            [
                {
                    "command": command,
                    "body": body,
                    "id": f"{command}-{self._commands}",
                    "happened_at": WHEN.format(self._commands % 60),
                }
            ],
        )["replies"]
        self._reached(reply["position"] and reply["position"]["token"])
        return dict(reply)

    def report(self, *facts: Mapping[str, Any]) -> None:
        answer = self.post("/v1/telemetry", facts)
        assert answer["refused"] == []
        self._reached(answer["position"])

    def import_(self, what: str, file: str, *options: str) -> None:
        environment = {"FACTLINE_URL": str(self._client.base_url), "FACTLINE_API_KEY": self.key("all")}
        arguments = ["import", what, str(REAL_DATA / file), "--tenant", self.id, *options]
        done = CliRunner().invoke(cli, arguments, env=environment)
        assert done.exit_code == 0, done.output

    def post(self, path: str, body: Any) -> Any:
        answer = self._client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, query: Mapping[str, Any], *, key: str | None = "all") -> httpx.Response:
        """Ask, for what includes all that this tenant has told; be patient while a view is behind."""
        headers = {"X-API-Key": self.key(key) if key else "", "X-Consistent-With": ",".join(self.position.values())}
        deadline = time.monotonic() + 120
        while True:
            answer = self._client.get(path, params=query, headers=headers)
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer

    def live(self, **query: str) -> Iterator[str]:
        """Yield the lines of a live stream from the beginning of the log."""
        places = (f"{place}/0" for place in self.position)
        with self._client.stream("GET", "/v1/live", params={"after": ",".join(places), **query}) as stream:
            yield from stream.iter_lines()

    def names(self) -> Mapping[str, str]:
        """Return what is made anew for each server, and what to call it."""
        first, _, secret = self._first_key.removeprefix("ak_").partition(".sk_")
        return {first: "FIRST-KEY", hashlib.sha256(secret.encode()).hexdigest(): "FIRST-SECRET"}

    def _reached(self, token: str | None) -> None:
        for position in token.split(",") if token else ():
            self.position[position.rpartition("/")[0]] = position

    def close(self) -> None:
        self._client.close()


def first_part(tenant: Tenant) -> None:
    """Devices, alerts and watches in all states, and the real data."""
    for n, device in enumerate(DEVICES):
        described = {"os_type": ("linux", "bsd")[n % 2], "device_type": ("server", "sensor", "vm")[n % 3]}
        tenant.command("fleet.RegisterDevice", device_id=device, hostname=f"{device} ä.example", **described)
    tenant.command("fleet.UpdateDevice", device_id="web-1", os_version="13", ip="192.0.2.7")
    tenant.command("fleet.TagDevice", device_id="web-1", key="site", value=f"Berlin {tenant.id}")
    tenant.command("fleet.TagDevice", device_id="web-1", key="a/b", value="$1 & ünïcode")
    tenant.command("fleet.ChangeDeviceStatus", device_id="web-1", status="ONLINE", reason="first heartbeat")
    tenant.command("fleet.ChangeDeviceStatus", device_id="db-1", status="ONLINE")
    tenant.command("fleet.RetireDevice", device_id="old-1", reason="replaced")
    tenant.command("fleet.RetireDevice", device_id="old-1", reason="again")
    for n, severity in enumerate(("info", "warning", "critical", "warning")):
        tenant.command(
            "fleet.RaiseAlert",
            alert_id=f"a{n}",
            severity=severity,
            rule="cpu high",
            device_id="web-1",
            value=97.5,
            threshold=90.1,
            window=300,
        )
    tenant.command("fleet.AcknowledgeAlert", alert_id="a1", note="looking")
    tenant.command("fleet.ResolveAlert", alert_id="a2", note="restarted")
    for kind in (
        {"kind": "threshold", "metric": "nobody.reports", "above": 90.0},
        {"kind": "rate_of_change", "metric": "nobody.reports", "by": -1.5, "within_s": 60},
    ):
        tenant.command(
            "fleet.DefineWatch", watch_id=kind["kind"], name=f"{kind['kind']} of nothing", severity="warning", rule=kind
        )
    tenant.command("fleet.RemoveWatch", watch_id="rate_of_change", reason="too loud")
    _sell(tenant)
    for what in IMPORTS[tenant.id]:
        tenant.import_(*what)


def _sell(tenant: Tenant) -> None:
    """Leads and quotes as far as no moment of the server's own is in them."""
    for name, countries in (("bob", ["DE"]), ("eve", ["FR"])):
        tenant.command(
            "sales.RegisterRepresentative", representative_id=name, expertise=["retail"], countries=countries
        )
    for n, (source, ending) in enumerate((("referral", "fr"), ("paid", "example"), ("referral", "de"))):
        about = {
            "company": f"Firm {n} ä",
            "email": f"ann@firm.{ending}",
            "industry": "finance",
            "company_size": 10 ** (n + 1),
        }
        tenant.command("sales.CaptureLead", lead_id=f"l{n}", source=source, **about)
    line = {"product": "seat", "quantity": "10.5", "unit_price": "99.9001"}
    offer = {"quote_id": "q1", "lines": [line], "currency": "EUR", "valid_until": "2999-01-01T00:00:00Z"}
    tenant.command("sales.LogActivity", lead_id="l0", kind="call", note="asked for ten seats")
    tenant.command("sales.QualifyLead", lead_id="l0", offer=offer)
    tenant.command("sales.LoseLead", lead_id="l1", reason="no budget")
    tenant.command("sales.QualifyLead", lead_id="l2", note="has a budget")
    tenant.command("sales.ConvertLead", lead_id="l2", customer_id="firm")
    tenant.command("sales.UpdateCustomer", customer_id="firm", industry="retail")
    tenant.command("sales.DraftQuote", **{**offer, "quote_id": "q2"}, customer_id="firm")
    tenant.command("sales.VoidQuote", quote_id="q2", reason="wrong price")
    tenant.command("finance.SetApprovalLimit", currency="EUR", limit="0.5")
    tenant.command("finance.SetBudget", category="hosting", currency="EUR", amount="1")


def second_part(tenant: Tenant, invoices: Sequence[Mapping[str, Any]]) -> None:
    """What follows on what is there: invoices that go on, readings in doubt, a stream that grows step by step."""
    ways: Sequence[Sequence[tuple[str, Mapping[str, Any]]]] = (
        [("CategoriseInvoice", {"category": "sales", "by": "rule 7"}), ("ApproveInvoice", {"note": "checked"})],
        [("ApproveInvoice", {}), ("RecordPayment", {"payment_id": "p1", "amount": "0.0100", "method": "cash"})],
        [
            ("ApproveInvoice", {}),
            ("RecordPayment", {"payment_id": "p1", "amount": "0.5", "method": "cash", "reference": "Ä-1"}),
            ("RefundPayment", {"payment_id": "p1", "reason": "returned"}),
        ],
        [("RejectInvoice", {"reason": "not ours"})],
        [("CancelInvoice", {"reason": "written twice"})],
        [("DisputeInvoice", {"reason": "wrong price"})],
    )
    for invoice, way in zip(invoices, ways, strict=False):
        for name, body in way:
            tenant.command(f"finance.{name}", number=invoice["number"], party=invoice["party"], **body)
    tenant.command(
        "finance.ReceiveInvoice",
        number="IN/1 ä",
        party="a supplier: £",
        direction="in",
        issue_date="2011-02-28T23:59:59.999999+01:00",
        due_date="2999-03-31T00:00:00Z",
        currency="EUR",
        country="Österreich",
        tax="-0.0001",
        lines=[
            {"product": "exact", "quantity": "3", "unit_price": "0.3333"},
            {"product": "back", "description": "a return", "quantity": "-1.5", "unit_price": "2.0001"},
        ],
    )
    ours = {"number": "IN/1 ä", "party": "a supplier: £"}
    content = {"currency": "EUR", "issue_date": "2011-02-28T10:00:00Z"}
    used = [
        {"product": "egress", "description": "GB-hours\nof May", "quantity": "1250.5", "unit_price": "0.0000166667"},
        {"product": "vm", "quantity": "744", "unit_price": "0.0416"},
    ]
    # ours has the number of theirs, and is taken wrongly at first
    wrong = {"direction": "out", "kind": "credit_note", "lines": used * 2}
    tenant.command("finance.ReceiveInvoice", **ours, **content, **wrong)
    tenant.command("finance.CorrectInvoice", **ours, **content, lines=used, reason="taken twice, as a credit note")
    payment = {"payment_id": "p1", "amount": "30.97124170835", "currency": "EUR", "method": "card"}
    tenant.command("finance.RecordPayment", **ours, **payment)
    tenant.command("finance.ApproveInvoice", **ours, direction="in")
    at = "2011-03-02T10:0{}:00Z"
    for n in range(3):
        tenant.report(
            _fact("db-1", "device.metrics.reported", at.format(n), metrics={"load": n / 3, "free": 1e15 + n}, unit=""),
            _fact("db-1", "log.recorded", at.format(n), severity="error", summary=f"ERROR no {n}", details="x\ny"),
            _fact("spare", "device.heartbeat", at.format(n), agent_version=f"1.{n}"),
        )
    # the same readings and lines again, and others in their name
    for n in (1, 2):
        tenant.report(_fact("db-1", "device.metrics.reported", at.format(1), metrics={"load": n, "free": -n}, unit="%"))
        tenant.report(
            {**_fact("web-1", "log.recorded", at.format(3), severity="info", summary=f"under one id, {n}"), "id": "own"}
        )
    # the log of the embedded profile knows a repeat, and does not hear of the device again
    for device in ("db-1", "spare", "web-1", "log-1"):
        tenant.report(_fact(device, "device.heartbeat", at.format(4)))
    tenant.command("fleet.RegisterDevice", device_id="steps", hostname="steps.example")
    for n in range(25):
        tenant.command("fleet.TagDevice", device_id="steps", key="step", value=str(n))


def _fact(device_id: str, type_: str, happened_at: str, **data: Any) -> dict[str, Any]:
    return {"type": type_, "device_id": device_id, "happened_at": happened_at, "data": data}
