"""Workers, gateways and the broker are killed or paused while callers write, and then the log is checked."""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from infra.engines import process
from infra.kafka.connection import PARTITION_END, Connection, high_watermarks, last_stable_offsets
from infra.kafka.partitions import SESSION_TIMEOUT_MS
from schemas.envelope import Envelope, Topic
from schemas.kafka_record import decode_kafka, kafka_record, position_of
from streams.topics import Topics
from tests.chaos.embedded import free_port
from tests.chaos.history import (
    Findings,
    History,
    Session,
    asks_in_vain,
    asks_twice,
    calling,
    check,
    does_not_wait,
    register,
    reports,
    rivals_for,
    tag,
    tags_devices,
)
from tests.cluster import master_key_file

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

MACHINES = 2
TENANTS = ("acme", "bolt", "core")
_PAUSE_S = 0.02
_STARTS_WITHIN_S = 90.0
_ENDS_WITHIN_S = 90.0
_PAUSED_S = SESSION_TIMEOUT_MS / 1000 + 3
_HAS_TO_BE_STARTED_AGAIN = (1, 3)

Say = Callable[[str], None]


class Result(NamedTuple):
    """What a run found; `failures` names what must not be, and is empty when all held.

    Shape: `differences` counts the places where the log is not what callers were told, or not dense; `unanswered` are
    commands whose caller did not wait, `unanswered_in_log` those of them that are in the log, which is allowed once.
    """

    seed: int
    kills: int
    kills_of_workers: int
    kills_of_gateways: int
    pauses: int
    kills_of_the_broker: int
    ended_by_themselves: Mapping[str, int]
    seconds: float
    longest_without_answer_s: float
    commands: int
    accepted: int
    refused: int
    unanswered: int
    unanswered_in_log: int
    facts: int
    tries: int
    broken_connections: int
    rounds: int
    rounds_won_once: int
    lost: int
    doubled: int
    differences: int
    unasked: int
    transactions_left_open: int
    log: Findings
    failures: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "log": self.log._asdict()}


class Member:
    """A worker or gateway as a process; `keep` starts it again when it has ended by itself."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        module: str = "infra.cli.main",
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.ended: list[int] = []
        self._pid_file = folder / f"{name}.pid"
        # `env` becomes the program: the process is tethered to this one, and has no orphans
        settings = [f"{key}={value}" for key, value in environment.items()]
        self._command = ["env", *settings, sys.executable, "-m", module, *arguments]
        self._lock = threading.Lock()
        self._child = self._spawn()

    def _spawn(self) -> Any:
        return process.spawn(self._command, log=self.log, pid_file=self._pid_file, detach=False)

    def keep(self) -> None:
        # whoever holds the lock has ended it, and starts it again
        if not self._lock.acquire(blocking=False):
            return
        try:
            if (status := self._child.poll()) is not None:
                self.ended.append(status)
                self._child = self._spawn()
        finally:
            self._lock.release()

    def kill(self, away_s: float) -> None:
        """End it with SIGKILL, and start it again after a while."""
        with self._lock:
            self._child.kill()
            self._child.wait()
            time.sleep(away_s)
            self._child = self._spawn()

    def end(self, away_s: float) -> None:
        """End it in order, as a deployment does, and start it again; the status of one that did not is kept."""
        with self._lock:
            self._child.terminate()
            # one that had only begun to start has no say in how it ends
            if (status := self._child.wait(_ENDS_WITHIN_S)) not in (0, -signal.SIGTERM):
                self.ended.append(status)
            time.sleep(away_s)
            self._child = self._spawn()

    def pause(self, for_s: float) -> None:
        self._child.send_signal(signal.SIGSTOP)
        time.sleep(for_s)
        self._child.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order, by force if that takes too long."""
        self._child.terminate()
        try:
            self._child.wait(30)
        finally:
            self._child.kill()
            self._child.wait()


class Deployment:
    """Two machines with a worker and a gateway each, over one broker."""

    def __init__(self, kafka: "Kafka", registry_url: str, topics: Topics, folder: Path) -> None:
        self.kafka, self.topics, self._folder = kafka, topics, folder
        ports = [free_port() for _ in range(MACHINES)]
        self.addresses = [f"http://127.0.0.1:{port}" for port in ports]
        common = {
            "FACTLINE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "FACTLINE_REGISTRY_URL": registry_url,
            "FACTLINE_TOPIC_PREFIX": topics.prefix,
            "FACTLINE_PARTITIONS": str(topics.partitions),
            "FACTLINE_MASTER_KEY_FILE": master_key_file(folder),
        }
        migrating = process.run(
            ["env", *(f"{k}={v}" for k, v in common.items()), f"DATA_DIR={folder}", *cli("migrate", "--only", "log")]
        )
        assert migrating.returncode == 0, migrating.stdout + migrating.stderr
        self.workers, self.gateways = [], []
        for n, port in enumerate(ports):
            here = common | {"DATA_DIR": str(folder / f"machine-{n}"), "PORT": str(port)}
            self.workers.append(Member(f"worker-{n}", ["worker", "commands"], here, folder))
            self.gateways.append(Member(f"gateway-{n}", ["serve", "--profile", "distributed"], here, folder))
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    @property
    def members(self) -> list[Member]:
        return [*self.workers, *self.gateways]

    def _keep(self) -> None:
        while not self._stopping.wait(0.1):
            for member in self.members:
                member.keep()

    def stop(self) -> None:
        self._stopping.set()
        self._keeper.join()
        # gateways first: what they have sent is still decided
        for member in [*self.gateways, *self.workers]:
            member.stop()

    def keys(self) -> Mapping[str, str]:
        """Register the tenants; return an API key for each."""
        operator = _until(self._operator_key, _STARTS_WITHIN_S)
        with httpx.Client(headers={"X-API-Key": operator}, timeout=30, trust_env=False) as client:
            return {tenant: _until(partial(self._register, client, tenant), _STARTS_WITHIN_S) for tenant in TENANTS}

    def _operator_key(self) -> str | None:
        found = sorted(self._folder.glob("machine-*/gateways/*/operator.key"))
        return found[0].read_text().strip() if found else None

    def _register(self, client: httpx.Client, tenant: str) -> str | None:
        try:
            answer = client.post(f"{self.addresses[0]}/v1/tenants", json={"tenant_id": tenant, "name": tenant})
        except httpx.TransportError:
            return None
        if answer.status_code in (401, 503):
            return None
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["api_key"]
        return key


class Arena:
    """Rounds of two commands with the same expected version, each through a gateway of its own."""

    def __init__(self, sessions: Sequence[Session], rounds: int, random_: random.Random) -> None:
        self._sessions, self._rounds, self._random = sessions, rounds, random_
        self._barrier = threading.Barrier(2)
        self._outcomes: list[list[str]] = [[], []]
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._compete, args=(me,)) for me in range(2)]
        self._pacing = True

    def start(self) -> None:
        self._sessions[0].commands([register("arena")])
        for thread in self._threads:
            thread.start()

    def finish(self) -> int:
        """Let the rest of the rounds be fought without pauses; return how many rounds exactly one has won."""
        self._pacing = False
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
        return sum(sorted(pair) == ["accepted", "refused"] for pair in zip(*self._outcomes, strict=True))

    def _compete(self, me: int) -> None:
        try:
            for n in range(1, self._rounds + 1):
                item = {**tag(f"arena-{me}-{n}", "arena", f"{me} in {n}"), "expected_version": n}
                if self._pacing:
                    time.sleep(self._random.random() * 0.5)
                self._barrier.wait()
                self._outcomes[me].append(self._sessions[me].command(item)["outcome"])
        except BaseException as error:
            self._failures.append(error)
            self._barrier.abort()


def run(
    kafka: "Kafka",
    registry_url: str,
    *,
    kills: int,
    pauses: int,
    broker_kills: int,
    rounds: int,
    seed: int,
    folder: Path,
    say: Say,
) -> Result:
    began = time.monotonic()
    chance = random.Random(seed)
    topics = Topics(f"chaos-{seed}-{os.getpid()}", 4)
    connection = Connection(kafka.bootstrap)
    history = History()
    faults = (
        ["worker", "gateway"] * (kills // 2) + ["worker"] * (kills % 2) + ["pause"] * pauses + ["broker"] * broker_kills
    )
    chance.shuffle(faults)
    killed: Counter[str] = Counter()
    longest = 0.0
    with _deployed(kafka, registry_url, topics, folder) as deployment:
        keys = deployment.keys()
        before = {event.event_id for event in read_topic(connection, topics, Topic.EVENTS)}
        say("load begins")
        with ExitStack() as stack:
            sessions = {
                tenant: stack.enter_context(closing(Session(deployment.addresses, key, history)))
                for tenant, key in keys.items()
            }
            for session, tenant in zip(sessions.values(), TENANTS, strict=True):
                session.commands([register(f"probe-{tenant}")])
            rivals = [
                stack.enter_context(closing(Session(addresses, keys[TENANTS[0]], history)))
                for addresses in (deployment.addresses, deployment.addresses[::-1])
            ]
            arena = Arena(rivals, rounds, random.Random(seed))
            arena.start()
            for n, (tenant, key) in enumerate(keys.items()):
                callers = stack.enter_context(
                    calling(deployment.addresses, key, history, seed=seed * 100 + n, pause_s=_PAUSE_S)
                )
                for caller in (
                    tags_devices(f"{tenant}-own"),
                    rivals_for(f"{tenant}-shared", f"{tenant}-one"),
                    rivals_for(f"{tenant}-shared", f"{tenant}-two"),
                    asks_in_vain(f"{tenant}-nothing"),
                    asks_twice(f"{tenant}-twice"),
                    does_not_wait(f"{tenant}-gone"),
                ):
                    callers.start(caller)
                if n == 0:
                    # one is enough: most of what is read in the end are facts
                    callers.start(reports(f"{tenant}-meter"))
            for n, fault in enumerate(faults, 1):
                time.sleep(chance.uniform(0.2, 2))
                asked = time.monotonic()
                killed[what := _disturb(deployment, fault, chance)] += 1
                # now and then the next fault comes while this one is being mended
                if fault in ("pause", "broker") or chance.random() < 0.7:
                    _probe(sessions, n)
                    longest = max(longest, time.monotonic() - asked)
                say(f"{n} of {len(faults)} faults: {what}, {time.monotonic() - asked:.1f} s")
            _probe(sessions, len(faults) + 1)
            won = arena.finish()
        say("proving")
    left_open = _left_open(connection, topics)
    events = read_topic(connection, topics, Topic.EVENTS)
    findings = check(history, events, read_topic(connection, topics, Topic.TELEMETRY))
    asked_ids, answered = set(history.asked), {id_ for id_, _, _ in history.commands}
    caused = {event.command_id for event in events if event.event_id not in before}
    unanswered = asked_ids - answered
    unasked = len(caused - asked_ids)
    ended = Counter(f"{m.name} with {status}" for m in deployment.members for status in m.ended)
    differences = findings.holes + findings.wrong_answers + findings.versions_won_twice + unasked
    failures = [
        f"{found} {name}"
        for name, found in {
            "lost": findings.lost,
            "doubled": findings.doubled,
            "differences between the log and what was answered": differences,
            "rounds of two commands that were not won by exactly one": rounds - won,
            "transactions left open": left_open,
        }.items()
        if found
    ]
    for member in deployment.members:
        if wrong := [status for status in member.ended if status not in _HAS_TO_BE_STARTED_AGAIN]:
            failures.append(f"{member.name} ended by itself with {wrong}")
        if (at := (said := member.log.read_text()).find("Traceback")) >= 0:
            failures.append(f"{member.name} raised: {said[max(0, at - 200) : at + 2_000]}")
    replies = {id_: reply for id_, _, reply in history.commands}
    return Result(
        seed=seed,
        kills=kills,
        kills_of_workers=killed["worker killed"],
        kills_of_gateways=killed["gateway killed"],
        pauses=pauses,
        kills_of_the_broker=broker_kills,
        ended_by_themselves=ended,
        seconds=round(time.monotonic() - began, 1),
        longest_without_answer_s=round(longest, 1),
        commands=len(answered),
        accepted=sum(reply["outcome"] == "accepted" for reply in replies.values()),
        refused=sum(reply["outcome"] == "refused" for reply in replies.values()),
        unanswered=len(unanswered),
        unanswered_in_log=len(unanswered & caused),
        facts=len(set(history.facts)),
        tries=history.tries,
        broken_connections=history.broken,
        rounds=rounds,
        rounds_won_once=won,
        lost=findings.lost,
        doubled=findings.doubled,
        differences=differences,
        unasked=unasked,
        transactions_left_open=left_open,
        log=findings,
        failures=failures,
    )


@contextmanager
def _deployed(kafka: "Kafka", registry_url: str, topics: Topics, folder: Path) -> Iterator[Deployment]:
    deployment = Deployment(kafka, registry_url, topics, folder)
    try:
        yield deployment
    finally:
        deployment.stop()


def _disturb(deployment: Deployment, fault: str, chance: random.Random) -> str:
    if fault == "broker":
        deployment.kafka.kill()
        time.sleep(chance.uniform(0, 3))
        deployment.kafka.start()
        return "broker killed"
    if fault == "pause":
        chance.choice(deployment.workers).pause(_PAUSED_S)
        return "worker paused"
    chance.choice(deployment.workers if fault == "worker" else deployment.gateways).kill(chance.uniform(0, 2))
    return f"{fault} killed"


def _probe(sessions: Mapping[str, Session], n: int) -> None:
    """Wait until a command of every tenant is answered."""
    for tenant, session in sessions.items():
        session.commands([tag(f"probe-{tenant}-{n}", f"probe-{tenant}", str(n))])


def read_topic(connection: Connection, topics: Topics, topic: Topic) -> list[Envelope]:
    """Read a topic from its beginning, what was committed of it, without any index of ours."""
    found: list[Envelope] = []
    ends: set[int] = set()
    with closing(connection.consumer("chaos", enable_partition_eof=True)) as consumer:
        consumer.assign([TopicPartition(topics.of(topic), n, OFFSET_BEGINNING) for n in range(topics.partitions)])
        while len(ends) < topics.partitions:
            for message in consumer.consume(5_000, 1.0):
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                if (error := message.error()) is not None:
                    assert error.code() == PARTITION_END, error
                    ends.add(partition)
                    continue
                record = kafka_record(message.key(), message.value(), message.headers())  # type: ignore[arg-type]
                position = offset + 1 if topic is Topic.TELEMETRY else position_of(record)
                assert position is not None, f"a record without position at {partition}/{offset}"
                entry = decode_kafka(record, topic=topic, partition=partition, position=position)
                assert isinstance(entry, Envelope), entry
                found.append(entry)
    return found


def _left_open(connection: Connection, topics: Topics) -> int:
    """Count the partitions whose end is hidden behind a transaction that nobody will end."""
    admin, partitions = connection.admin(), range(topics.partitions)
    stable = last_stable_offsets(admin, topics.events, partitions)
    high = high_watermarks(admin, topics.events, partitions)
    return sum(stable[n] != high[n] for n in partitions)


def _until(find: Callable[[], str | None], timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    while (found := find()) is None:
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.1)
    return found


def cli(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infra.cli.main", *arguments]
