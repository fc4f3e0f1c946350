"""A code and each refresh token are good once, in time, at any gateway; whoever shows one again ends all of it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from domain.identity.client import ClientKind, RegisterClient
from domain.identity.consent import CODE_LASTS, CONSENT_LASTS
from domain.identity.user import InviteUser, Role, SetPassword
from infra.master_key import MasterKey
from infra.provider_secrets import ProviderSecrets
from infra.sqlite.credentials import SqliteCredentials
from infra.sqlite.event_log import SqliteEventLog
from projections.credentials import Credentials, Part
from projections.own_issuer import AUDIENCE
from read_api.edge.auth import Caller, CredentialKind, Unauthenticated
from read_api.edge.issuer_keys import IssuerKeys, nothing_fetched
from read_api.edge.jwt import Tokens
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from streams.intake.http.consents import Allowed, Asked, Consents, challenge_of
from streams.intake.http.signing import Signing
from streams.intake.http.token_requests import AskingClient, AskingClients, TokenRefused
from streams.write.gate import CommandGate
from streams.write.writer import Writer
from tests.live_files import files_with
from tests.streams.kit import register_tenant, submission

ACME = TenantId("acme")
URI = "https://reports.example/signed-in"
VERIFIER = "v" * 43
A_MOMENT = timedelta(seconds=1)


class Behind:
    """The credentials of a gateway that knows of consents only what was recorded until a moment."""

    def __init__(self, credentials: SqliteCredentials) -> None:
        self._credentials = credentials
        self._known: dict[StreamId, Sequence[Part]] = {}

    def knows(self, consent_id: str) -> None:
        stream = StreamId(f"consent-{consent_id}")
        self._known[stream] = self._credentials.of_stream(ACME, stream)

    def of_stream(self, tenant_id: TenantId, stream: StreamId) -> Sequence[Part]:
        if stream.startswith("consent-"):
            return self._known.get(stream, ())
        return self._credentials.of_stream(tenant_id, stream)


class World:
    """A log with a client and a user, and a clock that a test moves."""

    def __init__(self, folder: Path, deciding: ThreadPoolExecutor) -> None:
        self._now = datetime.now(UTC)
        self.log = SqliteEventLog(folder, self)
        self.credentials = SqliteCredentials(folder / "events.sqlite")
        self._writer = Writer(self.log, self)
        self._deciding = deciding
        kind = ClientKind.PUBLIC
        clients = [
            RegisterClient(client_id=id_, name="c", kind=kind, redirect_uris=(URI,), scopes=("*",))
            for id_ in ("acme.c1", "acme.c2")
        ]
        invite = InviteUser(user_id="ann", email="ann@acme.example", roles=(Role.USER,))
        commands = (*clients, invite, SetPassword(user_id="ann", password_hash="x"))
        replies = self._writer.write(
            [register_tenant("acme"), *(submission(command, tenant="acme") for command in commands)]
        )
        assert {reply.outcome for reply in replies} == {"accepted"}
        found = self.of(AskingClients(self.credentials).find("acme.c1"))
        assert found is not None
        self.asking: AskingClient = found

    def now(self) -> datetime:
        return self._now

    def passes(self, time: timedelta) -> None:
        self._now += time

    def of(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    def consents(self, credentials: Behind | None = None) -> Consents:
        """Return what a gateway does with consents."""
        gate = CommandGate(self._writer, self._deciding)
        return Consents(gate, cast("Credentials", credentials or self.credentials), self.now)

    def signing(self) -> Signing:
        gate = CommandGate(self._writer, self._deciding)
        return Signing(gate, self.credentials, ProviderSecrets(MasterKey(b"m" * 32)), self.now)

    def code(self) -> str:
        asked = Asked(self.asking, URI, ("devices:read", "alerts:read"), challenge_of(VERIFIER))
        caller = Caller(ACME, "ann", (), kind=CredentialKind.SESSION, roles=("USER",))
        code: str = self.of(self.consents().give(asked, caller))
        return code

    def redeem(self, code: str, credentials: Behind | None = None) -> Allowed:
        allowed: Allowed = self.of(self.consents(credentials).redeem(self.asking, code, URI, VERIFIER))
        return allowed

    def refresh(self, token: str, credentials: Behind | None = None, *, scope: str | None = None) -> Allowed:
        allowed: Allowed = self.of(self.consents(credentials).refresh(self.asking, token, scope))
        return allowed

    def ended(self) -> list[str]:
        """Return why consents were ended."""
        found = self.log.read(Topic.EVENTS, 0, after=0, limit=100)
        return [one.data["reason"] for one in found if isinstance(one, Envelope) and one.type == "consent.ended"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(1) as deciding:
        world = World(tmp_path, deciding)
        yield world
        world.credentials.close()
        world.log.close()


def is_refused(work: Callable[..., object], *values: object) -> bool:
    with pytest.raises(TokenRefused) as refused:
        work(*values)
    return refused.value.error == "invalid_grant"


def test_code_is_good_for_a_minute(world: World) -> None:
    early, late = world.code(), world.code()
    world.passes(CODE_LASTS - A_MOMENT)
    assert world.redeem(early).user_id == "ann"
    world.passes(A_MOMENT)
    assert is_refused(world.redeem, late)
    assert world.ended() == []


def test_each_refresh_token_gives_the_next_for_thirty_days(world: World) -> None:
    token = world.redeem(world.code()).refresh_token
    tokens = {token}
    for _ in range(5):
        world.passes((CONSENT_LASTS - 10 * A_MOMENT) / 5)
        token = world.refresh(token).refresh_token
        tokens.add(token)
    assert len(tokens) == 6
    world.passes(10 * A_MOMENT)
    assert is_refused(world.refresh, token)
    assert world.ended() == []


def test_refresh_token_that_is_shown_twice_ends_them_all(world: World) -> None:
    first = world.redeem(world.code()).refresh_token
    second = world.refresh(first).refresh_token
    assert is_refused(world.refresh, first)
    assert world.ended() == ["a refresh token was shown twice"]
    assert is_refused(world.refresh, second)


def test_much_older_refresh_token_ends_them_all_too(world: World) -> None:
    first = token = world.redeem(world.code()).refresh_token
    for _ in range(3):
        token = world.refresh(token).refresh_token
    assert is_refused(world.refresh, first)
    assert is_refused(world.refresh, token)
    assert world.ended() == ["a refresh token was shown twice"]


def test_who_invents_a_token_ends_nobodys(world: World) -> None:
    good = world.redeem(world.code()).refresh_token
    consent_id, number, family, secret = good.split(".")
    for token in (
        "x",
        "a.b.c.d",
        f"{consent_id}.{number}.x.{secret}",
        f"{consent_id}.0.x.y",
        f"{'0' * 32}.{number}.{family}.{secret}",
        # of a number that was not given yet
        f"{consent_id}.9.{family}.{secret}",
        f"{consent_id}.-1.{family}.{secret}",
        f"{consent_id}.1e3.{family}.{secret}",
        f"{good}.x",
    ):
        assert is_refused(world.refresh, token), token
    assert world.ended() == []
    assert world.refresh(good)


def test_who_has_an_old_token_and_bends_it_ends_them_all(world: World) -> None:
    first = world.redeem(world.code()).refresh_token
    second = world.refresh(first).refresh_token
    consent_id, _, family, secret = first.split(".")
    assert is_refused(world.refresh, f"{consent_id}.2.{family}.{secret}")
    assert is_refused(world.refresh, second)


def test_scopes_may_be_fewer_and_are_all_there_the_next_time(world: World) -> None:
    token = world.redeem(world.code()).refresh_token
    fewer = world.refresh(token, scope="devices:read")
    assert fewer.scopes == ("devices:read",)
    with pytest.raises(TokenRefused) as refused:
        world.refresh(fewer.refresh_token, scope="devices:read logs:read")
    assert refused.value.error == "invalid_scope"
    # what was refused used nothing up
    assert world.refresh(fewer.refresh_token).scopes == ("devices:read", "alerts:read")


def test_gateway_that_is_behind_refuses_what_was_used_at_another_and_ends_it(world: World) -> None:
    code, behind = world.code(), Behind(world.credentials)
    behind.knows(code.partition(".")[0])
    world.redeem(code)
    assert is_refused(world.redeem, code, behind)
    assert world.ended() == ["a code or a refresh token was shown twice"]
    token = world.redeem(world.code()).refresh_token
    behind.knows(token.partition(".")[0])
    world.refresh(token)
    assert is_refused(world.refresh, token, behind)
    assert len(world.ended()) == 2


def test_gateway_that_is_behind_takes_a_newer_token_for_no_attack(world: World) -> None:
    first, behind = world.redeem(world.code()).refresh_token, Behind(world.credentials)
    behind.knows(first.partition(".")[0])
    second = world.refresh(first).refresh_token
    assert is_refused(world.refresh, second, behind)
    assert world.ended() == []
    behind.knows(first.partition(".")[0])
    assert world.refresh(second, behind)


def test_many_who_show_one_token_at_once_get_one_answer_and_then_nothing(world: World) -> None:
    token = world.redeem(world.code()).refresh_token

    async def at_once() -> list[Allowed | BaseException]:
        tries = (world.consents().refresh(world.asking, token, None) for _ in range(5))
        return await asyncio.gather(*tries, return_exceptions=True)

    answers: Sequence[Allowed | BaseException] = asyncio.run(at_once())
    [given] = [answer for answer in answers if isinstance(answer, Allowed)]
    assert sum(isinstance(answer, TokenRefused) for answer in answers) == 4
    assert is_refused(world.refresh, given.refresh_token)


def test_access_token_ends_with_its_consent_and_is_for_its_client_alone(world: World) -> None:
    consent_id = world.redeem(world.code()).consent_id
    tokens = Tokens(world.credentials, IssuerKeys(nothing_fetched), lambda: world.now().timestamp())

    def token(**changed: str) -> str:
        at = int(world.now().timestamp())
        said = {"iss": "https://f.example/oauth/acme", "aud": AUDIENCE, "tenant_id": "acme", "sub": "ann"}
        more = {"client_id": "acme.c1", "scope": "devices:read", "consent_id": consent_id, "iat": at, "exp": at + 600}
        signed: str = world.of(world.signing().sign(ACME, {**said, **more, **changed}))
        return signed

    world.passes(CONSENT_LASTS - 10 * A_MOMENT)
    last = token()
    assert tokens.caller(last).roles == ("USER",)
    for changed in ({"client_id": "acme.c2"}, {"consent_id": "0" * 32}):
        with pytest.raises(Unauthenticated):
            tokens.caller(token(**changed))
    world.passes(10 * A_MOMENT)
    with pytest.raises(Unauthenticated, match="the user's consent is ended"):
        tokens.caller(last)


def test_another_process_goes_on_with_what_one_gave(world: World, tmp_path: Path) -> None:
    token = world.redeem(world.code()).refresh_token
    # as after a kill: nothing is asked but the file
    opened = SqliteCredentials(tmp_path / "events.sqlite")
    restarted = Consents(CommandGate(world._writer, world._deciding), opened, world.now)
    assert world.of(restarted.refresh(world.asking, token, None)).user_id == "ann"
    opened.close()


def test_secrets_are_in_no_event_and_in_no_file(world: World, tmp_path: Path) -> None:
    code = world.code()
    first = world.redeem(code).refresh_token
    second = world.refresh(first).refresh_token
    secrets = {code.split(".")[1], *first.split(".")[2:], *second.split(".")[2:]}
    assert len(secrets) == 4
    found = [one for one in world.log.read(Topic.EVENTS, 0, after=0, limit=100) if isinstance(one, Envelope)]
    for one in found:
        if one.stream.startswith("consent-"):
            data: Mapping[str, Any] = one.data
            assert not [name for name in data if "sha256" in name or "challenge" in name]
    for secret in secrets:
        assert files_with(secret, tmp_path) == []
