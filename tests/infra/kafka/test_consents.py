"""Two gateways that follow the same topic give tokens of one key, and take each other's codes and refresh tokens."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.identity.client import ClientKind, RegisterClient
from domain.identity.user import InviteUser, Role, SetPassword
from infra.kafka.credentials import KafkaCredentials
from infra.kafka.followed_topic import FollowedTopic
from infra.master_key import MasterKey
from infra.provider_secrets import ProviderSecrets
from read_api.edge.auth import Caller, CredentialKind
from read_api.edge.jws import read_token
from streams.intake.http.consents import Asked, Consents, challenge_of
from streams.intake.http.signing import Signing
from streams.intake.http.token_requests import AskingClients, TokenRefused
from streams.ports import SystemClock
from streams.topics import Beside
from streams.write.gate import CommandGate
from streams.write.writer import Writer
from tests.cluster import MASTER_KEY, Cluster, until
from tests.contracts.event_log import ACME
from tests.streams.kit import register_tenant, submission

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

URI, VERIFIER, CLIENT = "https://reports.example/signed-in", "v" * 43, "acme.c1"
GATEWAYS = 2


class GatewayOfTest:
    """What one gateway has of its own: its copy of the credentials."""

    def __init__(self, gate: CommandGate, topic: FollowedTopic) -> None:
        self.topic = topic
        self.credentials = KafkaCredentials(topic)
        self.signing = Signing(gate, self.credentials, ProviderSecrets(MasterKey(bytes.fromhex(MASTER_KEY))))
        self.consents = Consents(gate, self.credentials)
        self.clients = AskingClients(self.credentials)


@pytest.fixture
def gateways(kafka: "Kafka", tmp_path: Path) -> Iterator[list[GatewayOfTest]]:
    cluster = Cluster(kafka.bootstrap)
    with ExitStack() as stack:
        deciding = stack.enter_context(ThreadPoolExecutor(1))
        log = stack.enter_context(closing(cluster.open(tmp_path / "log", "log")))
        writer = Writer(log, SystemClock())
        commands = (
            RegisterClient(client_id=CLIENT, name="c", kind=ClientKind.PUBLIC, redirect_uris=(URI,), scopes=("*",)),
            InviteUser(user_id="ann", email="ann@acme.example", roles=(Role.USER,)),
            SetPassword(user_id="ann", password_hash="x"),
        )
        replies = writer.write([register_tenant("acme"), *(submission(one, tenant="acme") for one in commands)])
        assert [reply.refusal for reply in replies] == [None] * 4
        gate = CommandGate(writer, deciding)
        found = []
        for number in range(GATEWAYS):
            file = tmp_path / f"credentials-{number}.sqlite"
            topic = FollowedTopic(cluster.connection, cluster.topics, Beside.CREDENTIALS, file)
            found.append(GatewayOfTest(gate, stack.enter_context(closing(topic))))
        for gateway in found:
            until(lambda: gateway.topic.is_complete and gateway.credentials.status_of(ACME) == "ACTIVE", 30)  # noqa: B023
        yield found


def test_gateways_go_on_with_what_another_one_gave(gateways: list[GatewayOfTest]) -> None:
    one, other = gateways

    async def walk() -> None:
        asking = await one.clients.find(CLIENT)
        assert asking is not None
        caller = Caller(ACME, "ann", (), kind=CredentialKind.SESSION, roles=("USER",))
        code = await one.consents.give(Asked(asking, URI, ("*",), challenge_of(VERIFIER)), caller)
        # at once: what the other one follows may be a moment behind
        tokens = [(await other.consents.redeem(asking, code, URI, VERIFIER)).refresh_token]
        for gateway in (one, other, one):
            tokens.append((await gateway.consents.refresh(asking, tokens[-1], None)).refresh_token)
        assert len(set(tokens)) == 4
        with pytest.raises(TokenRefused):
            await other.consents.refresh(asking, tokens[0], None)
        for gateway in gateways:
            with pytest.raises(TokenRefused):
                await gateway.consents.refresh(asking, tokens[-1], None)

    asyncio.run(walk())


def test_gateways_that_need_the_first_key_at_once_sign_with_one(gateways: list[GatewayOfTest]) -> None:
    async def at_once() -> list[str]:
        return list(await asyncio.gather(*(gateway.signing.sign(ACME, {}) for gateway in gateways)))

    kids = {read_token(text).kid for text in asyncio.run(at_once())}
    assert len(kids) == 1
    for gateway in gateways:
        assert {key.kid for key in asyncio.run(gateway.signing.public_keys(ACME))} == kids
