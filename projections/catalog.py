"""The catalog lists all projections."""

from collections.abc import Sequence

from domain.catalog import EVENTS
from projections.automation import (
    agent_actions,
    agent_executions,
    agents,
    approvals,
    conversation_messages,
    conversations,
    execution_logs,
    executions,
    model_usage,
    models,
    policies,
    provider_keys,
    tasks,
    tool_executions,
    tools,
    vector_collections,
    vector_documents,
    workflow_facts,
    workflows,
)
from projections.content import content, content_facts, distributions
from projections.execution import command_executions, schedules, scripts
from projections.finance import approval_limits, budgets, invoice_balances, invoice_facts, invoices, transactions
from projections.fleet import (
    agent_releases,
    alerts,
    device_logs,
    device_metrics,
    devices,
    log_counts,
    maintenance,
    metrics_5m,
    watches,
)
from projections.history import audit_trail, events, processes, stream_history
from projections.identity import (
    api_usage,
    clients,
    consents,
    issuers,
    keys,
    organization_devices,
    organizations,
    sessions,
    sign_in_providers,
    signing_keys,
    tenants,
    users,
)
from projections.integration import connectors, received_changes, webhook_endpoints
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
    agent_releases.PROJECTION,
    invoices.PROJECTION,
    approval_limits.PROJECTION,
    budgets.PROJECTION,
    transactions.PROJECTION,
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
    keys.PROJECTION,
    users.PROJECTION,
    sessions.PROJECTION,
    issuers.PROJECTION,
    sign_in_providers.PROJECTION,
    signing_keys.PROJECTION,
    clients.PROJECTION,
    consents.PROJECTION,
    organizations.PROJECTION,
    organization_devices.PROJECTION,
    tasks.PROJECTION,
    workflows.PROJECTION,
    executions.PROJECTION,
    approvals.PROJECTION,
    provider_keys.PROJECTION,
    models.PROJECTION,
    agents.PROJECTION,
    agent_executions.PROJECTION,
    agent_actions.PROJECTION,
    conversations.PROJECTION,
    conversation_messages.PROJECTION,
    tools.PROJECTION,
    tool_executions.PROJECTION,
    policies.PROJECTION,
    vector_collections.PROJECTION,
    vector_documents.PROJECTION,
    webhook_endpoints.PROJECTION,
    connectors.PROJECTION,
    received_changes.PROJECTION,
    processes.PROJECTION,
)


TYPES: tuple[str, ...] = tuple(EVENTS)
"""The types of all events and facts."""


def of_role(role: Role) -> Sequence[Projection]:
    return tuple(projection for projection in PROJECTIONS if projection.role is role)
