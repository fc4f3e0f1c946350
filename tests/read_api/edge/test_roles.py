"""Every cell of the table of roles is asked for on every route of the whole server; a new route needs a row here."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from domain.identity.user import Role
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from read_api.edge.auth import Caller, CredentialKind, Forbidden
from read_api.edge.roles import MANAGE, PERMISSIONS, ROLES, roles_allow, scopes_of
from read_api.edge.scopes import granted, may, require, require_operator, require_to_grant, require_to_grant_roles
from schemas.envelope import SYSTEM_TENANT, TenantId
from streams.intake.http.commands import PUBLIC

ANYBODY, NO_CREDENTIAL, OPERATOR = "anybody", "no credential", "operator"

OWN_SESSION, CLIENT_OF_USER, SENDER = "own session", "client of a user", "secret of a connector"
"""Asked in tests/end_to_end/test_who.py, tests/end_to_end/test_openid.py and
tests/streams/intake/http/test_connectors.py."""

READ, CHANGE, AUDIT = "read", "change", "audit, replay, history"
SEE_OWN, MAKE_OWN = "see workflows of one's own", "make and execute workflows of one's own"
OWN_ACCOUNT = "see and end sessions and consents of one's own"

BY_PATH: Mapping[str, str] = {
    "/": NO_CREDENTIAL,
    "/metrics": NO_CREDENTIAL,
    "/page": NO_CREDENTIAL,
    "/.well-known": NO_CREDENTIAL,
    "/oauth": NO_CREDENTIAL,
    "/oauth/userinfo": CLIENT_OF_USER,
    "/v1/agent_actions": AUDIT,
    "/v1/agent_executions": AUDIT,
    "/v1/agent_releases": READ,
    "/v1/agents": AUDIT,
    "/v1/alerts": READ,
    "/v1/analytics": READ,
    "/v1/approval_limits": READ,
    "/v1/approvals": AUDIT,
    "/v1/audit": AUDIT,
    "/v1/budgets": READ,
    "/v1/clients": AUDIT,
    "/v1/clients/{client_id}/secrets": MANAGE,
    "/v1/command_executions": READ,
    "/v1/commands/{command_id}": ANYBODY,
    "/v1/connectors": AUDIT,
    "/v1/connectors/{connector_id}/events": SENDER,
    "/v1/connectors/{connector_id}/secret": MANAGE,
    "/v1/consents": OWN_ACCOUNT,
    "/v1/content": READ,
    "/v1/conversation_messages": SEE_OWN,
    "/v1/conversations": SEE_OWN,
    "/v1/conversations/{id}/typing": MAKE_OWN,
    "/v1/customers": READ,
    "/v1/devices": READ,
    "/v1/devices/{id}/history": AUDIT,
    "/v1/distributions": READ,
    "/v1/executions": SEE_OWN,
    "/v1/graphql": ANYBODY,
    "/v1/import": CHANGE,
    "/v1/invitations": MANAGE,
    "/v1/invoices": READ,
    "/v1/issuers": AUDIT,
    "/v1/keys": AUDIT,
    "/v1/leads": READ,
    "/v1/live": AUDIT,
    "/v1/logs": READ,
    "/v1/maintenance": READ,
    "/v1/me": ANYBODY,
    "/v1/metrics": READ,
    "/v1/operator": OPERATOR,
    "/v1/models": AUDIT,
    "/v1/ops": AUDIT,
    "/v1/ops/alive": NO_CREDENTIAL,
    "/v1/ops/health": NO_CREDENTIAL,
    "/v1/organization_devices": READ,
    "/v1/organizations": READ,
    "/v1/passwords": NO_CREDENTIAL,
    "/v1/policies": READ,
    "/v1/processes": AUDIT,
    "/v1/provider_keys": AUDIT,
    "/v1/quotes": READ,
    "/v1/representatives": READ,
    "/v1/received_changes": AUDIT,
    "/v1/schedules": READ,
    "/v1/scripts": READ,
    "/v1/secrets": MANAGE,
    "/v1/sessions": OWN_ACCOUNT,
    "/v1/sign-in": NO_CREDENTIAL,
    "/v1/sign-out": OWN_SESSION,
    "/v1/sign_in_providers": AUDIT,
    "/v1/signing_keys": MANAGE,
    "/v1/tasks": AUDIT,
    "/v1/tasks/claim": MANAGE,
    "/v1/tasks/{task_id}/complete": MANAGE,
    "/v1/tasks/{task_id}/fail": MANAGE,
    "/v1/tasks/{task_id}/heartbeat": MANAGE,
    "/v1/tasks/{task_id}/postpone": MANAGE,
    "/v1/tasks/{task_id}/stream": MANAGE,
    "/v1/telemetry": CHANGE,
    "/v1/tenants": OPERATOR,
    "/v1/tool_executions": AUDIT,
    "/v1/tools": READ,
    "/v1/transactions": READ,
    "/v1/usage": AUDIT,
    "/v1/users": AUDIT,
    "/v1/users/{user_id}/password-token": MANAGE,
    "/v1/vector_collections": AUDIT,
    "/v1/vector_documents": AUDIT,
    "/v1/watches": READ,
    "/v1/webhook_endpoints": AUDIT,
    "/v1/webhook_endpoints/{endpoint_id}/secret": MANAGE,
    "/v1/workflows": SEE_OWN,
}
"""What a route takes, by the longest beginning of its path; commands are asked one by one."""

BY_METHOD: Mapping[str, str] = {
    "POST /v1/clients": MANAGE,
    "POST /v1/connectors": MANAGE,
    "POST /v1/keys": MANAGE,
    "POST /v1/sign_in_providers": MANAGE,
    "POST /v1/webhook_endpoints": MANAGE,
    "POST /v1/webhook_endpoints/{endpoint_id}": MANAGE,
}
"""What a route takes that shares its path with one that takes another permission."""

BY_CONTEXT: Mapping[str, str] = {
    "automation": MANAGE,
    "content": CHANGE,
    "execution": CHANGE,
    "finance": CHANGE,
    "fleet": CHANGE,
    "identity": MANAGE,
    "integration": MANAGE,
    "operations": MANAGE,
    "sales": CHANGE,
}

OWN_BY_CONTEXT: Mapping[str, str] = {"automation": MAKE_OWN, "identity": OWN_ACCOUNT}
"""What a command takes that may be about one's own things alone."""

QUERIES: Mapping[str, str] = {"/v1/live": "?after=nonsense"}
"""An allowed answer has no end without these."""

DEMO = TenantId("demo")


def user(tenant_id: TenantId, *roles: str, **more: Any) -> Caller:
    return Caller(tenant_id, "ann", (), kind=CredentialKind.SESSION, roles=roles, **more)


def permission_of(path: str, method: str = "GET") -> str:
    if (of_method := BY_METHOD.get(f"{method} {path}")) is not None:
        return of_method
    found = [known for known in BY_PATH if path == known or (known != "/" and path.startswith(f"{known}/"))]
    assert found, f"{path} is in no row: say above which permission it takes, and which scope in read_api/edge/roles.py"
    return BY_PATH[max(found, key=len)]


class Server:
    """The whole embedded server, asked by whom a test says."""

    def __init__(self, embedded: Embedded) -> None:
        self.app = create_app(embedded, host_metrics=False)
        self.caller = user(DEMO)
        self.client = TestClient(self.app)

        async def identify(_shown: str | None) -> Caller:
            return self.caller

        self.app.state.identify = identify

    def routes(self) -> Iterator[tuple[str, str]]:
        for path, operations in self.app.openapi()["paths"].items():
            for method in operations:
                yield method.upper(), path

    def is_allowed(self, method: str, path: str, body: Any = None) -> bool:
        at = path.replace("{", "").replace("}", "") + QUERIES.get(path, "")
        answer = self.client.request(method, at.replace("/builds/build", "/builds/1"), json=body)
        assert answer.status_code != 401, answer.text
        assert "nothing is at" not in answer.text, path
        return answer.status_code != 403


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Embedded.open(tmp_path_factory.mktemp("roles")) as embedded:
        embedded.first_start()
        server = Server(embedded)
        with server.client:
            yield server


def test_table_has_the_roles_of_users_and_each_scope_once() -> None:
    assert {role.value for role in Role} == set(ROLES)
    scopes = [scope for row in PERMISSIONS.values() for scope in row.scopes]
    assert len(scopes) == len(set(scopes))


def test_description_of_the_server_has_every_route(server: Server) -> None:
    routes = {route.path for route in server.app.routes if isinstance(route, APIRoute) and route.include_in_schema}
    assert routes <= {path for _, path in server.routes()}


@pytest.mark.parametrize("role", ["", *ROLES])
@pytest.mark.parametrize("tenant_id", [DEMO, SYSTEM_TENANT])
def test_every_route_takes_whom_the_table_says(server: Server, tenant_id: TenantId, role: str) -> None:
    server.caller = user(tenant_id, *([role] if role else []))
    wrong = []
    for method, path in server.routes():
        if (path.startswith("/v1/commands") and method == "POST") or (permission := permission_of(path, method)) in (
            OWN_SESSION,
            CLIENT_OF_USER,
            SENDER,
        ):
            continue
        if permission in (ANYBODY, NO_CREDENTIAL):
            expected = True
        elif permission == OPERATOR:
            expected = tenant_id == SYSTEM_TENANT and role in PERMISSIONS[MANAGE].roles
        else:
            expected = role in PERMISSIONS[permission].roles
        if server.is_allowed(method, path) != expected:
            wrong.append((method, path, permission))
    assert not wrong


@pytest.mark.parametrize("role", ["", *ROLES])
def test_every_command_takes_whom_the_table_says(server: Server, role: str) -> None:
    server.caller = user(DEMO, *([role] if role else []))
    for name in PUBLIC:
        context, _, command = name.partition(".")
        expected = role in PERMISSIONS[(OWN_BY_CONTEXT if PUBLIC[name].IS_FOR_OWN else BY_CONTEXT)[context]].roles
        assert server.is_allowed("POST", f"/v1/commands/{context}/{command}", {}) == expected, name
        [reply] = server.client.post("/v1/commands", json=[{"command": name, "body": {}}]).json()["replies"]
        assert (reply["kind"] != "not_allowed") == expected, name


def test_several_roles_may_what_any_of_them_may(server: Server) -> None:
    server.caller = user(DEMO, "AUDITOR", "USER")
    assert server.is_allowed("GET", "/v1/audit/events")
    assert server.is_allowed("POST", "/v1/commands/fleet/RetireDevice", {})
    assert not server.is_allowed("POST", "/v1/keys", {})


def test_scope_in_no_row_is_for_those_who_manage_the_tenant() -> None:
    assert [role for role in ROLES if roles_allow([role], "new_thing:read")] == ["OWNER", "ADMIN"]
    assert [role for role in ROLES if roles_allow([role], "*")] == ["OWNER", "ADMIN"]


def client_of(*roles: str, scopes: tuple[str, ...], tenant_id: TenantId = DEMO) -> Caller:
    """Return a client that acts for a user with these roles, or for itself where there are none."""
    kind = CredentialKind.CLIENT_OF_USER if roles else CredentialKind.CLIENT
    return Caller(tenant_id, "c", scopes, kind=kind, roles=roles, credential_id="c")


def test_client_may_what_both_its_scopes_and_its_users_roles_allow() -> None:
    scopes = ("devices:*", "identity:write", "history:read")
    assert granted(client_of(scopes=scopes)) == scopes
    assert granted(client_of("OWNER", scopes=scopes)) == tuple(sorted(scopes))
    assert granted(client_of("AUDITOR", scopes=scopes)) == ("devices:read", "history:read")
    assert granted(client_of("VIEWER", scopes=("*",))) == tuple(sorted(scopes_of("VIEWER")))
    assert not may(client_of("OWNER", scopes=scopes), "alerts:read")
    assert not may(client_of("VIEWER", scopes=scopes), "identity:write")
    for caller in (client_of(scopes=("a:read",)), client_of("OWNER", scopes=("a:read",))):
        with pytest.raises(Forbidden, match="client c lacks the scope devices:read"):
            require(caller, "devices:read")
        with pytest.raises(Forbidden, match="this client lacks"):
            require_to_grant(caller, ["devices:read"])
    with pytest.raises(Forbidden, match="the role VIEWER may not do this"):
        require(client_of("VIEWER", scopes=("*",)), "identity:write")


def test_client_of_the_operators_tenant_is_the_operator_with_every_scope_only() -> None:
    require_operator(client_of(scopes=("*",), tenant_id=SYSTEM_TENANT), "list tenants")
    require_operator(client_of("ADMIN", scopes=("*",), tenant_id=SYSTEM_TENANT), "list tenants")
    for caller in (
        client_of(scopes=("tenants:*",), tenant_id=SYSTEM_TENANT),
        client_of("ADMIN", scopes=("tenants:*",), tenant_id=SYSTEM_TENANT),
        client_of("USER", scopes=("*",), tenant_id=SYSTEM_TENANT),
        client_of(scopes=("*",)),
    ):
        with pytest.raises(Forbidden, match="only the operator"):
            require_operator(caller, "list tenants")


def test_personal_fields_are_open_for_those_who_work_with_them() -> None:
    assert [role for role in ROLES if may(user(DEMO, role), "personal:read")] == ["OWNER", "ADMIN", "USER"]


def test_roles_of_a_caller_with_a_key_count_for_nothing() -> None:
    assert not may(Caller(DEMO, "k", (), roles=("OWNER",)), "devices:read")
    assert not may(user(DEMO)._replace(scopes=("*",)), "devices:read")


WITHIN_ORGANIZATION = {
    "/v1/devices",
    "/v1/devices/_filters",
    "/v1/devices/filters",
    "/v1/devices/{id}",
    "/v1/devices/{id}/logs",
    "/v1/devices/{id}/metrics",
}
"""The routes whose answers are limited to the caller's organization."""


def test_token_limited_to_an_organization_sees_devices_and_nothing_else(server: Server) -> None:
    server.caller = user(DEMO, "OWNER", organization_id="north")
    for method, path in server.routes():
        if path.startswith("/v1/commands/") and method == "POST":
            continue
        permission = OWN_SESSION if path == "/v1/commands" else permission_of(path, method)
        if permission not in (OWN_SESSION, SENDER):
            may_ask = permission in (ANYBODY, NO_CREDENTIAL) or (method == "GET" and path in WITHIN_ORGANIZATION)
            assert server.is_allowed(method, path) == may_ask, path
    for name in PUBLIC:
        assert not server.is_allowed("POST", f"/v1/commands/{name.replace('.', '/')}", {}), name


def test_token_limited_to_an_organization_may_not_what_is_not_limited() -> None:
    limited = user(DEMO, "OWNER", organization_id="north")
    with pytest.raises(Forbidden, match="limited to an organization"):
        require(limited, "devices:read")
    with pytest.raises(Forbidden, match="only the operator"):
        require_operator(limited._replace(tenant_id=SYSTEM_TENANT), "list tenants")


@pytest.mark.parametrize(
    ("caller", "roles", "is_allowed"),
    [
        (user(DEMO, "ADMIN"), ["OWNER"], True),
        (user(DEMO, "USER"), ["VIEWER"], True),
        (user(DEMO, "USER"), ["AUDITOR"], False),
        (Caller(DEMO, "k", ("*",)), ["OWNER"], True),
        (Caller(DEMO, "k", ("identity:write",)), ["VIEWER"], False),
        (Caller(DEMO, "k", ("identity:write", *scopes_of("VIEWER"))), ["VIEWER"], True),
        (Caller(DEMO, "k", ("identity:write", *scopes_of("VIEWER"))), ["VIEWER", "ADMIN"], False),
    ],
)
def test_nobody_gives_a_role_that_may_more(caller: Caller, roles: list[str], *, is_allowed: bool) -> None:
    if is_allowed:
        require_to_grant_roles(caller, roles)
    else:
        with pytest.raises(Forbidden, match="gives nobody that role"):
            require_to_grant_roles(caller, roles)


@pytest.mark.parametrize(
    ("caller", "said"),
    [
        (
            user(DEMO, "VIEWER", credential_id="s1"),
            {
                "actor": {"type": "user", "id": "ann"},
                "credential": {"type": "session", "id": "s1"},
                "may": sorted(scopes_of("VIEWER")),
            },
        ),
        (
            Caller(DEMO, "k1", ("devices:read",)),
            {
                "actor": {"type": "api_key", "id": "k1"},
                "credential": {"type": "api_key", "id": "k1"},
                "may": ["devices:read"],
            },
        ),
    ],
)
def test_whoever_asks_learns_who_they_are(server: Server, caller: Caller, said: Mapping[str, Any]) -> None:
    server.caller = caller
    found = server.client.get("/v1/me").json()
    assert found == {
        **said,
        "tenant_id": "demo",
        "roles": list(caller.roles),
        "scopes": list(caller.scopes),
        "organization_id": None,
    }
