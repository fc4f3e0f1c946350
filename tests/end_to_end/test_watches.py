"""Watches on the server as users run it: alerts that are raised and resolved by what devices report."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import Server
from tests.infra.server_process import ServerProcess, factline
from tests.streams.intake.files.samples import REAL_DATA, real_data
from tests.waiting import eventually

BEGAN = datetime(2026, 1, 31, tzinfo=UTC)

BRUTE_FORCE = {"kind": "failures", "contains": "Failed password", "key_after": " from ", "count": 5, "within_s": 60}

ATTACKING = {
    f"ssh: {host}"
    for host in (
        "103.99.0.122",
        "106.5.5.195",
        "112.95.230.3",
        "119.4.203.64",
        "123.235.32.19",
        "183.62.140.253",
        "185.190.58.151",
        "187.141.143.180",
        "5.188.10.180",
        "5.36.59.76",
        "60.2.12.12",
    )
}
"""As tests/domain/test_observe.py counts them, apart from the rule."""


def cpu(second: int, value: float, device: str = "web-7") -> dict[str, Any]:
    return {
        "type": "device.metrics.reported",
        "device_id": device,
        "happened_at": (BEGAN + timedelta(seconds=second)).isoformat(),
        "data": {"metrics": {"cpu": value}},
    }


def test_reading_over_a_threshold_is_an_alert_until_it_is_under_it(server: Server) -> None:
    rule = {"kind": "threshold", "metric": "cpu", "above": 90, "clear": 80, "for_s": 60}
    watch = {"watch_id": "cpu", "name": "CPU high", "severity": "critical", "rule": rule, "quiet_s": 120}
    server.post("/v1/commands/fleet/DefineWatch", watch)
    (defined,) = eventually(lambda: server.get("/v1/watches", kind="threshold")["rows"])
    assert (defined["name"], defined["status"], defined["rule"]["above"]) == ("CPU high", "ACTIVE", 90)
    server.post("/v1/telemetry", [cpu(0, 95), cpu(30, 92), cpu(60, 97)])
    (alert,) = eventually(lambda: server.get("/v1/alerts", device_id="web-7")["rows"])
    assert (alert["rule"], alert["severity"], alert["status"]) == ("CPU high", "critical", "OPEN")
    assert (alert["value"], alert["raised_at"]) == (97, "2026-01-31T00:01:00.000000Z")
    server.post("/v1/telemetry", [cpu(90, 85), cpu(180, 20), cpu(210, 20)])
    (alert,) = eventually(lambda: server.get("/v1/alerts", device_id="web-7", status="RESOLVED")["rows"])
    assert server.get("/v1/ops/health")["parts"]["correlation"] == "ok"
    assert (alert["resolved_by"], alert["resolved_at"]) == ("watch-cpu", "2026-01-31T00:03:30.000000Z")


@pytest.mark.full
@real_data
def test_hosts_that_attack_in_an_imported_log_are_found_once_also_over_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks = REAL_DATA / "loghub" / "OpenSSH_2k.log"
    with ServerProcess(tmp_path / "data") as server:
        with server.client() as client:
            body = {"watch_id": "ssh", "name": "ssh", "severity": "critical", "rule": BRUTE_FORCE}
            assert client.post("/v1/commands/fleet/DefineWatch", json=body).status_code == 200
        monkeypatch.setenv("FACTLINE_URL", server.address)
        monkeypatch.setenv("FACTLINE_API_KEY", server.api_key)
        imported = factline("import", "logs", str(attacks), "--tenant", "demo", "--device", "labsz")
        assert imported.returncode == 0, imported.stderr
        server.kill()
        server.start()
        with server.client() as client:
            eventually(lambda: {alert["rule"] for alert in alerts(client)} >= ATTACKING)
            found = alerts(client)
    assert {alert["rule"] for alert in found} == ATTACKING
    # one alert for each attack: those of one host do not overlap
    for host in ATTACKING:
        spans = sorted((alert["raised_at"], alert.get("resolved_at", "")) for alert in found if alert["rule"] == host)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


def alerts(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get("/v1/alerts", params={"device_id": "labsz", "limit": 100})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows
