"""The scopes of a key say what its caller may do, and some things only the operator's key may."""

from collections.abc import Iterable

from read_api.edge.auth import Caller, Forbidden
from schemas.envelope import SYSTEM_TENANT


def may(caller: Caller, scope: str) -> bool:
    resource = scope.partition(":")[0]
    return not {"*", f"{resource}:*", scope}.isdisjoint(caller.scopes)


def require(caller: Caller, scope: str) -> None:
    """Do nothing where the key has the scope, like `devices:read`. Raises: Forbidden."""
    if not may(caller, scope):
        # the two texts that callers know
        who = f"api key {caller.key_id}" if scope.endswith(":read") else "this api key"
        raise Forbidden(f"{who} lacks the scope {scope}")


def require_to_grant(caller: Caller, scopes: Iterable[str]) -> None:
    """Do nothing where the caller's key has all these scopes itself. Raises: Forbidden."""
    if lacking := [scope for scope in scopes if not may(caller, scope)]:
        raise Forbidden(f"this api key lacks {', '.join(lacking)}, so a key that it makes cannot have that")


def require_operator(caller: Caller, to: str) -> None:
    """Do nothing where the key is the operator's. Raises: Forbidden, it may not do what `to` says."""
    if caller.tenant_id != SYSTEM_TENANT:
        raise Forbidden(f"only the operator's key may {to}")
