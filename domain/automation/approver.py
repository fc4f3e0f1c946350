"""Whoever approves what waits for a person must have the role that it names, or manage the tenant."""

from domain.given import Given
from domain.identity.api_key import ALL_SCOPES, ApiKey, api_key_stream
from domain.identity.user import Role, User, UserStatus, user_stream
from domain.rejection import not_allowed
from schemas.envelope import Actor, ActorType, StreamId


def approver_reads(actor: Actor) -> tuple[StreamId, ...]:
    """Name the streams that say which roles somebody has."""
    match actor.type:
        case ActorType.USER:
            return (user_stream(actor.id),)
        case ActorType.API_KEY:
            return (api_key_stream(actor.id),)
        case _:
            return ()


def check_role(role: str | None, about: str, given: Given) -> None:
    """Do nothing where the actor may approve what waits for this role. Raises: CommandRejected, another must."""
    if role is None:
        return
    user: User | None = given.streams.get(user_stream(given.actor.id))
    key: ApiKey | None = given.streams.get(api_key_stream(given.actor.id))
    roles = user.roles if user is not None and user.status is UserStatus.ACTIVE else ()
    if {role, Role.OWNER, Role.ADMIN}.isdisjoint(roles) and not (key and ALL_SCOPES in key.scopes):
        raise not_allowed(f"{about} is approved by somebody with the role {role}")
