"""What a caller may read: scopes of its key, and the one tenant they are for."""

from read_api.edge.auth import Caller, Forbidden


def may_read(caller: Caller, resource: str) -> bool:
    return not {"*", f"{resource}:*", f"{resource}:read"}.isdisjoint(caller.scopes)


def require_read(caller: Caller, resource: str) -> None:
    """Do nothing where the key has the scope. Raises: Forbidden."""
    if not may_read(caller, resource):
        raise Forbidden(f"api key {caller.key_id} lacks the scope {resource}:read")
