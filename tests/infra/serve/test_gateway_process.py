"""`factline serve --profile distributed` with a command worker, both as processes: what callers see, with and without
the broker."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from domain.catalog import facts_of
from domain.operations.served import ApiRequestServed
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.log_watch import LOOK_S
from infra.kafka.topics import create_topics
from infra.migrate import schema_registry
from infra.settings import Settings
from infra.watchdog import LOST
from schemas.envelope import Envelope, TenantId, Topic
from streams.identifiers import sender_id
from tests.cluster import Cluster, until
from tests.infra.cluster_process import ClusterProcess

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka
    from infra.engines.redis import Redis
    from infra.engines.registry import Registry

TENANT = TenantId("acme")
AWAY_S = 13.0
"""Longer than a gateway lets a command or a fact wait for the broker."""

ANSWERED_WITHIN_S = 30.0
CALLERS = 6


class Running(NamedTuple):
    """A gateway and a worker, and a client with the key of a tenant."""

    cluster: Cluster
    gateway: ClusterProcess
    client: httpx.Client


@pytest.fixture
def running(own_kafka: "Kafka", registry: "Registry", redis: "Redis", tmp_path: Path) -> Iterator[Running]:
    cluster = Cluster(own_kafka.bootstrap)
    schema_registry(Settings(cluster.bootstrap, registry.url, tmp_path, cluster.topics)).register()
    worker = ClusterProcess("worker commands --supervise", cluster, registry.url, tmp_path / "worker")
    counting = {"FACTLINE_REDIS_URL": redis.url}
    gateway = ClusterProcess("serve --profile distributed", cluster, registry.url, tmp_path / "gateway", more=counting)
    with closing(worker), closing(gateway):
        worker.run()
        gateway.run()
        with client_of(gateway) as client:
            yield Running(cluster, gateway, client)


@contextmanager
def client_of(gateway: ClusterProcess) -> Iterator[httpx.Client]:
    """Register a tenant with the operator's key; yield a client that has the tenant's."""
    key_file = gateway.folder / "gateways" / "0" / "operator.key"
    until(lambda: gateway.address is not None and key_file.exists(), 60)
    with httpx.Client(base_url=gateway.address or "", timeout=60, trust_env=False) as client:
        client.headers["X-API-Key"] = key_file.read_text().strip()
        wanted = {"tenant_id": TENANT, "name": "Acme Ltd"}
        client.headers["X-API-Key"] = known(lambda: client.post("/v1/tenants", json=wanted)).json()["api_key"]
        known(lambda: client.post("/v1/commands", json=[]))
        yield client


def known(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the gateway has read of the caller's key, and of all keys that were there when it started."""
    deadline = time.monotonic() + 60
    while (answer := ask()).status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    assert answer.is_success, answer.text
    return answer


def register(client: httpx.Client, id_: str) -> httpx.Response:
    body = {"device_id": id_, "hostname": f"{id_}.example"}
    return client.post("/v1/commands/fleet/RegisterDevice", json=body, headers={"Idempotency-Key": id_})


def report(client: httpx.Client, id_: str) -> httpx.Response:
    fact = {
        "type": "log.recorded",
        "device_id": "meter",
        "happened_at": "2026-01-31T08:30:00Z",
        "id": id_,
        "data": {"severity": "info", "summary": "tick"},
    }
    return client.post("/v1/telemetry", json=[fact])


def fact_id(id_: str) -> str:
    return sender_id(id_)


def in_log(cluster: Cluster, topic: Topic) -> Sequence[Envelope]:
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        entries = [
            entry
            for partition in range(reader.partitions)
            for entry in reader.read(topic, partition, after=0, limit=1_000_000)
            # how much was asked is recorded by the gateway itself
            if isinstance(entry, Envelope) and entry.tenant_id == TENANT and entry.type != ApiRequestServed.TYPE
        ]
    return entries if topic is Topic.EVENTS else [fact for record in entries for fact in facts_of(record)]


def test_gateway_takes_commands_and_facts_of_those_it_knows_as_often_as_they_may(running: Running) -> None:
    client = running.client
    # no store runs here: the answer is that those are away, and what is written needs none
    parts = client.get("/v1/ops/health").json()["parts"]
    assert [parts[name] for name in ("keys", "rate_limits", "live_messages")] == ["ok"] * 3
    first, again = register(client, "web-1").json(), register(client, "web-1").json()
    assert first["outcome"] == "accepted"
    assert again == {**first, "repeated": True}
    assert report(client, "fact-1").json()["accepted"] == 1
    for wrong in ("", "ak_0.sk_0", client.headers["X-API-Key"] + "x"):
        with httpx.Client(base_url=client.base_url, headers={"X-API-Key": wrong}, trust_env=False) as stranger:
            for answer in (register(stranger, "web-2"), report(stranger, "fact-2")):
                assert answer.status_code == 401
                assert answer.headers["Content-Type"] == "application/problem+json"
    assert [event.stream for event in in_log(running.cluster, Topic.EVENTS)][-1] == "device-web-1"
    assert [fact.event_id for fact in in_log(running.cluster, Topic.TELEMETRY)] == [fact_id("fact-1")]
    check_limits(client)
    check_replaced_log(running)


def check_replaced_log(running: Running) -> None:
    """Make the topic of events anew, as nobody should, and see that the gateway does not go on."""
    admin, topics = running.cluster.connection.admin(), running.cluster.topics
    for gone in admin.delete_topics([topics.events]).values():
        gone.result(30)
    # while it is not there nobody can tell what will be
    until(lambda: topics.events not in admin.list_topics(timeout=10).topics, 30)
    time.sleep(LOOK_S)
    create_topics(admin, topics, replication=1)
    assert running.gateway.wait(60) == LOST
    assert f"the log was replaced: {topics.events} was made anew" in running.gateway.said()
    with pytest.raises(httpx.TransportError):
        register(running.client, "web-1")


def check_limits(client: httpx.Client) -> None:
    wanted = {"name": "slow", "scopes": ["fleet:write"], "limits": {"minute": 2}}
    key = client.post("/v1/keys", json=wanted).json()["api_key"]
    with httpx.Client(base_url=client.base_url, headers={"X-API-Key": key}, trust_env=False) as slow:
        first = known(lambda: register(slow, "slow-1"))
        assert first.headers["X-RateLimit-Remaining-Minute"] == "1"
        assert register(slow, "slow-2").is_success
        denied = register(slow, "slow-3")
        assert denied.status_code == 429
        assert 50 < int(denied.headers["Retry-After"]) <= 60


class Answer(NamedTuple):
    id_: str
    response: httpx.Response
    seconds: float


Ask = Callable[[httpx.Client, str], httpx.Response]


def ask_on(ask: Ask, client: httpx.Client, name: str, answers: list[Answer], stop: threading.Event) -> None:
    """Ask one thing after the other, each once."""
    for n in count():
        if stop.is_set():
            return
        began, id_ = time.monotonic(), f"{name}-{n}"
        response = ask(client, id_)
        answers.append(Answer(id_, response, time.monotonic() - began))
        time.sleep(0.05)


def check_and_ask_again(answers: Sequence[Answer], ask: Ask, client: httpx.Client) -> None:
    """Look at what callers were told, then let them come again, as they were told to."""
    later = [answer for answer in answers if not answer.response.is_success]
    assert later
    assert max(answer.seconds for answer in answers) < ANSWERED_WITHIN_S
    for answer in later:
        assert answer.response.status_code == 503, answer.response.text
        assert answer.response.headers["Content-Type"] == "application/problem+json"
        assert int(answer.response.headers["Retry-After"]) > 0
        until(lambda answer=answer: ask(client, answer.id_).is_success, 60)  # type: ignore[misc]


def test_without_a_broker_callers_are_told_to_come_again_and_what_is_answered_is_in_the_log_once(
    running: Running, own_kafka: "Kafka"
) -> None:
    cluster, _, client = running
    stop = threading.Event()
    answers: dict[Ask, list[Answer]] = {register: [], report: []}
    with ThreadPoolExecutor(2 * CALLERS) as callers:
        asking = [
            callers.submit(ask_on, ask, client, f"{ask.__name__}-{n}", some, stop)
            for ask, some in answers.items()
            for n in range(CALLERS)
        ]
        until(lambda: all(len(some) >= CALLERS for some in answers.values()), 60)
        own_kafka.kill()
        time.sleep(AWAY_S)
        own_kafka.start()
        stop.set()
        for one in asking:
            one.result(60)
    for ask, some in answers.items():
        check_and_ask_again(some, ask, client)

    caused = Counter(event.command_id for event in in_log(cluster, Topic.EVENTS))
    commands = [answer.id_ for answer in answers[register]]
    assert {id_: caused[id_] for id_ in commands} == dict.fromkeys(commands, 1)
    kept = Counter(fact.event_id for fact in in_log(cluster, Topic.TELEMETRY))
    assert kept.keys() == {fact_id(answer.id_) for answer in answers[report]}
    # a fact that was sent twice may be there twice, under one id
    assert {kept[fact_id(answer.id_)] for answer in answers[report] if answer.response.is_success} == {1}
