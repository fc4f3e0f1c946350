"""These are the commands, the events, the state and the rules of a provider that says who signs in to a tenant."""

from typing import Annotated, ClassVar, assert_never
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, value
from domain.rejection import not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

_LOOPBACK = r"(localhost|127\.0\.0\.1|\[::1\])"


def _with_a_host(issuer: str) -> str:
    """Return the address of a provider. Raises: ValueError, which pydantic turns into a refusal."""
    try:
        parts = urlsplit(issuer)
        is_whole = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        # an address in brackets that do not close, or a port that is no number
        is_whole = False
    if not is_whole:
        raise ValueError("the issuer must be an address with a host, a port that exists, and no credentials")
    return issuer


IssuerUrl = Annotated[
    str,
    StringConstraints(max_length=500, pattern=rf"^(https://[^\s/?#@]+|http://{_LOOPBACK}(:[0-9]+)?)(/[^\s?#]*)?$"),
    AfterValidator(_with_a_host),
]
"""The address of a provider, to the letter; one without encryption only of this machine.

Source: OpenID Connect Discovery 1.0, section 3, `issuer`.
"""

_Sealed = Annotated[str, StringConstraints(min_length=1, max_length=8_000, pattern=r"^[A-Za-z0-9+/=]+$")]
"""A secret as it is kept, encrypted, in base64."""


def sign_in_provider_stream(provider_id: str) -> StreamId:
    return StreamId(f"sign_in_provider-{provider_id}")


# --- commands


@value
class _OfProvider(Command):
    provider_id: Id

    @property
    def stream(self) -> StreamId:
        return sign_in_provider_stream(self.provider_id)


@value
class SetSignInProvider(_OfProvider):
    """Let people sign in through a provider. Given again, it takes the place of what was given before.

    Shape: `name` is what the page shows; `client_id` and the secret are what the provider knows this server by. The
    server makes `sealed`.
    """

    IS_OURS: ClassVar = True
    name: Name
    issuer: IssuerUrl
    client_id: Name
    sealed: _Sealed


@value
class RemoveSignInProvider(_OfProvider):
    """Nobody signs in through the provider any more, and its secret is forgotten; sessions go on until they end."""

    reason: Text = ""


SignInProviderCommand = SetSignInProvider | RemoveSignInProvider

# --- events


@value
class SignInProviderSet(Event):
    TYPE: ClassVar = "sign_in_provider.set"
    name: str
    issuer: str
    client_id: str
    sealed: Annotated[str | None, KeptApart()] = None


@value
class SignInProviderRemoved(Event):
    TYPE: ClassVar = "sign_in_provider.removed"
    reason: str


SignInProviderEvent = SignInProviderSet | SignInProviderRemoved

# --- state


@value
class SignInProvider:
    removed: bool = False


def evolve_sign_in_provider(_state: SignInProvider | None, event: SignInProviderEvent) -> SignInProvider:
    return SignInProvider(removed=isinstance(event, SignInProviderRemoved))


# --- rules


def decide_sign_in_provider(
    command: SignInProviderCommand, state: SignInProvider | None, _given: Given
) -> tuple[SignInProviderEvent, ...]:
    match command:
        case SetSignInProvider():
            return (filled(SignInProviderSet, command),)
        case RemoveSignInProvider():
            if state is None:
                raise not_found(f"sign-in provider {command.provider_id} is not known")
            return () if state.removed else (SignInProviderRemoved(reason=command.reason),)
        case _:
            assert_never(command)


SIGN_IN_PROVIDER = Decider(
    category="sign_in_provider",
    commands=classes_of(SignInProviderCommand),
    events=classes_of(SignInProviderEvent),
    decide=decide_sign_in_provider,
    evolve=evolve_sign_in_provider,
)
