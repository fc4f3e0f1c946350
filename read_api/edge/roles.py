"""What each role may do is this table; a scope that stands in no row is for those who manage the tenant."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

OWNER, ADMIN, USER, VIEWER, AUDITOR = ROLES = ("OWNER", "ADMIN", "USER", "VIEWER", "AUDITOR")


class Permission(NamedTuple):
    """A row of the table: who may do what asks for these scopes."""

    scopes: tuple[str, ...]
    roles: frozenset[str]


MANAGE = "manage users, keys, tenant"

PERMISSIONS: Mapping[str, Permission] = {
    "read": Permission(
        (
            "agent_releases:read",
            "alerts:read",
            "analytics:read",
            "budgets:read",
            "content:read",
            "customers:read",
            "devices:read",
            "invoices:read",
            "leads:read",
            "logs:read",
            "organizations:read",
            "policies:read",
            "quotes:read",
            "representatives:read",
            "scripts:read",
            "tools:read",
            "watches:read",
        ),
        frozenset(ROLES),
    ),
    "change": Permission(
        ("content:write", "execution:write", "finance:write", "fleet:write", "sales:write", "telemetry:write"),
        frozenset({OWNER, ADMIN, USER}),
    ),
    "open personal fields": Permission(("personal:read",), frozenset({OWNER, ADMIN, USER})),
    # a live stream begins at any position, so it is a replay
    "audit, replay, history": Permission(
        (
            "agent_executions:read",
            "agents:read",
            "audit:read",
            "clients:read",
            "connectors:read",
            "conversations:read",
            "executions:read",
            "history:read",
            "issuers:read",
            "keys:read",
            "live:read",
            "models:read",
            "ops:read",
            "processes:read",
            "provider_keys:read",
            "received_changes:read",
            "tasks:read",
            "tool_executions:read",
            "usage:read",
            "users:read",
            "vector_collections:read",
            "webhook_endpoints:read",
            "workflows:read",
        ),
        frozenset({OWNER, ADMIN, AUDITOR}),
    ),
    "see workflows of one's own": Permission(
        ("conversations:own", "executions:own", "live:own", "workflows:own"), frozenset(ROLES)
    ),
    "see and end sessions and consents of one's own": Permission(("identity:own", "users:own"), frozenset(ROLES)),
    "make and execute workflows of one's own": Permission(("automation:own",), frozenset({OWNER, ADMIN, USER})),
    MANAGE: Permission(("identity:write", "integration:write"), frozenset({OWNER, ADMIN})),
}
"""Source: the table of roles in the domain model, where other things than workflows get the row of their kind."""

_PERMISSION_OF: Mapping[str, str] = {scope: name for name, row in PERMISSIONS.items() for scope in row.scopes}


def roles_allow(roles: Iterable[str], scope: str) -> bool:
    """Tell if one of the roles may do what asks for a scope, also for one like `*`, which stands for all of them."""
    row = PERMISSIONS[_PERMISSION_OF.get(scope, MANAGE)]
    return not row.roles.isdisjoint(roles)


def scopes_of(role: str) -> tuple[str, ...]:
    """Return what a role may do, as the scopes that a key would need for it."""
    if role in PERMISSIONS[MANAGE].roles:
        return ("*",)
    return tuple(scope for row in PERMISSIONS.values() if role in row.roles for scope in row.scopes)
