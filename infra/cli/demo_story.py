"""The demo is a list of steps: small samples of our own making, moved in time so that they end at a given moment."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

_SAMPLES = files("infra.cli") / "demo_samples"
_ENDS_AT = datetime.fromisoformat("2026-01-31T12:00:00Z")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

FACTS_AT_ONCE = 50
"""Always as many: facts that are sent in other portions would be other records of the log."""


class Order(NamedTuple):
    """A command. Shape: `key` is the same whenever the demo is run."""

    key: str
    command: str
    body: Mapping[str, Any]
    happened_at: str | None = None

    def about(self, id_: str) -> "Order":
        """Return the command about a thing whose id the server made."""
        body = {name: id_ if value == "$id" else value for name, value in self.body.items()}
        return self._replace(key=f"{self.key}:{id_}"[:128], body=body)


class Facts(NamedTuple):
    """What devices reported, in one request. Shape: `what` is what people call it."""

    key: str
    what: str
    facts: Sequence[Mapping[str, Any]]


class Post(NamedTuple):
    """A request that leads to a command whose body the server makes."""

    key: str
    path: str
    body: Mapping[str, Any]


class Until(NamedTuple):
    """A list of the API has so many rows; the commands after that are about the first of them."""

    path: str
    query: Mapping[str, str]
    rows: int
    then: Sequence[Order]


class Work(NamedTuple):
    """What is answered to the tasks of each kind."""

    answers: Mapping[str, Mapping[str, Any]]


class Visit(NamedTuple):
    """A user is invited, signs in once, and may not come back."""

    user_id: str
    email: str
    roles: Sequence[str]


Step = Order | Facts | Post | Until | Work | Visit


def opening() -> Order:
    """Return the first step, which names no instant."""
    written = _lines("story.jsonl")[0]
    return _order(written, json.loads(written))


def steps(ends_at: datetime) -> Sequence[Step]:
    """Return all steps; every instant of the samples is moved by the same time."""
    return list(_steps(ends_at))


def records(found: Sequence[Step]) -> int:
    """Return how many commands and facts the steps have."""
    return sum(len(step.facts) if isinstance(step, Facts) else isinstance(step, Order | Post) for step in found)


def _steps(ends_at: datetime) -> Iterator[Step]:
    for written in _lines("story.jsonl"):
        line = json.loads(_moved(written, ends_at))
        match line:
            case {"facts": "readings.csv"}:
                yield from _facts("reading", "readings.csv", ends_at)
            case {"facts": name}:
                yield from _facts("log line", name, ends_at)
            case {"post": path}:
                yield Post(_key(written), path, line["body"])
            case {"until": path}:
                then = [_order(written, order) for order in line.get("then", ())]
                yield Until(path, line["query"], line["rows"], then)
            case {"work": answers}:
                yield Work(answers)
            case {"visit": visitor}:
                yield Visit(**visitor)
            case _:
                yield _order(written, line)


def _order(written: str, order: Mapping[str, Any]) -> Order:
    return Order(_key(written), order["command"], order["body"], order.get("at"))


def _key(written: str) -> str:
    """Return the id of what is written in a line, before it is moved in time."""
    return f"demo:{sha256(written.encode()).hexdigest()[:32]}"


def _facts(what: str, name: str, ends_at: datetime) -> Iterator[Facts]:
    make = _reading if what == "reading" else _log_line
    rows = csv.DictReader(_moved(line, ends_at) for line in _lines(name))
    facts = [make(number, row) for number, row in enumerate(rows)]
    for first in range(0, len(facts), FACTS_AT_ONCE):
        yield Facts(f"demo:{name}:{first}", what, facts[first : first + FACTS_AT_ONCE])


def _reading(_number: int, row: Mapping[str, str]) -> dict[str, Any]:
    metrics = {name: float(row[name]) for name in ("cpu_percent", "memory_percent")}
    return {
        "type": "device.metrics.reported",
        "device_id": row["device"],
        "happened_at": row["timestamp"],
        "data": {"metrics": metrics, "unit": "percent"},
    }


def _log_line(number: int, row: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": "log.recorded",
        "device_id": row["device"],
        "happened_at": row["timestamp"],
        "id": f"demo:{number}",
        "data": {"severity": row["severity"], "summary": row["message"], "tool_type": row["program"]},
    }


def _lines(name: str) -> Sequence[str]:
    return (_SAMPLES / name).read_text(encoding="utf-8").splitlines()


def _moved(text: str, ends_at: datetime) -> str:
    return _INSTANT.sub(lambda found: (ends_at + (datetime.fromisoformat(found[0]) - _ENDS_AT)).isoformat(), text)
