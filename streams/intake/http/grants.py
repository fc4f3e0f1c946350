"""No command gives anybody more than the key holds that sends it."""

from dataclasses import astuple

from domain.identity.api_key import IssueApiKey, RequestLimits, RotateApiKey
from domain.message import Command
from projections.credentials import RateLimits
from read_api.edge.auth import Caller, Forbidden, filled_limits
from read_api.edge.rates import SECONDS
from read_api.edge.scopes import may, require_to_grant


def require_grants(caller: Caller, command: Command) -> None:
    """Do nothing where the caller holds all that the command would give. Raises: Forbidden."""
    if isinstance(command, IssueApiKey):
        require_to_grant(caller, command.scopes)
        require_to_grant_limits(caller, command.limits)
    # whoever sets another key's secret can use that key, and what it may do is not known here
    if isinstance(command, RotateApiKey) and command.key_id != caller.key_id and not may(caller, "*"):
        raise Forbidden("this api key lacks *, so it can rotate no key but itself")


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
