"""These are the command, the event, the state and the rules of the keys that a tenant signs its own tokens with."""

from typing import Annotated, ClassVar

from pydantic import StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, value
from domain.rejection import conflict
from schemas.envelope import StreamId, TenantId
from schemas.values import Id, TenantName

_Sealed = Annotated[str, StringConstraints(min_length=1, max_length=8_000, pattern=r"^[A-Za-z0-9+/=]+$")]
"""A private key as it is kept, encrypted, in base64."""

_Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""Source: RFC 7518, section 6.2.1: 32 bytes of the curve P-256 in base64url."""


def signing_key_stream(tenant_id: TenantId) -> StreamId:
    """Return the one stream of all of a tenant's signing keys."""
    return StreamId(f"signing_key-{tenant_id}")


# --- commands


@value
class RotateSigningKey(Command):
    """Sign with this key from now on. The server makes it: `x` and `y` are public, `sealed` is the private part."""

    IS_OURS: ClassVar = True
    tenant_id: TenantName
    kid: Id
    x: _Coordinate
    y: _Coordinate
    sealed: _Sealed

    @property
    def stream(self) -> StreamId:
        return signing_key_stream(TenantId(self.tenant_id))


# --- events


@value
class SigningKeyRotated(Event):
    """Shape: it is a key of ES256, and the `number`th of its tenant."""

    TYPE: ClassVar = "signing_key.rotated"
    kid: str
    x: str
    y: str
    number: int
    sealed: Annotated[str | None, KeptApart()] = None


# --- state


@value
class SigningKeys:
    kid: str
    number: int


def evolve_signing_key(_state: SigningKeys | None, event: SigningKeyRotated) -> SigningKeys:
    return filled(SigningKeys, event)


# --- rules


def decide_signing_key(
    command: RotateSigningKey, state: SigningKeys | None, _given: Given
) -> tuple[SigningKeyRotated, ...]:
    if state is not None and state.kid == command.kid:
        raise conflict(f"signing key {command.kid} is the tenant's already; make another one")
    return (filled(SigningKeyRotated, command, number=1 if state is None else state.number + 1),)


SIGNING_KEY = Decider(
    category="signing_key",
    commands=classes_of(RotateSigningKey),
    events=classes_of(SigningKeyRotated),
    decide=decide_signing_key,
    evolve=evolve_signing_key,
)
