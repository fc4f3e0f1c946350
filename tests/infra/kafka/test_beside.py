"""What stands beside the events on the real broker: answers without events, and the keys of personal fields."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import TopicPartition

from domain.identity.api_key import IssueApiKey, RequestLimits, RevokeApiKey
from domain.identity.session import EndSession, StartSession
from domain.identity.tenant import SetQuota
from domain.identity.user import DisableUser, InviteUser, Role, SetPassword
from domain.message import Command
from domain.sales.lead import CaptureLead, ScoreLead
from infra.kafka.beside import DESTROYED, key_name
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.command_queue import KafkaCommandQueue
from infra.kafka.connection import PARTITION_END
from infra.kafka.credentials import KafkaCredentials
from infra.kafka.event_log import KafkaEventLog
from infra.kafka.followed_topic import FollowedTopic
from infra.kafka.key_finder import KafkaKeyFinder
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.sealed_commands import SealedCommands
from infra.master_key import MasterKey
from projections.consents import consent_of
from projections.credentials import Quota, RateLimits, values_of
from projections.keys import KeysUnusable
from projections.own_issuer import client_of, private_key_of, signing_keys_of
from projections.personal import opened
from projections.sign_in import Parts, member_of, offer_of, session_of
from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.key_ids import key_tag
from schemas.personal import ERASED
from streams.ports import Batch, Reply, SystemClock
from streams.topics import Beside
from streams.write.worker import CommandWorker
from streams.write.writer import Writer
from tests.cluster import MASTER_KEY, Cluster, until
from tests.contracts.event_log import ACME
from tests.examples.identity import (
    DISTRUST_ISSUER,
    END_CONSENT,
    GIVE_CONSENT,
    REDEEM_CODE,
    REGISTER_CLIENT,
    REVOKE_CLIENT,
    ROTATE_REFRESH_TOKEN,
    ROTATE_SIGNING_KEY,
    TRUST_ISSUER,
)
from tests.streams.kit import register, register_tenant, submission, tag

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

EMAIL = "marvin@example.test"
CAPTURE = submission(CaptureLead(lead_id="l1", source="referral", email=EMAIL), tenant="acme")
LEAD = StreamId("lead-l1")


@pytest.fixture
def cluster(kafka: "Kafka") -> Cluster:
    return Cluster(kafka.bootstrap)


@pytest.fixture
def log(cluster: Cluster, tmp_path: Path) -> Iterator[KafkaEventLog]:
    with closing(cluster.open(tmp_path / "first", "first")) as log:
        Writer(log, SystemClock()).write([register_tenant("acme"), CAPTURE])
        yield log


def records(cluster: Cluster, topic: str) -> list[bytes]:
    """Return the values of all records of a topic that were committed."""
    found: list[bytes] = []
    with closing(cluster.connection.consumer("test", enable_partition_eof=True)) as consumer:
        consumer.assign([TopicPartition(topic, at, 0) for at in range(cluster.topics.partitions)])
        ends = 0
        while ends < cluster.topics.partitions:
            for message in consumer.consume(100, 1.0):
                if (error := message.error()) is not None:
                    assert error.code() == PARTITION_END
                    ends += 1
                else:
                    found.append(message.value() or b"")
    return found


def followed(cluster: Cluster, folder: Path) -> FollowedTopic:
    topic = FollowedTopic(cluster.connection, cluster.topics, Beside.KEYS, folder / "keys.sqlite")
    until(lambda: topic.is_complete, 30)
    return topic


def captured(cluster: Cluster) -> Envelope:
    found: list[Envelope] = []

    def is_seen() -> bool:
        # a commit is answered a moment before readers see it
        entries = reader.read(Topic.EVENTS, cluster.home, after=0, limit=10)
        found.extend(one for one in entries if isinstance(one, Envelope) and one.stream == LEAD)
        return bool(found)

    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        until(is_seen, 30)
    return found[0]


def test_gateway_opens_what_a_writer_sealed_until_the_key_is_destroyed(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    assert not any(EMAIL.encode() in value for value in records(cluster, cluster.topics.events))
    with closing(followed(cluster, tmp_path)) as keys:
        finder = KafkaKeyFinder(keys, MasterKey(bytes.fromhex(MASTER_KEY)))
        event = captured(cluster)
        assert opened(event, finder).data["email"] == EMAIL
        producer = cluster.connection.producer()
        name = key_name((ACME, LEAD))
        producer.produce(cluster.topics.beside(Beside.KEYS), DESTROYED, name, cluster.home)
        producer.flush()
        until(lambda: keys.find([name])[name] == DESTROYED, 30)
        assert opened(event, finder).data["email"] == ERASED


def test_another_master_key_is_told_of_by_the_name_of_its_setting(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    assert log.owned
    with closing(followed(cluster, tmp_path)) as keys, pytest.raises(KeysUnusable, match="FACTLINE_MASTER_KEY_FILE"):
        KafkaKeyFinder(keys, MasterKey(bytes(32))).find([(ACME, LEAD)])


def test_command_with_personal_data_is_not_in_the_open_on_its_topic(cluster: Cluster, tmp_path: Path) -> None:
    sealing = SealedCommands(MasterKey(bytes.fromhex(MASTER_KEY)))

    async def call(log: KafkaEventLog, gate: KafkaCommandGate) -> Reply:
        sent = asyncio.ensure_future(gate.execute(CAPTURE))
        worker = CommandWorker(KafkaCommandQueue(log), Writer(log, SystemClock()))
        while not sent.done():
            await asyncio.to_thread(worker.turn, 0.1)
        return await sent

    with closing(cluster.open(tmp_path)) as log:
        Writer(log, SystemClock()).write([register_tenant("acme")])
        with closing(KafkaCommandGate(cluster.connection, cluster.topics, sealing=sealing)) as gate:
            assert asyncio.run(call(log, gate)).outcome == "accepted"
        with (
            closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate,
            pytest.raises(ValueError, match="give the gate the master key"),
        ):
            asyncio.run(gate.execute(CAPTURE))
    [message] = records(cluster, cluster.topics.commands)
    assert EMAIL.encode() not in message
    assert EMAIL.encode() in sealing.opened(message)


def test_new_owner_seals_with_the_key_that_was_made_before(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    key = log._keys.find([(ACME, LEAD)])
    log.close()
    with closing(cluster.open(tmp_path / "new", "new")) as new:
        assert new._keys.find([(ACME, LEAD)]) == new._keys.make([(ACME, LEAD)]) == key
        [scored] = Writer(new, SystemClock()).write([submission(ScoreLead(lead_id="l1"), tenant="acme")])
        assert scored.outcome == "accepted"


def test_key_of_a_batch_that_was_not_kept_is_not_kept_either(cluster: Cluster, log: KafkaEventLog) -> None:
    lead = submission(CaptureLead(lead_id="l2", source="referral", email=EMAIL), tenant="acme")
    schema_ids, log._schema_ids = log._schema_ids, {}
    with pytest.raises(KeyError):
        Writer(log, SystemClock()).write([lead])
    log._schema_ids = schema_ids
    assert log._keys.find([(ACME, "lead-l2")]) == {}
    assert len(records(cluster, cluster.topics.beside(Beside.KEYS))) == 1


def test_new_owner_without_a_copy_of_its_own_gives_the_first_answer_to_what_was_refused(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    refused = tag("web-9", "a", tenant="acme", id_="r", hash_=b"1")
    [first] = Writer(log, SystemClock()).write([refused])
    log.close()
    with closing(cluster.open(tmp_path / "new", "new")) as new:
        writer = Writer(new, SystemClock())
        writer.write([register("web-9", tenant="acme")])
        assert writer.write([refused]) == [first._replace(repeated=True)]
        [reused] = writer.write([refused._replace(command_hash=b"2")])
        assert reused.refusal is not None
        assert reused.refusal.kind.value == "reused"


def known(cluster: Cluster, folder: Path) -> FollowedTopic:
    topic = FollowedTopic(cluster.connection, cluster.topics, Beside.CREDENTIALS, folder / "credentials.sqlite")
    until(lambda: topic.is_complete, 30)
    return topic


def test_gateway_knows_keys_and_tenants_of_their_own_topic_and_no_event_has_a_hash(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    key, digest = f"{key_tag(ACME)}one", "a1" * 32
    writer = Writer(log, SystemClock())
    issue = IssueApiKey(key_id=key, secret_sha256=digest, scopes=("*",), limits=RequestLimits(minute=5))
    quota = SetQuota(tenant_id="acme", live_streams=3)
    writer.write([submission(issue, tenant="acme"), submission(quota, tenant="acme")])
    with closing(known(cluster, tmp_path)) as topic:
        credentials = KafkaCredentials(topic)
        until(lambda: bool(credentials.find(key)), 30)
        assert [one[:3] for one in credentials.find(key)] == [(ACME, key, digest)]
        assert credentials.status_of(ACME) == credentials.tenants()[ACME] == "ACTIVE"
        assert credentials.find(key[:-1]) == []
        assert credentials.find(key)[0].limits == RateLimits(minute=5)
        assert credentials.quota_of(ACME) == Quota(live_streams=3)
        writer.write([submission(RevokeApiKey(key_id=key), tenant="acme")])
        until(lambda: credentials.of_tenant(ACME)[0].revoked, 30)
    assert not any(digest.encode() in value for value in records(cluster, cluster.topics.events))


def test_topic_is_followed_on_after_a_fault_that_nobody_foresaw_and_meanwhile_nobody_is_let_in(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"{key_tag(ACME)}one"
    with closing(known(cluster, tmp_path)) as topic:
        keep = topic._kept.keep
        broken = True

        def failing(*what: Any) -> None:
            if broken:
                raise KeyError("nobody foresaw it")
            keep(*what)

        monkeypatch.setattr(topic._kept, "keep", failing)
        issue = IssueApiKey(key_id=key, secret_sha256="a1" * 32, scopes=("*",))
        Writer(log, SystemClock()).write([submission(issue, tenant="acme")])
        until(lambda: topic.error is not None, 30)
        assert topic.error == "KeyError: 'nobody foresaw it'"
        with pytest.raises(StoreUnavailable, match="nobody foresaw it"):
            KafkaCredentials(topic).find(key)
        broken = False
        until(lambda: topic.error is None, 30)
        until(lambda: bool(KafkaCredentials(topic).find(key)), 30)


def test_gateway_knows_issuers_users_and_sessions_and_when_they_are_out(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    writer = Writer(log, SystemClock())
    invite = InviteUser(user_id="sam", email="sam@acme.example", roles=(Role.USER,), token_sha256="c3" * 32)
    hashed = SetPassword(user_id="sam", password_hash="$argon2id$of-sam")
    start = StartSession(session_id="s1", user_id="sam", secret_sha256="d4" * 32, password=1)
    for command in (TRUST_ISSUER, invite, hashed, start):
        [reply] = writer.write([submission(command, tenant="acme")])
        assert reply.refusal is None
    with closing(known(cluster, tmp_path)) as topic:
        credentials = KafkaCredentials(topic)

        def parts(stream: str) -> Parts:
            return values_of(credentials.of_stream(ACME, StreamId(stream)))

        until(lambda: session_of(parts("session-s1")) is not None, 30)
        assert member_of(parts("user-sam")) == (("USER",), "$argon2id$of-sam", 1)
        assert offer_of(parts("user-sam")) is None
        assert [one[:3] for one in credentials.issuers(ACME)] == [(ACME, "keycloak", TRUST_ISSUER.issuer)]
        assert not credentials.issuers(TenantId("bolt"))
        assert not credentials.of_stream(TenantId("bolt"), StreamId("user-sam"))
        for last in (DISTRUST_ISSUER, DisableUser(user_id="sam"), EndSession(session_id="s1")):
            writer.write([submission(last, tenant="acme")])
        until(lambda: session_of(parts("session-s1")) is None, 30)
        assert member_of(parts("user-sam")) is None
        assert not credentials.issuers(ACME)
    secrets = (b"c3" * 32, b"d4" * 32, b"argon2id")
    assert not any(secret in value for value in records(cluster, cluster.topics.events) for secret in secrets)


def test_gateway_knows_signing_keys_clients_and_consents_and_when_they_are_out(
    cluster: Cluster, log: KafkaEventLog, tmp_path: Path
) -> None:
    writer = Writer(log, SystemClock())

    def told(*commands: Command) -> None:
        for command in commands:
            [reply] = writer.write([submission(command, tenant="acme")])
            assert reply.refusal is None

    told(ROTATE_SIGNING_KEY, REGISTER_CLIENT, GIVE_CONSENT, REDEEM_CODE)
    with closing(known(cluster, tmp_path)) as topic:
        credentials = KafkaCredentials(topic)

        def parts(stream: StreamId, tenant: TenantId = ACME) -> Parts:
            return values_of(credentials.of_stream(tenant, stream))

        def refresh() -> int:
            found = consent_of(parts(GIVE_CONSENT.stream))
            return found.refresh.number if found and found.refresh else 0

        until(lambda: refresh() == 1, 30)
        keys = parts(ROTATE_SIGNING_KEY.stream)
        assert [key.kid for key in signing_keys_of(keys, SystemClock().now())] == [ROTATE_SIGNING_KEY.kid]
        assert private_key_of(keys) == (ROTATE_SIGNING_KEY.kid, ROTATE_SIGNING_KEY.sealed)
        client = client_of(parts(REGISTER_CLIENT.stream))
        assert client is not None
        assert (client.scopes, client.secrets_sha256) == (REGISTER_CLIENT.scopes, (REGISTER_CLIENT.secret_sha256,))
        assert not parts(REGISTER_CLIENT.stream, TenantId("bolt"))
        told(ROTATE_REFRESH_TOKEN)
        until(lambda: refresh() == 2, 30)
        told(END_CONSENT, REVOKE_CLIENT)
        until(lambda: client_of(parts(REGISTER_CLIENT.stream)) is None, 30)
        assert consent_of(parts(GIVE_CONSENT.stream)) is None
    secrets = (b"a1" * 32, b"b2" * 32, ROTATE_SIGNING_KEY.sealed.encode())
    assert not any(secret in value for value in records(cluster, cluster.topics.events) for secret in secrets)


def test_worker_takes_over_the_keys_that_an_earlier_version_recorded(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        # which wrote nothing but the events
        earlier.setattr("infra.kafka.event_log.parts_of", lambda _event: ())
        earlier.setattr(KafkaEventLog, "fill_credentials", lambda _log: None)
        with closing(cluster.open(tmp_path / "old", "old")) as log:
            Writer(log, SystemClock()).write([register_tenant("acme"), CAPTURE])
            issued = {"key_id": "old", "prefix": "ak_old", "secret_sha256": "b2" * 32, "scopes": ["*"], "name": None}
            old = captured(cluster)._replace(
                stream=StreamId("api_key-old"), type="api_key.issued", schema_version=1, version=1, data=issued
            )
            log.append(Batch([old._replace(position=log.end(Topic.EVENTS, cluster.home) + 1)], ()))
    with closing(cluster.open(tmp_path / "new", "new")), closing(known(cluster, tmp_path)) as topic:
        credentials = KafkaCredentials(topic)
        until(lambda: bool(credentials.find("old")), 30)
        assert [one.secret_sha256 for one in credentials.find("old")] == ["b2" * 32]
        assert credentials.status_of(ACME) == "ACTIVE"
    before = len(records(cluster, cluster.topics.beside(Beside.CREDENTIALS)))
    with closing(cluster.open(tmp_path / "again", "again")):
        pass
    assert len(records(cluster, cluster.topics.beside(Beside.CREDENTIALS))) == before
