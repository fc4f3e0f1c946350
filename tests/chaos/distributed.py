"""Workers, gateways and the broker are killed or paused while callers write, and then the log is checked."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from infra.kafka.connection import (
    PARTITION_END,
    Connection,
    appended_ms,
    headers_of,
    high_watermarks,
    last_stable_offsets,
)
from infra.kafka.partitions import SESSION_TIMEOUT_MS
from schemas.envelope import Envelope, Topic
from schemas.kafka_record import decode_kafka, kafka_record, position_of
from streams.topics import Topics
from tests.chaos.deployment import TENANTS, Deployment
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
from tests.chaos.invitations import Ended, ends_of, invites, over
from tests.chaos.keys import Again, used_again, uses_keys_again

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

_PAUSE_S = 0.02
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
    keys: Again
    processes: Ended
    failures: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        return {
            **self._asdict(),
            "log": self.log._asdict(),
            "keys": self.keys._asdict(),
            "processes": self.processes._asdict(),
        }


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
                    uses_keys_again(f"{tenant}-keys"),
                    invites(f"{tenant}-guest"),
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
        _wait_for_ends(connection, topics, history)
        say("proving")
    left_open = _left_open(connection, topics)
    events = read_topic(connection, topics, Topic.EVENTS)
    findings = check(history, events, read_topic(connection, topics, Topic.TELEMETRY))
    asked_ids, answered = set(history.asked), {id_ for id_, _, _ in history.commands}
    caused = {event.command_id for event in events if event.event_id not in before}
    unanswered = asked_ids - answered
    # what processes ask has ids that no caller can name
    unasked = len({id_ for id_ in caused - asked_ids if not id_.startswith("system ")})
    again, ends = used_again(history, events), ends_of(history.invited, events)
    ended = Counter(f"{m.name} with {status}" for m in deployment.members for status in m.ended)
    # the totals stand first
    differences = findings.holes + findings.wrong_answers + findings.versions_won_twice + unasked
    differences += sum(again[2:]) + sum(ends[3:])
    failures = [
        f"{found} {name}"
        for name, found in {
            "lost": findings.lost,
            "doubled": findings.doubled,
            "times that fell": findings.times_fell,
            "differences between the log and what was answered": differences,
            "rounds of two commands that were not won by exactly one": rounds - won,
            "transactions left open": left_open,
            **{f"of keys: {name}": getattr(again, name) for name in Again._fields[2:]},
            **{f"of processes: {name}": getattr(ends, name) for name in Ended._fields[3:]},
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
        keys=again,
        processes=ends,
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


def _wait_for_ends(connection: Connection, topics: Topics, history: History) -> None:
    """Wait until no invitation is open any more."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while not over(history.invited, read_topic(connection, topics, Topic.EVENTS)):
        assert time.monotonic() < deadline, "an invitation does not end"
        time.sleep(0.5)


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
                is_fact = topic is Topic.TELEMETRY
                stamped = appended_ms(message) if is_fact else None
                record = kafka_record(message.key(), message.value(), headers_of(message), appended_ms=stamped)
                position = offset + 1 if is_fact else position_of(record)
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
