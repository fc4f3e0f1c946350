"""This records what callers asked and were told while the server was killed, and checks the log against it."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import httpx

from domain.catalog import facts_of
from domain.rejection import Kind
from schemas.envelope import Envelope, StreamId, Topic
from streams.ports import LogReader

_RETRY_S = 0.02
_TIMEOUT_S = 20.0
_ANSWERED_WITHIN_S = 240.0


class Answered(NamedTuple):
    """A command and the reply its caller got, perhaps after many tries."""

    command_id: str
    expected_version: int | None
    reply: Mapping[str, Any]


class History:
    """Everything that was asked and answered. Safe for threads: each of them only appends."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.commands: list[Answered] = []
        self.facts: list[str] = []
        # what was told first, as said again, and what was told then; and of other commands under the same key
        self.repeated: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self.reused: list[Mapping[str, Any]] = []
        self.invited: list[Any] = []
        self.tries = 0
        self.broken = 0


class Session:
    """One caller: asks again, under the same ids, until a server answers: the first, or one of the others."""

    def __init__(self, addresses: Sequence[str], api_key: str, history: History, *, pause_s: float = 0) -> None:
        self._addresses = addresses
        self._client = httpx.Client(headers={"X-API-Key": api_key}, timeout=_TIMEOUT_S, trust_env=False)
        self.history = history
        self._pause_s = pause_s

    def close(self) -> None:
        self._client.close()

    def commands(self, items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        self.history.asked += [item["id"] for item in items]
        replies: list[Mapping[str, Any]] = self.ask("/v1/commands", items)["replies"]
        while any(reply.get("kind") == Kind.EXPIRED for reply in replies):
            # the clock went ahead while they waited; nothing was done, and they may be sent again
            replies = self.ask("/v1/commands", items)["replies"]
        for item, reply in zip(items, replies, strict=True):
            self.history.commands.append(Answered(item["id"], item.get("expected_version"), reply))
        return replies

    def command(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send one command the way that has its id and expected version in headers."""
        self.history.asked.append(item["id"])
        path = "/v1/commands/" + item["command"].replace(".", "/")
        headers = {"Idempotency-Key": item["id"], "If-Match": f'"{item["expected_version"]}"'}
        reply: Mapping[str, Any] = self.ask(path, item["body"], headers)
        self.history.commands.append(Answered(item["id"], item["expected_version"], reply))
        return reply

    def forget(self, item: Mapping[str, Any], timeout_s: float) -> None:
        """Send a command once, and do not look at what became of it."""
        self.history.asked.append(item["id"])
        with suppress(httpx.TransportError):
            self._client.post(f"{self._addresses[0]}/v1/commands", json=[item], timeout=timeout_s)

    def facts(self, facts: Sequence[Mapping[str, Any]]) -> None:
        answer = self.ask("/v1/telemetry", facts)
        assert answer["refused"] == []
        assert answer["accepted"] + answer["repeated"] == len(facts)
        self.history.facts += map(_name_of, facts)

    def ask(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None, *, final: Sequence[int] = (200, 409)
    ) -> Any:
        """Ask until there is an answer with one of the final statuses; return its JSON."""
        deadline = time.monotonic() + _ANSWERED_WITHIN_S
        for address in cycle(self._addresses):
            self.history.tries += 1
            try:
                answer = self._client.post(address + path, json=body, headers=headers)
            except httpx.TransportError:
                self.history.broken += 1
            else:
                if answer.status_code in final:
                    time.sleep(self._pause_s)
                    return answer.json()
                # 401: the view of the keys is being read; 5xx: the server is ending, or no writer answers
                assert answer.status_code == 401 or answer.status_code >= 500, answer.text
            assert time.monotonic() < deadline, f"{path} got no answer in {_ANSWERED_WITHIN_S} s"
            time.sleep(_RETRY_S)
        raise AssertionError("there is no server to ask")


class Caller(Protocol):
    def __call__(self, session: Session, random_: random.Random, stop: threading.Event) -> None: ...


def tags_devices(name: str) -> Caller:
    """Return a caller that has devices of its own and sends batches of commands for them."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        devices = [f"{name}-{n}" for n in range(5)]
        session.commands([register(device) for device in devices])
        n = 0
        while not stop.is_set():
            batch = []
            for _ in range(random_.randint(1, 20)):
                n += 1
                batch.append(tag(f"{name}-tag-{n}", random_.choice(devices), str(n)))
            assert all(reply["outcome"] == "accepted" for reply in session.commands(batch))

    return call


def rivals_for(device: str, name: str) -> Caller:
    """Return a caller that wants to write each next version of a device that others write too."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        session.commands([register(device, id_=f"{name}-register")])
        n, version = 0, 1
        while not stop.is_set():
            n += 1
            [reply] = session.commands([{**tag(f"{name}-{n}", device, f"{name}-{n}"), "expected_version": version}])
            version = reply["version"] if reply["outcome"] == "accepted" else reply["actual_version"]
            time.sleep(random_.random() * 0.005)

    return call


def reports(device: str) -> Caller:
    """Return a caller that sends readings, some of them in two batches."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        n = 0
        while not stop.is_set():
            rows = random_.randint(1, 200)
            session.facts([_fact(device, row) for row in range(n, n + rows)])
            n += rows - random_.randint(0, min(5, rows - 1))

    return call


def asks_in_vain(name: str) -> Caller:
    """Return a caller whose commands are all refused: its device was never registered."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            [reply] = session.commands([tag(f"{name}-{n}", name, str(n))])
            assert reply["outcome"] == "refused", reply

    return call


def does_not_wait(device: str) -> Caller:
    """Return a caller that sends each command once and leaves, often before there is an answer."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        session.commands([register(device)])
        n = 0
        while not stop.is_set():
            n += 1
            session.forget(tag(f"{device}-{n}", device, str(n)), random_.uniform(0.001, 0.05))
            time.sleep(random_.random() * 0.1)

    return call


def asks_twice(device: str) -> Caller:
    """Return a caller that asks again, under the same id, what was answered, and has to be told the same."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        session.commands([register(device)])
        n = 0
        while not stop.is_set():
            n += 1
            item = tag(f"{device}-{n}", device, str(n))
            first, again = session.commands([item]), session.commands([item])
            assert [{**reply, "repeated": True} for reply in first] == again, (first, again)

    return call


def register(device: str, *, id_: str | None = None) -> dict[str, Any]:
    body = {"device_id": device, "hostname": f"{device}.example"}
    return {"id": id_ or f"register-{device}", "command": "fleet.RegisterDevice", "body": body}


def tag(id_: str, device: str, value: str) -> dict[str, Any]:
    return {"id": id_, "command": "fleet.TagDevice", "body": {"device_id": device, "key": "n", "value": value}}


def _fact(device: str, n: int) -> dict[str, Any]:
    return {
        "type": "device.metrics.reported",
        "device_id": device,
        "happened_at": f"2026-01-{n // 86400 % 28 + 1:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z",
        "data": {"metrics": {"n": float(n)}},
    }


def _name_of(fact: Mapping[str, Any]) -> str:
    """Return what a reading is known by: there is one metric."""
    return f"{fact['device_id']} {fact['happened_at']}"


def names_in(record: Envelope) -> Iterator[str]:
    for fact in facts_of(record):
        at = fact.happened_at.isoformat().replace("+00:00", "Z")
        yield f"{fact.stream.removeprefix('device-')} {at}"


class Calling:
    """Callers at work, each in a thread; what any of them ran into is raised when they are stopped."""

    def __init__(self, addresses: Sequence[str], api_key: str, history: History, seed: int, pause_s: float) -> None:
        self._addresses, self._api_key, self._history = addresses, api_key, history
        self._seed, self._pause_s = seed, pause_s
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self, caller: Caller) -> None:
        n = len(self._threads)
        first = n % len(self._addresses)
        addresses = [*self._addresses[first:], *self._addresses[:first]]
        session = Session(addresses, self._api_key, self._history, pause_s=self._pause_s)
        thread = threading.Thread(target=self._run, args=(caller, session, random.Random(self._seed * 1_000 + n)))
        self._threads.append(thread)
        thread.start()

    def _run(self, caller: Caller, session: Session, random_: random.Random) -> None:
        try:
            caller(session, random_, self._stop)
        except BaseException as error:
            self._failures.append(error)
        finally:
            session.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]


@contextmanager
def calling(
    addresses: Sequence[str], api_key: str, history: History, *, seed: int, pause_s: float = 0
) -> Iterator[Calling]:
    callers = Calling(addresses, api_key, history, seed, pause_s)
    try:
        yield callers
    finally:
        callers.stop()


class Findings(NamedTuple):
    """What the log holds against the history; all but the totals must be 0.

    Shape: `facts` and `facts_doubled` count records; of these there may be more where the log leaves it to the views
    to know a record again. `times_fell` counts the events and facts that say they were recorded
    before the one before them.
    """

    events: int
    facts: int
    lost: int
    doubled: int
    facts_doubled: int
    holes: int
    wrong_answers: int
    versions_won_twice: int
    times_fell: int


def check(history: History, events: Sequence[Envelope], facts: Sequence[Envelope]) -> Findings:
    """Compare the whole log, each partition in its order, with what callers were told."""
    by_id = {entry.event_id: entry for entry in events}
    by_command: Mapping[str, list[Envelope]] = defaultdict(list)
    for entry in events:
        by_command[entry.command_id].append(entry)
    record_ids = Counter(record.event_id for record in facts)
    lost = len(set(history.facts).difference(name for record in facts for name in names_in(record)))
    wrong = 0
    for _, _, reply in history.commands:
        caused = by_command.get(reply["command_id"], [])
        if reply["outcome"] == "refused":
            wrong += bool(caused)
            continue
        told = {event["event_id"]: event["version"] for event in reply["events"]}
        lost += sum(id_ not in by_id for id_ in told)
        wrong += told != {entry.event_id: entry.version for entry in caused}
        wrong += bool(caused) and reply["position"]["position"] != caused[-1].position
    won = Counter(
        (reply["stream"], expected)
        for _, expected, reply in history.commands
        if expected is not None and reply["outcome"] == "accepted"
    )
    return Findings(
        events=len(events),
        facts=len(facts),
        lost=lost,
        # every command of the callers causes one event at most
        doubled=len(events) - len(by_id) + sum(len(by_command.get(id_, ())) > 1 for id_ in set(history.asked)),
        facts_doubled=sum(times - 1 for times in record_ids.values()),
        holes=_holes(events) + _holes(facts),
        wrong_answers=wrong,
        versions_won_twice=sum(times - 1 for times in won.values()),
        times_fell=_times_fell(events) + _times_fell(facts),
    )


def read_all(log: LogReader, topic: Topic) -> list[Envelope]:
    """Return everything in a log of one partition."""
    found: list[Envelope] = []
    after = 0
    while batch := log.read(topic, 0, after=after, limit=5_000):
        for entry in batch:
            assert isinstance(entry, Envelope)
            found.append(entry)
        after = batch[-1].position
    return found


def _times_fell(events: Sequence[Envelope]) -> int:
    last: dict[int, Envelope] = {}
    fell = 0
    for event in events:
        fell += event.partition in last and event.recorded_at < last[event.partition].recorded_at
        last[event.partition] = event
    return fell


def _holes(entries: Sequence[Envelope]) -> int:
    """Count the places where positions of events or versions do not go on by one, or positions of facts do not grow."""
    holes = 0
    positions: Counter[int] = Counter()
    versions: Counter[tuple[str, StreamId]] = Counter()
    for entry in entries:
        if entry.topic is Topic.TELEMETRY:
            holes += entry.position <= positions[entry.partition]
            positions[entry.partition] = entry.position
        else:
            positions[entry.partition] += 1
            holes += entry.position != positions[entry.partition]
            versions[entry.key] += 1
            holes += entry.version != versions[entry.key]
    return holes
