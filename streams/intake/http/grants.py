"""No command gives anybody more than the caller has who sends it."""

from dataclasses import astuple

from domain.identity.api_key import IssueApiKey, RequestLimits, RotateApiKey
from domain.identity.issuer import TrustIssuer
from domain.identity.user import ChangeUserRole, InviteUser
from domain.message import Command
from projections.credentials import RateLimits
from read_api.edge.auth import Caller, CredentialKind, Forbidden, filled_limits
from read_api.edge.rates import SECONDS
from read_api.edge.scopes import may, require_to_grant, require_to_grant_roles


def require_grants(caller: Caller, command: Command) -> None:
    """Do nothing where the caller holds all that the command would give. Raises: Forbidden."""
    match command:
        case IssueApiKey():
            require_to_grant(caller, command.scopes)
            require_to_grant_limits(caller, command.limits)
        case InviteUser() | ChangeUserRole():
            require_to_grant_roles(caller, command.roles)
        case TrustIssuer() if not may(caller, "*"):
            # the issuer says which roles whom it names has
            raise Forbidden("who trusts an issuer gives it every role, and this caller has not every right (*) itself")
        case RotateApiKey() if not (_is_own_key(caller, command) or may(caller, "*")):
            # whoever sets another key's secret can use that key, and what it may do is not known here
            raise Forbidden("this api key lacks *, so it can rotate no key but itself")


def _is_own_key(caller: Caller, command: RotateApiKey) -> bool:
    return caller.kind is CredentialKind.API_KEY and command.key_id == caller.id


def require_to_grant_limits(caller: Caller, limits: RequestLimits | None) -> None:
    """Do nothing where a key with these limits may ask no more than the caller's. Raises: Forbidden."""
    if caller.limits is None:
        return
    wanted = filled_limits(RateLimits(*astuple(limits)) if limits else RateLimits(), caller.usual)
    for window, own, other in zip(SECONDS, caller.limits, wanted, strict=True):
        if own is not None and (other is None or other > own):
            raise Forbidden(
                f"this api key may send {own:,} requests a {window}, so a key that it makes cannot have more: say"
                f" limits with at most {own} for a {window}"
            )
