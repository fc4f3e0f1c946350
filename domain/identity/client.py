"""These are the commands, the events, the state and the rules of a client: a program that asks for tokens here."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.identity.api_key import Scope, Sha256
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

_HOST = r"(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]{1,5})?"
FIRST_SECRET = "first"  # noqa: S105 - an id
"""The id of the secret that a client was registered with."""

_MOST_SECRETS = 2

_REST = r"[A-Za-z0-9._~!$&*+=:@%/-]"

RedirectUri = Annotated[str, StringConstraints(max_length=1_000, pattern=rf"^{_HOST}(/{_REST}*)?(\?({_REST}|\?)*)?$")]
"""An address to which a browser brings what a user allowed: without encryption only one of the user's own machine."""


class ClientKind(StrEnum):
    """Who can keep a secret is confidential; a page, or a program on its user's machine, is public and has none."""

    CONFIDENTIAL = "confidential"
    PUBLIC = "public"


def client_stream(client_id: str) -> StreamId:
    return StreamId(f"client-{client_id}")


# --- commands


@value
class _OfClient(Command):
    client_id: Id

    @property
    def stream(self) -> StreamId:
        return client_stream(self.client_id)


@value
class RegisterClient(_OfClient):
    """Let a program ask for tokens, which never may more than its scopes. The server makes the id and the secret."""

    IS_OURS: ClassVar = True
    name: Name
    kind: ClientKind
    redirect_uris: Annotated[tuple[RedirectUri, ...], Field(max_length=20)] = ()
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]
    secret_sha256: Sha256 | None = None


@value
class RevokeClient(_OfClient):
    """End the client; no token that it got is good any more."""

    reason: Text = ""


@value
class RotateClientSecret(_OfClient):
    """Give the client another secret, beside the one that it has. The server makes it."""

    IS_OURS: ClassVar = True
    secret_id: Id
    secret_sha256: Sha256


@value
class EndClientSecret(_OfClient):
    """End one of the two secrets of the client, the older one where all of it knows the newer one."""

    secret_id: Id


ClientCommand = RegisterClient | RevokeClient | RotateClientSecret | EndClientSecret

# --- events


@value
class ClientRegistered(Event):
    TYPE: ClassVar = "client.registered"
    name: str
    kind: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    secret_sha256: Annotated[str | None, KeptApart()] = None


@value
class ClientRevoked(Event):
    TYPE: ClassVar = "client.revoked"
    reason: str


@value
class ClientSecretRotated(Event):
    """Shape: `good` are the ids of those that are good now, this one and the one before.

    `place`, 0 or 1, is where it is kept, and free again when it is ended.
    """

    TYPE: ClassVar = "client.secret.rotated"
    secret_id: str
    place: int
    good: tuple[str, ...]
    secret_sha256: Annotated[str | None, KeptApart()] = None


@value
class ClientSecretEnded(Event):
    """Shape: `good` are those that are left; the other fields as in client.secret.rotated."""

    TYPE: ClassVar = "client.secret.ended"
    secret_id: str
    place: int
    good: tuple[str, ...]


ClientEvent = ClientRegistered | ClientRevoked | ClientSecretRotated | ClientSecretEnded

# --- state


@value
class Client:
    """Shape: `secrets` are the places of those that are good, by their ids, the older one first."""

    secrets: Mapping[str, int]
    revoked: bool = False


def evolve_client(state: Client | None, event: ClientEvent) -> Client:
    match event:
        case ClientRegistered():
            return Client(secrets={FIRST_SECRET: 0} if event.kind == ClientKind.CONFIDENTIAL else {})
        case ClientRevoked():
            return replace(known(state), revoked=True)
        case ClientSecretRotated():
            client = known(state)
            return replace(client, secrets={**client.secrets, event.secret_id: event.place})
        case ClientSecretEnded():
            client = known(state)
            left = {id_: place for id_, place in client.secrets.items() if id_ != event.secret_id}
            return replace(client, secrets=left)
        case _:
            assert_never(event)


# --- rules


def decide_client(command: ClientCommand, state: Client | None, _given: Given) -> tuple[ClientEvent, ...]:
    if isinstance(command, RegisterClient):
        if state is not None:
            raise conflict(f"client {command.client_id} is registered already")
        _check(command)
        return (filled(ClientRegistered, command, kind=command.kind.value),)
    if state is None:
        raise not_found(f"client {command.client_id} is not known")
    match command:
        case RevokeClient():
            return () if state.revoked else (ClientRevoked(reason=command.reason),)
        case RotateClientSecret():
            return (_rotated(command, state),)
        case EndClientSecret():
            return (_ended(command, state),)
        case _:
            assert_never(command)


def _rotated(command: RotateClientSecret, state: Client) -> ClientSecretRotated:
    if state.revoked:
        raise not_allowed(f"client {command.client_id} is revoked")
    if not state.secrets:
        raise not_allowed(f"client {command.client_id} is public and has no secret")
    if len(state.secrets) == _MOST_SECRETS:
        good = " and ".join(state.secrets)
        raise not_allowed(f"the secrets {good} of client {command.client_id} are both good; end one of them first")
    [taken] = state.secrets.values()
    return filled(ClientSecretRotated, command, place=1 - taken, good=(*state.secrets, command.secret_id))


def _ended(command: EndClientSecret, state: Client) -> ClientSecretEnded:
    if (place := state.secrets.get(command.secret_id)) is None:
        raise not_found(f"client {command.client_id} has no secret {command.secret_id}, or not any more")
    left = tuple(id_ for id_ in state.secrets if id_ != command.secret_id)
    if not left:
        raise not_allowed(f"client {command.client_id} has no other secret; rotate it first")
    return filled(ClientSecretEnded, command, place=place, good=left)


def _check(command: RegisterClient) -> None:
    """Raises: CommandRejected, the client could not do what its kind does."""
    is_public = command.kind is ClientKind.PUBLIC
    if is_public == (command.secret_sha256 is not None):
        raise invalid("a confidential client has a secret, and a public one has none")
    if is_public and not command.redirect_uris:
        raise invalid("a public client asks for users only, so it needs redirect_uris: where they are sent back to")


CLIENT = Decider(
    category="client",
    commands=classes_of(ClientCommand),
    events=classes_of(ClientEvent),
    decide=decide_client,
    evolve=evolve_client,
)
