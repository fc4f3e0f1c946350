"""No command gives anybody more than the key holds that sends it."""

from domain.identity.api_key import IssueApiKey, RotateApiKey
from domain.message import Command
from read_api.edge.auth import Caller, Forbidden
from read_api.edge.scopes import may, require_to_grant


def require_grants(caller: Caller, command: Command) -> None:
    """Do nothing where the caller holds all that the command would give. Raises: Forbidden."""
    if isinstance(command, IssueApiKey):
        require_to_grant(caller, command.scopes)
    # whoever sets another key's secret can use that key, and what it may do is not known here
    if isinstance(command, RotateApiKey) and command.key_id != caller.key_id and not may(caller, "*"):
        raise Forbidden("this api key lacks *, so it can rotate no key but itself")
