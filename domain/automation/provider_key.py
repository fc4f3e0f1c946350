"""These are the commands, the events, the state and the rules of a provider key: a secret for a service outside."""

from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, value
from domain.operations.task import TaskKind
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

Sealed = Annotated[str, StringConstraints(min_length=1, max_length=8_000, pattern=r"^[A-Za-z0-9+/=]+$")]
"""A secret as it is kept, encrypted, in base64."""

BaseUrl = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^https?://\S+$")]
Prefix = Annotated[str, StringConstraints(max_length=16)]


def provider_key_stream(key_id: str) -> StreamId:
    return StreamId(f"provider_key-{key_id}")


# --- commands


@value
class _OfProviderKey(Command):
    key_id: Id

    @property
    def stream(self) -> StreamId:
        return provider_key_stream(self.key_id)


@value
class AddProviderKey(_OfProviderKey):
    """Keep a secret for tasks of these kinds.

    Shape: `sealed` is made by the server; `prefix` is what is shown of the secret. `base_url` is where the service is,
    so that no task can have the secret sent elsewhere.
    """

    IS_OURS: ClassVar = True
    provider: Name
    kinds: Annotated[tuple[TaskKind, ...], Field(min_length=1, max_length=20)]
    base_url: BaseUrl | None = None
    prefix: Prefix
    sealed: Sealed


@value
class RotateProviderKey(_OfProviderKey):
    """Put another secret in the place of the one before, which is forgotten."""

    IS_OURS: ClassVar = True
    prefix: Prefix
    sealed: Sealed


@value
class RevokeProviderKey(_OfProviderKey):
    """Forget the secret; no task gets it any more."""

    reason: Text = ""


ProviderKeyCommand = AddProviderKey | RotateProviderKey | RevokeProviderKey

# --- events

_Apart = Annotated[str | None, KeptApart()]


@value
class ProviderKeyAdded(Event):
    TYPE: ClassVar = "provider_key.added"
    provider: str
    kinds: tuple[str, ...]
    base_url: str | None
    prefix: str
    sealed: _Apart = None


@value
class ProviderKeyRotated(Event):
    TYPE: ClassVar = "provider_key.rotated"
    prefix: str
    sealed: _Apart = None


@value
class ProviderKeyRevoked(Event):
    TYPE: ClassVar = "provider_key.revoked"
    reason: str


ProviderKeyEvent = ProviderKeyAdded | ProviderKeyRotated | ProviderKeyRevoked

# --- state


@value
class ProviderKey:
    revoked: bool = False


def evolve_provider_key(state: ProviderKey | None, event: ProviderKeyEvent) -> ProviderKey:
    match event:
        case ProviderKeyAdded():
            return ProviderKey()
        case ProviderKeyRotated():
            return state or ProviderKey()
        case ProviderKeyRevoked():
            return ProviderKey(revoked=True)
        case _:
            assert_never(event)


# --- rules


def decide_provider_key(
    command: ProviderKeyCommand, state: ProviderKey | None, _given: Given
) -> tuple[ProviderKeyEvent, ...]:
    if isinstance(command, AddProviderKey):
        if state is not None:
            raise conflict(f"provider key {command.key_id} is there already; rotate it, or take another key_id")
        return (filled(ProviderKeyAdded, command),)
    if state is None:
        raise not_found(f"provider key {command.key_id} is not known")
    match command:
        case RotateProviderKey():
            if state.revoked:
                raise not_allowed(f"provider key {command.key_id} is revoked; add another one")
            return (filled(ProviderKeyRotated, command),)
        case RevokeProviderKey():
            return () if state.revoked else (filled(ProviderKeyRevoked, command),)
        case _:
            assert_never(command)


PROVIDER_KEY = Decider(
    category="provider_key",
    commands=classes_of(ProviderKeyCommand),
    events=classes_of(ProviderKeyEvent),
    decide=decide_provider_key,
    evolve=evolve_provider_key,
)
