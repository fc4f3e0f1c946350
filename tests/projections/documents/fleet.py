"""What each event of the fleet context sets in its documents."""

from projections.fleet import alerts, devices, watches
from tests.examples.fleet import (
    ALERT_ACKNOWLEDGED,
    ALERT_RAISED,
    ALERT_RESOLVED,
    DESCRIPTION,
    REGISTERED,
    RETIRED,
    STATUS_CHANGED,
    TAGGED,
    UPDATED,
    WATCH_DEFINED,
    WATCH_REMOVED,
)
from tests.projections.documents import HAPPENED, Case

CASES: list[Case] = [
    (
        devices.PROJECTION,
        "42",
        REGISTERED,
        {"hostname": "web-1", **DESCRIPTION, "status": "PENDING", "registered_at": HAPPENED},
    ),
    (devices.PROJECTION, "42", UPDATED, {"os_version": "13"}),
    (devices.PROJECTION, "42", TAGGED, {"tag:site": "Berlin"}),
    (devices.PROJECTION, "42", STATUS_CHANGED, {"status": "ONLINE", "status_reason": "first heartbeat"}),
    (devices.PROJECTION, "42", RETIRED, {"status": "DECOMMISSIONED", "status_reason": "replaced"}),
    (
        alerts.PROJECTION,
        "a1",
        ALERT_RAISED,
        {
            "status": "OPEN",
            "severity": "warning",
            "rule": "cpu high",
            "device_id": "42",
            "value": 97.5,
            "threshold": 90.0,
            "window": 300,
            "raised_at": HAPPENED,
        },
    ),
    (
        alerts.PROJECTION,
        "a1",
        ALERT_ACKNOWLEDGED,
        {
            "status": "ACKNOWLEDGED",
            "acknowledged_at": HAPPENED,
            "acknowledged_by": "ann",
            "acknowledged_note": "looking",
        },
    ),
    (
        alerts.PROJECTION,
        "a1",
        ALERT_RESOLVED,
        {"status": "RESOLVED", "resolved_at": HAPPENED, "resolved_by": "ann", "resolved_note": "restarted"},
    ),
    (
        watches.PROJECTION,
        "w1",
        WATCH_DEFINED,
        {
            "status": "ACTIVE",
            "name": "cpu high",
            "severity": "warning",
            "device_id": "42",
            "quiet_s": 600,
            "kind": "threshold",
            "rule": {"metric": "cpu.load", "above": 90.0, "clear": 80.0, "for_s": 300},
            "defined_at": HAPPENED,
        },
    ),
    (
        watches.PROJECTION,
        "w1",
        WATCH_REMOVED,
        {"status": "REMOVED", "removed_at": HAPPENED, "removed_reason": "too loud"},
    ),
]
