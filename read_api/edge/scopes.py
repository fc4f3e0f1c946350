"""Scopes of a key or roles of a user say what a caller may do, and some things only the operator may."""

from collections.abc import Iterable

from read_api.edge.auth import Caller, CredentialKind, Forbidden
from read_api.edge.roles import roles_allow, scopes_of
from schemas.envelope import SYSTEM_TENANT


def may(caller: Caller, scope: str) -> bool:
    if caller.organization_id is not None:
        # an answer that is limited to the organization asks for `as_of_tenant`; such a caller may not see the others
        return False
    if caller.has_roles and not roles_allow(caller.roles, scope):
        return False
    return not caller.has_scopes or covers(caller.scopes, scope)


def covers(scopes: Iterable[str], scope: str) -> bool:
    """Tell if scopes hold another one, like `devices:*` holds `devices:read`."""
    resource = scope.partition(":")[0]
    return not {"*", f"{resource}:*", scope}.isdisjoint(scopes)


def granted(caller: Caller) -> tuple[str, ...]:
    """Return what a caller may do, as the scopes that a key would need for it."""
    if caller.organization_id is not None:
        return ()
    if not caller.has_roles:
        return tuple(caller.scopes)
    of_roles = {scope for role in caller.roles for scope in scopes_of(role)}
    return tuple(sorted(scope for scope in of_roles.union(caller.scopes) if may(caller, scope)))


def as_of_tenant(caller: Caller) -> Caller:
    """Return a caller without the limit to an organization: whoever asks what they may do so limits the answer."""
    return caller._replace(organization_id=None)


def require(caller: Caller, scope: str) -> None:
    """Do nothing where the caller has the scope, like `devices:read`. Raises: Forbidden."""
    if may(caller, scope):
        return
    if caller.organization_id is not None:
        raise Forbidden("a token that is limited to an organization may not do this; ask for one without the claim")
    if caller.has_roles and not roles_allow(caller.roles, scope):
        raise Forbidden(f"{_roles(caller)} may not do this; it takes what a key does with the scope {scope}")
    # the two texts that callers know
    who = f"api key {caller.id}" if scope.endswith(":read") else "this api key"
    if caller.kind is not CredentialKind.API_KEY:
        who = f"client {caller.credential_id}"
    raise Forbidden(f"{who} lacks the scope {scope}")


def _who(caller: Caller) -> str:
    if caller.has_scopes:
        return "this api key" if caller.kind is CredentialKind.API_KEY else "this client"
    return _roles(caller)


def _roles(caller: Caller) -> str:
    return f"the role {' or '.join(caller.roles)}" if caller.roles else "a user without a role"


def require_history(caller: Caller) -> None:
    """Do nothing where the caller may see what was. Raises: Forbidden.

    Shape: a key sees the history of a thing with the scope of the thing, as it always did.
    """
    if caller.has_roles:
        require(caller, "history:read")


def require_to_grant(caller: Caller, scopes: Iterable[str]) -> None:
    """Do nothing where the caller has all these scopes itself. Raises: Forbidden."""
    if lacking := [scope for scope in scopes if not may(caller, scope)]:
        raise Forbidden(f"{_who(caller)} lacks {', '.join(lacking)}, so a key that it makes cannot have that")


def require_to_grant_roles(caller: Caller, roles: Iterable[str]) -> None:
    """Do nothing where the caller may itself do all that these roles may. Raises: Forbidden."""
    if lacking := [role for role in roles if not all(may(caller, scope) for scope in scopes_of(role))]:
        raise Forbidden(f"{_who(caller)} may not do all that {', '.join(lacking)} may, so it gives nobody that role")


def require_operator(caller: Caller, to: str) -> None:
    """Do nothing where the caller is the operator: a key of the operator's tenant, or who manages that tenant.

    Raises: Forbidden, it may not do what `to` says.
    """
    is_key = caller.kind is CredentialKind.API_KEY and caller.organization_id is None
    if caller.tenant_id != SYSTEM_TENANT or not (is_key or may(caller, "*")):
        raise Forbidden(f"only the operator's key may {to}")
