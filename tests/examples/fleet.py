"""One valid example of every command, event and fact of the fleet context."""

from collections.abc import Mapping
from typing import Any

from domain.fleet import alert, device, fact_records, facts, maintenance, rules, watch
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

DESCRIPTION: Mapping[str, Any] = {
    "os_type": "linux",
    "os_version": "12",
    "device_type": "server",
    "serial": "SN-1",
    "manufacturer": "Dell",
    "model": "R640",
    "ip": "192.0.2.7",
    "mac": "02:00:5e:10:00:07",
    "agent_version": "1.4.2",
    "organization_id": "org-1",
}
REGISTER_DEVICE = device.RegisterDevice(device_id="42", hostname="web-1", **DESCRIPTION)
UPDATE_DEVICE = device.UpdateDevice(device_id="42", os_version="13", hostname="web-1")
TAG_DEVICE = device.TagDevice(device_id="42", key="site", value="Berlin")
CHANGE_STATUS = device.ChangeDeviceStatus(device_id="42", status=device.DeviceStatus.ONLINE, reason="first heartbeat")
RETIRE_DEVICE = device.RetireDevice(device_id="42", reason="replaced")
PROGRAM = "5f" * 32
OFFER_AGENT = device.OfferAgent(device_id="42", release_id="agent-1.5", version="1.5.0", digest=PROGRAM)
WITHDRAW_AGENT = device.WithdrawAgent(device_id="42", release_id="agent-1.5")
RAISE_ALERT = alert.RaiseAlert(
    alert_id="a1", severity="warning", rule="cpu high", device_id="42", value=97.5, threshold=90.0, window=300
)
ACKNOWLEDGE_ALERT = alert.AcknowledgeAlert(alert_id="a1", note="looking")
RESOLVE_ALERT = alert.ResolveAlert(alert_id="a1", note="restarted")
DEFINE_WATCH = watch.DefineWatch(
    watch_id="w1",
    name="cpu high",
    severity="warning",
    rule=rules.Threshold(metric="cpu.load", above=90.0, clear=80.0, for_s=300),
    device_id="42",
    quiet_s=600,
    again_s=900,
)
REMOVE_WATCH = watch.RemoveWatch(watch_id="w1", reason="too loud")

PLAN_MAINTENANCE = maintenance.PlanMaintenance(
    maintenance_id="m1", begins_at=HAPPENED_AT, ends_at=RECORDED_AT, tag_key="site", tag_value="Berlin", reason="update"
)
CANCEL_MAINTENANCE = maintenance.CancelMaintenance(maintenance_id="m1", reason="done already")

REGISTERED = device.DeviceRegistered(hostname="web-1", **DESCRIPTION)
UPDATED = device.DeviceUpdated(**{**dict.fromkeys(DESCRIPTION), "hostname": None, "os_version": "13"})
TAGGED = device.DeviceTagged(key="site", value="Berlin")
STATUS_CHANGED = device.DeviceStatusChanged(from_status="PENDING", to_status="ONLINE", reason="first heartbeat")
RETIRED = device.DeviceRetired(reason="replaced")
AGENT_OFFERED = device.AgentOffered(release_id="agent-1.5", version="1.5.0", digest=PROGRAM)
AGENT_WITHDRAWN = device.AgentWithdrawn(release_id="agent-1.5")
ALERT_RAISED = alert.AlertRaised(
    severity="warning", rule="cpu high", device_id="42", value=97.5, threshold=90.0, window=300
)
ALERT_ACKNOWLEDGED = alert.AlertAcknowledged(note="looking")
ALERT_RESOLVED = alert.AlertResolved(note="restarted")
WATCH_DEFINED = watch.WatchDefined(
    name="cpu high",
    severity="warning",
    device_id="42",
    quiet_s=600,
    kind="threshold",
    metric="cpu.load",
    above=90.0,
    below=None,
    clear=80.0,
    for_s=300,
    by=None,
    within_s=None,
    contains=None,
    key_after=None,
    count=None,
    quantile=None,
    gap_s=None,
    late_s=None,
    after_s=None,
    levels={},
    again_s=900,
    flap_count=5,
    flap_s=3_600,
    look_back_s=0,
)
WATCH_REMOVED = watch.WatchRemoved(reason="too loud")
MAINTENANCE_PLANNED = maintenance.MaintenancePlanned(
    begins_at=HAPPENED_AT, ends_at=RECORDED_AT, device_id=None, tag_key="site", tag_value="Berlin", reason="update"
)
MAINTENANCE_CANCELLED = maintenance.MaintenanceCancelled(reason="done already")

HEARTBEAT = facts.DeviceHeartbeat(agent_version="1.4.2")
METRICS = facts.DeviceMetricsReported(metrics={"cpu.load": 0.75, "cpu.steal": -0.0}, unit="ratio")
LOG = facts.LogRecorded(
    severity="error",
    summary="Failed password for root",
    tool_type="sshd",
    source_event_type="auth",
    event_type="login.failed",
    device_id="43",
    user_id="root",
    hostname="LabSZ",
    details="from 173.234.31.186 port 38926 ssh2",
    ingest_day="2026-01-31",
)

HEARTBEAT_RECORD = fact_records.HeartbeatRecord(
    heartbeats=(
        fact_records.Heartbeat(after_us=0, agent_version="1.4.2"),
        fact_records.Heartbeat(after_us=30_000_000, agent_version=None),
    )
)
METRICS_RECORD = fact_records.MetricsRecord(
    series=(
        fact_records.MetricSeries(metric="cpu.load", unit="ratio", after_us=(0, 2_000_000), values=(0.75, -0.0)),
        fact_records.MetricSeries(metric="cpu.steal", unit="ratio", after_us=(1,), values=(0.5,)),
    )
)
_BARE_LINE: Mapping[str, Any] = {
    **dict.fromkeys(("tool_type", "source_event_type", "event_type", "device_id", "user_id", "hostname", "ingest_day")),
    "details": "",
}
LOG_RECORD = fact_records.LogRecord(
    lines=(
        fact_records.LogLine(
            after_us=0,
            id="6f1d3c5e-0000-5000-8000-000000000001",
            severity="error",
            summary="Failed password for root",
            tool_type="sshd",
            source_event_type="auth",
            event_type="login.failed",
            device_id="43",
            user_id="root",
            hostname="LabSZ",
            details="from 173.234.31.186 port 38926 ssh2",
            ingest_day="2026-01-31",
        ),
        fact_records.LogLine(after_us=5, id=None, severity="info", summary="tick", **_BARE_LINE),
        fact_records.LogLine(after_us=5, id=None, severity="info", summary="tick", **_BARE_LINE),
    )
)
