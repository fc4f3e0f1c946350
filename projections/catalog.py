"""All projections in one tuple."""

from collections.abc import Sequence

from projections import (
    alerts,
    api_keys,
    audit_trail,
    device_logs,
    device_metrics,
    devices,
    events,
    invoice_facts,
    invoices,
    metrics_5m,
    stream_history,
    tenants,
    watches,
)
from projections.ports import Role
from projections.projection import Projection

PROJECTIONS: tuple[Projection, ...] = (
    device_metrics.PROJECTION,
    device_logs.PROJECTION,
    audit_trail.PROJECTION,
    stream_history.PROJECTION,
    events.PROJECTION,
    metrics_5m.PROJECTION,
    invoice_facts.PROJECTION,
    devices.PROJECTION,
    alerts.PROJECTION,
    watches.PROJECTION,
    invoices.PROJECTION,
    tenants.PROJECTION,
    api_keys.PROJECTION,
)


def of_role(role: Role) -> Sequence[Projection]:
    return tuple(projection for projection in PROJECTIONS if projection.role is role)
