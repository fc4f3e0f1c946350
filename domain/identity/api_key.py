"""These are the commands, the events, the state and the rules of an API key."""

from dataclasses import replace
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, known, value
from domain.rejection import CommandRejected, conflict, invalid, not_allowed, not_found
from schemas.envelope import StreamId, TenantId
from schemas.key_ids import has_tag, key_tag
from schemas.values import Id, Name, Text

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Scope = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_]+:(read|write|own|\*))$")]

ALL_SCOPES = "*"


def api_key_stream(key_id: str) -> StreamId:
    return StreamId(f"api_key-{key_id}")


Most = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]


@value
class RequestLimits:
    """How many requests a key may send in a window. Shape: where nothing is said, the server's default holds."""

    minute: Most | None = None
    hour: Most | None = None
    day: Most | None = None


# --- commands


@value
class _OfApiKey(Command):
    key_id: Id

    @property
    def stream(self) -> StreamId:
        return api_key_stream(self.key_id)


@value
class IssueApiKey(_OfApiKey):
    """The caller makes the secret and sends its hash: the secret itself never enters the system."""

    secret_sha256: Sha256
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]
    name: Name | None = None
    limits: RequestLimits | None = None


@value
class RotateApiKey(_OfApiKey):
    secret_sha256: Sha256


@value
class RevokeApiKey(_OfApiKey):
    reason: Text = ""


ApiKeyCommand = IssueApiKey | RotateApiKey | RevokeApiKey

# --- events

_Verifier = Annotated[str | None, KeptApart()]
"""What a secret is compared with: only the first version of an event has it, afterwards it is a credential."""


@value
class ApiKeyIssued(Event):
    TYPE: ClassVar = "api_key.issued"
    VERSION: ClassVar = 3
    key_id: str
    prefix: str
    secret_sha256: _Verifier = None
    scopes: tuple[str, ...]
    name: str | None
    limits: RequestLimits | None = None


@value
class ApiKeyRotated(Event):
    TYPE: ClassVar = "api_key.rotated"
    VERSION: ClassVar = 2
    key_id: str
    secret_sha256: _Verifier = None


@value
class ApiKeyRevoked(Event):
    TYPE: ClassVar = "api_key.revoked"
    key_id: str
    reason: str


ApiKeyEvent = ApiKeyIssued | ApiKeyRotated | ApiKeyRevoked

# --- state


@value
class ApiKey:
    """Shape: `secret_sha256` is None where the latest secret's hash is a credential and in no event."""

    secret_sha256: str | None
    scopes: tuple[str, ...]
    revoked: bool


def evolve_api_key(state: ApiKey | None, event: ApiKeyEvent) -> ApiKey:
    match event:
        case ApiKeyIssued():
            return ApiKey(secret_sha256=event.secret_sha256, scopes=event.scopes, revoked=False)
        case ApiKeyRotated():
            return replace(known(state), secret_sha256=event.secret_sha256)
        case ApiKeyRevoked():
            return replace(known(state), revoked=True)
        case _:
            assert_never(event)


# --- rules


def decide_api_key(command: ApiKeyCommand, state: ApiKey | None, _given: Given) -> tuple[ApiKeyEvent, ...]:
    if isinstance(command, IssueApiKey):
        if state is not None:
            raise conflict(f"api key {command.key_id} is issued already")
        return (filled(ApiKeyIssued, command, prefix=f"ak_{command.key_id}"),)
    if state is None:
        raise not_found(f"api key {command.key_id} is not known")
    match command:
        case RotateApiKey():
            if state.revoked:
                raise not_allowed(f"api key {command.key_id} is revoked")
            return (filled(ApiKeyRotated, command),)
        case RevokeApiKey():
            return () if state.revoked else (filled(ApiKeyRevoked, command),)
        case _:
            assert_never(command)


def admit_key(command: IssueApiKey | RotateApiKey, tenant_id: TenantId) -> CommandRejected | None:
    """Return why a tenant may not give a key of this id this hash, or None.

    Shape: a key is found by its id alone, in all tenants. Where a tenant could choose any id, it could give another
    tenant's id and hash to a key of its own, and the other's key would work in the wrong tenant.
    Source: docs/adr/0026.
    """
    if has_tag(command.key_id, tenant_id):
        return None
    if isinstance(command, IssueApiKey):
        return invalid(f"the id of a new key must begin with {key_tag(tenant_id)}; POST /v1/keys makes one that does")
    return not_allowed(f"api key {command.key_id} is of an older form that is not rotated; POST /v1/keys makes another")


API_KEY = Decider(
    category="api_key",
    commands=classes_of(ApiKeyCommand),
    events=classes_of(ApiKeyEvent),
    decide=decide_api_key,
    evolve=evolve_api_key,
)
