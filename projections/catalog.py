"""The catalog lists all projections."""

from collections.abc import Sequence

from domain.catalog import EVENTS
from projections.automation import (
    approvals,
    execution_logs,
    executions,
    model_usage,
    provider_keys,
    tasks,
    workflow_facts,
    workflows,
)
from projections.content import content, content_facts, distributions
from projections.execution import command_executions, schedules, scripts
from projections.finance import approval_limits, budgets, invoice_balances, invoice_facts, invoices
from projections.fleet import alerts, device_logs, device_metrics, devices, log_counts, maintenance, metrics_5m, watches
from projections.history import audit_trail, events, processes, stream_history
from projections.identity import (
    api_keys,
    api_usage,
    issuers,
    organization_devices,
    organizations,
    sessions,
    tenants,
    users,
)
from projections.projection import Projection
from projections.rows import Role
from projections.sales import customers, lead_funnel, leads, quotes, representatives

PROJECTIONS: tuple[Projection, ...] = (
    device_metrics.PROJECTION,
    device_logs.PROJECTION,
    audit_trail.PROJECTION,
    stream_history.PROJECTION,
    execution_logs.PROJECTION,
    events.PROJECTION,
    metrics_5m.PROJECTION,
    log_counts.PROJECTION,
    invoice_facts.PROJECTION,
    invoice_balances.PROJECTION,
    content_facts.PROJECTION,
    api_usage.PROJECTION,
    lead_funnel.PROJECTION,
    workflow_facts.PROJECTION,
    model_usage.PROJECTION,
    devices.PROJECTION,
    alerts.PROJECTION,
    watches.PROJECTION,
    maintenance.PROJECTION,
    invoices.PROJECTION,
    approval_limits.PROJECTION,
    budgets.PROJECTION,
    leads.PROJECTION,
    content.PROJECTION,
    distributions.PROJECTION,
    scripts.PROJECTION,
    schedules.PROJECTION,
    command_executions.PROJECTION,
    customers.PROJECTION,
    quotes.PROJECTION,
    representatives.PROJECTION,
    tenants.PROJECTION,
    api_keys.PROJECTION,
    users.PROJECTION,
    sessions.PROJECTION,
    issuers.PROJECTION,
    organizations.PROJECTION,
    organization_devices.PROJECTION,
    tasks.PROJECTION,
    workflows.PROJECTION,
    executions.PROJECTION,
    approvals.PROJECTION,
    provider_keys.PROJECTION,
    processes.PROJECTION,
)


TYPES: tuple[str, ...] = tuple(EVENTS)
"""The types of all events and facts."""


def of_role(role: Role) -> Sequence[Projection]:
    return tuple(projection for projection in PROJECTIONS if projection.role is role)
