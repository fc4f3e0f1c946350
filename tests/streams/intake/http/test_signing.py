"""A tenant's tokens are signed with keys of its own, which are made when they are needed and give way to new ones."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from infra.master_key import MasterKey
from infra.provider_secrets import ProviderSecrets
from infra.sqlite.credentials import SqliteCredentials
from infra.sqlite.event_log import SqliteEventLog
from projections.own_issuer import ACCESS_LASTS, OVERLAP
from read_api.edge.jws import BadToken, keys_of, read_token, verify_token
from read_api.edge.jwt import SKEW_S
from schemas.envelope import Envelope, TenantId, Topic
from schemas.sealed import Tampered
from streams.intake.http.signing import Signing
from streams.ports import SystemClock
from streams.write.gate import CommandGate
from streams.write.writer import Writer
from tests.live_files import files_with
from tests.streams.intake.http.ways_in import WaysIn, refused
from tests.streams.kit import register_tenant, submission

ACME, BOLT = TenantId("acme"), TenantId("bolt")


class World:
    """A log, and what signs with the keys that it keeps."""

    def __init__(self, folder: Path, deciding: ThreadPoolExecutor) -> None:
        self.log = SqliteEventLog(folder)
        self.credentials = SqliteCredentials(folder / "events.sqlite")
        self.writer = Writer(self.log, SystemClock())
        self.writer.write([register_tenant("acme"), register_tenant("bolt")])
        self._deciding = deciding
        self.now = datetime.now(UTC)

    def signing(self, master: bytes = b"m" * 32) -> Signing:
        """Return what signs in a process of its own."""
        gate = CommandGate(self.writer, self._deciding)
        return Signing(gate, self.credentials, ProviderSecrets(MasterKey(master)), lambda: self.now)

    def sign(self, tenant_id: TenantId = ACME, signing: Signing | None = None) -> str:
        return asyncio.run((signing or self.signing()).sign(tenant_id, {"sub": "ann"}))

    def rotate(self) -> None:
        command = asyncio.run(self.signing().new_key(ACME))
        [reply] = self.writer.write([submission(command, tenant="acme")])
        assert reply.outcome == "accepted"

    def is_good(self, text: str, tenant_id: TenantId = ACME) -> bool:
        """Tell if a token is signed as others can check it."""
        published = asyncio.run(self.signing().public_keys(tenant_id))
        try:
            verify_token(read_token(text), keys_of({"keys": [key.jwk for key in published]}))
        except BadToken:
            return False
        return True

    def events(self) -> list[Envelope]:
        found = self.log.read(Topic.EVENTS, 0, after=0, limit=100)
        return [one for one in found if isinstance(one, Envelope) and one.type == "signing_key.rotated"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(1) as deciding:
        world = World(tmp_path, deciding)
        yield world
        world.credentials.close()
        world.log.close()


def test_first_token_makes_the_key_and_others_can_check_it(world: World) -> None:
    assert asyncio.run(world.signing().public_keys(ACME)) == []
    text = world.sign()
    assert world.is_good(text)
    assert orjson.loads(read_token(text).payload) == {"sub": "ann"}
    assert world.is_good(world.sign())
    [made] = world.events()
    assert (made.stream, made.tenant_id, made.data["number"]) == ("signing_key-acme", ACME, 1)


def test_two_processes_that_need_the_first_key_at_once_sign_with_one(world: World) -> None:
    async def at_once() -> list[str]:
        both = (world.signing().sign(ACME, {}), world.signing().sign(ACME, {}))
        return list(await asyncio.gather(*both))

    tokens = asyncio.run(at_once())
    assert len({read_token(text).kid for text in tokens}) == 1
    assert all(world.is_good(text) for text in tokens)
    assert len(world.events()) == 1


def test_token_of_the_key_before_is_good_until_it_ends_and_not_for_ever(world: World) -> None:
    before = world.sign()
    world.rotate()
    after = world.sign()
    assert read_token(before).kid != read_token(after).kid
    assert OVERLAP.total_seconds() > ACCESS_LASTS.total_seconds() + SKEW_S
    world.now += OVERLAP - (datetime.now(UTC) - world.now) - ACCESS_LASTS / 100
    assert (world.is_good(before), world.is_good(after)) == (True, True)
    world.now += ACCESS_LASTS / 50
    assert (world.is_good(before), world.is_good(after)) == (False, True)


def test_keys_of_one_tenant_are_none_of_another(world: World) -> None:
    text = world.sign(BOLT)
    world.sign()
    assert world.is_good(text, BOLT)
    assert not world.is_good(text)


def test_private_key_is_in_no_event_and_in_no_file_as_it_is(world: World, tmp_path: Path) -> None:
    command = asyncio.run(world.signing().new_key(ACME))
    private = orjson.loads(
        ProviderSecrets(MasterKey(b"m" * 32)).open(ACME, f"signing key {command.kid}", command.sealed)
    )
    world.writer.write([submission(command, tenant="acme")])
    assert len(private["d"]) == 43
    assert files_with(private["d"], tmp_path) == []
    [event] = world.events()
    assert event.data.keys() == {"kid", "x", "y", "number"}
    # the part that replaced it leaves nothing behind but what is public
    world.rotate()
    parts = world.credentials.of_stream(ACME, event.stream)
    assert not [part for part in parts if command.sealed.encode() in part.value]


def test_another_master_key_opens_no_signing_key(world: World) -> None:
    world.sign()
    with pytest.raises(Tampered):
        world.sign(signing=world.signing(b"x" * 32))


def test_sealed_key_opens_for_no_other_tenant_and_as_no_provider_key(world: World) -> None:
    command = asyncio.run(world.signing().new_key(ACME))
    box = ProviderSecrets(MasterKey(b"m" * 32))
    for tenant_id, name in ((BOLT, f"signing key {command.kid}"), (ACME, command.kid)):
        with pytest.raises(Tampered):
            box.open(tenant_id, name, command.sealed)


def test_keys_are_published_and_rotated_over_http(way: WaysIn) -> None:
    def kids(tenant: str = "demo") -> list[str]:
        return [key["kid"] for key in way.client.get(f"/oauth/{tenant}/jwks.json").raise_for_status().json()["keys"]]

    # whether there is such a tenant is not told
    assert kids() == kids("nobody") == []
    first = way.post("/v1/signing_keys", headers={"Idempotency-Key": "one"})
    assert first.status_code == 200, first.text
    again = way.post("/v1/signing_keys", headers={"Idempotency-Key": "one"})
    assert (again.json()["repeated"], again.json()["version"]) == (True, 1)
    assert way.post("/v1/signing_keys").json()["version"] == 2
    [one, two] = kids()
    assert one != two
    assert kids("acme") == []
    [key, _] = way.client.get("/oauth/demo/jwks.json").json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert "signing_key-demo" not in first.text or "sealed" not in first.text


def test_who_manages_no_keys_rotates_none(way: WaysIn) -> None:
    refused(way.post("/v1/signing_keys", key="fleet"), 403)
    refused(way.client.post("/v1/signing_keys"), 401)
    refused(way.command("identity.RotateSigningKey", {}), 404)


def test_metadata_stands_where_the_issuer_says_and_names_its_keys(way: WaysIn) -> None:
    found = way.client.get("/.well-known/oauth-authorization-server/oauth/demo").json()
    base = str(way.client.base_url).rstrip("/")
    assert found["issuer"] == f"{base}/oauth/demo"
    assert way.client.get(found["jwks_uri"]).json() == {"keys": []}
