"""These are the commands, the events, the state and the rules of an issuer whose tokens a tenant trusts."""

from typing import Annotated, ClassVar, assert_never

from pydantic import ConfigDict, Field, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, value
from domain.rejection import invalid, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

_LOOPBACK = r"(localhost|127\.0\.0\.1|\[::1\])"

Url = Annotated[
    str,
    StringConstraints(max_length=1_000, pattern=rf"^(https://[^\s/?#@]+|http://{_LOOPBACK}(:[0-9]+)?)(/[^\s#]*)?$"),
]
"""An address of this or another host; one without encryption only of this machine."""

_Base64 = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[A-Za-z0-9_-]+$")]

_KeyType = Annotated[str, StringConstraints(pattern=r"^(RSA|EC)$")]
_Algorithm = Annotated[str, StringConstraints(pattern=r"^(RS256|ES256)$")]
_Curve = Annotated[str, StringConstraints(pattern=r"^P-256$")]

_SHORTEST_RSA = 342
"""Digits of a modulus of 2,048 bits. Source: RFC 7518, section 3.3."""


def issuer_stream(issuer_id: str) -> StreamId:
    return StreamId(f"issuer-{issuer_id}")


@value
class PublicKey:
    """One key of a JWKS, for RS256 or ES256; what else stands beside is left out, a private key above all."""

    __pydantic_config__ = ConfigDict(extra="ignore")

    kty: _KeyType
    kid: Name | None = None
    alg: _Algorithm | None = None
    n: _Base64 | None = None
    e: _Base64 | None = None
    crv: _Curve | None = None
    x: _Base64 | None = None
    y: _Base64 | None = None


# --- commands


@value
class _OfIssuer(Command):
    issuer_id: Id

    @property
    def stream(self) -> StreamId:
        return issuer_stream(self.issuer_id)


@value
class TrustIssuer(_OfIssuer):
    """Take the tokens that an issuer signs for one of the audiences, with the keys given here or at `jwks_uri`.

    Shape: `issuer` is the claim `iss`, to the letter. Given again, it takes the place of what was given before.
    """

    issuer: Name
    audiences: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]
    jwks_uri: Url | None = None
    keys: Annotated[tuple[PublicKey, ...], Field(max_length=20)] = ()


@value
class DistrustIssuer(_OfIssuer):
    reason: Text = ""


IssuerCommand = TrustIssuer | DistrustIssuer

# --- events


@value
class IssuerTrusted(Event):
    TYPE: ClassVar = "issuer.trusted"
    issuer: str
    audiences: tuple[str, ...]
    jwks_uri: str | None
    keys: tuple[PublicKey, ...]


@value
class IssuerDistrusted(Event):
    TYPE: ClassVar = "issuer.distrusted"
    reason: str


IssuerEvent = IssuerTrusted | IssuerDistrusted

# --- state


@value
class Issuer:
    """Shape: `trusted` is what the tenant trusts now, None where it is nothing."""

    trusted: IssuerTrusted | None


def evolve_issuer(_state: Issuer | None, event: IssuerEvent) -> Issuer:
    match event:
        case IssuerTrusted():
            return Issuer(trusted=event)
        case IssuerDistrusted():
            return Issuer(trusted=None)
        case _:
            assert_never(event)


# --- rules


def decide_issuer(command: IssuerCommand, state: Issuer | None, _given: Given) -> tuple[IssuerEvent, ...]:
    match command:
        case TrustIssuer():
            _check(command)
            trusted = filled(IssuerTrusted, command)
            return () if state is not None and state.trusted == trusted else (trusted,)
        case DistrustIssuer():
            if state is None:
                raise not_found(f"issuer {command.issuer_id} is not known")
            return () if state.trusted is None else (IssuerDistrusted(reason=command.reason),)
        case _:
            assert_never(command)


def _check(command: TrustIssuer) -> None:
    """Raises: CommandRejected, nobody could check a token with what is said."""
    if (command.jwks_uri is None) == (not command.keys):
        raise invalid("give either jwks_uri or keys: the public keys that the issuer signs with")
    for key in command.keys:
        if key.kty == "RSA" and not (key.e and len(key.n or "") >= _SHORTEST_RSA):
            raise invalid("a key of RSA needs n of at least 2,048 bits, and e")
        if key.kty == "EC" and not (key.crv and key.x and key.y):
            raise invalid("a key of EC needs crv, which is P-256, and x and y")


ISSUER = Decider(
    category="issuer",
    commands=classes_of(IssuerCommand),
    events=classes_of(IssuerEvent),
    decide=decide_issuer,
    evolve=evolve_issuer,
)
