"""What callers asked and were told while the server was killed, and whether the log agrees with all of it."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import httpx

from schemas.envelope import Envelope, StreamId, Topic
from streams.ports import LogReader

_RETRY_S = 0.02
_TIMEOUT_S = 20.0


class Answered(NamedTuple):
    """A command and the reply its caller got, perhaps after many tries."""

    command_id: str
    expected_version: int | None
    reply: Mapping[str, Any]


class History:
    """Everything that was answered. Safe for threads: each of them only appends."""

    def __init__(self) -> None:
        self.commands: list[Answered] = []
        self.facts: list[str] = []
        self.tries = 0
        self.broken = 0


class Session:
    """One caller: asks again, under the same ids, until the server answers."""

    def __init__(self, address: str, api_key: str, history: History) -> None:
        self._client = httpx.Client(
            base_url=address, headers={"X-API-Key": api_key}, timeout=_TIMEOUT_S, trust_env=False
        )
        self._history = history

    def close(self) -> None:
        self._client.close()

    def commands(self, items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        replies: list[Mapping[str, Any]] = self._ask("/v1/commands", items)["replies"]
        for item, reply in zip(items, replies, strict=True):
            self._history.commands.append(Answered(item["id"], item.get("expected_version"), reply))
        return replies

    def facts(self, facts: Sequence[Mapping[str, Any]]) -> None:
        answer = self._ask("/v1/telemetry", facts)
        assert answer["refused"] == []
        assert answer["accepted"] + answer["repeated"] == len(facts)
        self._history.facts += [fact["id"] for fact in facts]

    def _ask(self, path: str, body: Any) -> Any:
        while True:
            self._history.tries += 1
            try:
                answer = self._client.post(path, json=body)
            except httpx.TransportError:
                self._history.broken += 1
            else:
                if answer.status_code == 200:
                    return answer.json()
                # 401: the view of the keys is being read; 5xx: the server is ending
                assert answer.status_code == 401 or answer.status_code >= 500, answer.text
            time.sleep(_RETRY_S)


class Caller(Protocol):
    def __call__(self, session: Session, random_: random.Random, stop: threading.Event) -> None: ...


def tags_devices(name: str) -> Caller:
    """Return a caller that has devices of its own and sends batches of commands for them."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        devices = [f"{name}-{n}" for n in range(5)]
        session.commands([_register(device) for device in devices])
        n = 0
        while not stop.is_set():
            batch = []
            for _ in range(random_.randint(1, 20)):
                n += 1
                batch.append(_tag(f"{name}-tag-{n}", random_.choice(devices), str(n)))
            assert all(reply["outcome"] == "accepted" for reply in session.commands(batch))

    return call


def rivals_for(device: str, name: str) -> Caller:
    """Return a caller that wants to write each next version of a device that others write too."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        session.commands([_register(device, id_=f"{name}-register")])
        n, version = 0, 1
        while not stop.is_set():
            n += 1
            [reply] = session.commands([{**_tag(f"{name}-{n}", device, f"{name}-{n}"), "expected_version": version}])
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


def _register(device: str, *, id_: str | None = None) -> dict[str, Any]:
    body = {"device_id": device, "hostname": f"{device}.example"}
    return {"id": id_ or f"register-{device}", "command": "fleet.RegisterDevice", "body": body}


def _tag(id_: str, device: str, value: str) -> dict[str, Any]:
    return {"id": id_, "command": "fleet.TagDevice", "body": {"device_id": device, "key": "n", "value": value}}


def _fact(device: str, n: int) -> dict[str, Any]:
    return {
        "type": "device.metrics.reported",
        "device_id": device,
        "happened_at": f"2026-01-{n // 86400 % 28 + 1:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z",
        "id": str(UUID(int=n + 1)),
        "data": {"metrics": {"n": float(n)}},
    }


class Calling:
    """Callers at work, each in a thread; what any of them ran into is raised when they are stopped."""

    def __init__(self, address: str, api_key: str, history: History, seed: int) -> None:
        self._address, self._api_key, self._history, self._seed = address, api_key, history, seed
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self, caller: Caller) -> None:
        random_ = random.Random(self._seed * 1_000 + len(self._threads))
        thread = threading.Thread(target=self._run, args=(caller, random_))
        self._threads.append(thread)
        thread.start()

    def _run(self, caller: Caller, random_: random.Random) -> None:
        session = Session(self._address, self._api_key, self._history)
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
def calling(address: str, api_key: str, history: History, *, seed: int) -> Iterator[Calling]:
    callers = Calling(address, api_key, history, seed)
    try:
        yield callers
    finally:
        callers.stop()


class Findings(NamedTuple):
    """What the log holds against the history; all but the totals must be 0."""

    events: int
    facts: int
    lost: int
    doubled: int
    holes: int
    wrong_answers: int
    versions_won_twice: int


def check(history: History, log: LogReader) -> Findings:
    events = list(_all(log, Topic.EVENTS))
    facts = list(_all(log, Topic.TELEMETRY))
    by_id = {entry.event_id: entry for entry in events}
    by_command: Mapping[str, list[Envelope]] = defaultdict(list)
    for entry in events:
        by_command[entry.causation_id].append(entry)
    fact_ids = Counter(entry.event_id for entry in facts)
    lost = sum(fact_ids[id_] == 0 for id_ in set(history.facts))
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
        doubled=len(events) - len(by_id) + sum(times - 1 for times in fact_ids.values()),
        holes=_holes(events, facts),
        wrong_answers=wrong,
        versions_won_twice=sum(times - 1 for times in won.values()),
    )


def _all(log: LogReader, topic: Topic) -> Iterator[Envelope]:
    after = 0
    while batch := log.read(topic, 0, after=after, limit=5_000):
        for entry in batch:
            assert isinstance(entry, Envelope)
            yield entry
        after = batch[-1].position


def _holes(events: Sequence[Envelope], facts: Sequence[Envelope]) -> int:
    """Count the places where positions or a stream's versions do not go on by one."""
    holes = sum(entry.position != n for entries in (events, facts) for n, entry in enumerate(entries, 1))
    versions: Counter[tuple[str, StreamId]] = Counter()
    for entry in events:
        versions[entry.key] += 1
        holes += entry.version != versions[entry.key]
    return holes
