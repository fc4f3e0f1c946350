"""This measures how well unusual readings are found in labelled series, and how many facts watches take.

A watch looks at each series by itself, as it would at a device: its readings in their order, once, nothing tuned on the
labels. Alerts in the first 15 % of a series (750 readings at most) are left out, as NAB's own scoring does: there every
detector still learns. An alert is right if it is raised within a labelled window; a window is found if at least one
alert is raised within it. Precision: right alerts of all alerts. Recall: windows found of all windows. NAB's own score
weighs how early an alert comes and is not computed.
"""

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from domain.catalog import payload_of
from domain.fleet.alert import RaiseAlert
from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from domain.fleet.liveness import Listening
from domain.fleet.observe import observe, taken
from domain.fleet.rules import Anomaly, Failures, RateOfChange, Rule, Threshold
from domain.fleet.seen import NOTHING_SEEN, Sample, Subject
from domain.fleet.watch import DefineWatch, Watch, WatchDefined, decide_watch
from domain.message import Fact
from infra.river.anomaly import RiverScorer
from infra.sqlite.watch_states import SqliteWatchStates
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, Topic
from streams.correlate.run import Correlation
from streams.ports import Reply, Submission
from tests.benchmarks.result import Result
from tests.given_when_then import GIVEN
from tests.streams.intake.files.samples import REAL_DATA

NAB = REAL_DATA / "nab"
LEARNING, MOST_LEARNING = 0.15, 750
QUIET_S = 3_600
FACTS, DEVICES = 100_000, 100
BEGAN = datetime(2026, 1, 31, tzinfo=UTC)

Window = tuple[datetime, datetime]


class Found(NamedTuple):
    raised: Sequence[datetime]
    windows: Sequence[Window]
    days: float

    @property
    def right(self) -> int:
        return sum(any(begin <= at <= end for begin, end in self.windows) for at in self.raised)

    @property
    def windows_found(self) -> int:
        return sum(any(begin <= at <= end for at in self.raised) for begin, end in self.windows)


def run(say: Callable[[str], None]) -> Iterator[Result]:
    if NAB.is_dir():
        say("unusual readings of NAB")
        found = [_found(NAB / name, windows) for name, windows in _labels().items()]
        alerts, windows = sum(len(one.raised) for one in found), sum(len(one.windows) for one in found)
        right, hit = sum(one.right for one in found), sum(one.windows_found for one in found)
        yield Result(f"NAB: precision, {right} of {alerts} alerts in a labelled window", right / alerts, "")
        yield Result(f"NAB: recall, {hit} of {windows} labelled windows found", hit / windows, "")
        precision, recall = right / alerts if alerts else 0.0, hit / windows
        yield Result("NAB: F1 of both", 2 * precision * recall / (precision + recall) if right else 0.0, "")
        days = sum(one.days for one in found)
        yield Result(f"NAB: false alerts, in {days:.0f} days of devices", (alerts - right) / days, "a device and day")
    else:
        say("the series of NAB are not here")
    rules: Mapping[str, Rule] = {
        "a threshold": Threshold(metric="cpu", above=90, clear=80, for_s=60),
        "a rate of change": RateOfChange(metric="cpu", by=50, within_s=300),
        "an anomaly": Anomaly(metric="cpu"),
        "failures by key": Failures(contains="Failed password", key_after=" from ", count=5, within_s=60),
    }
    readings, lines = _readings(), _lines()
    yield Result("facts past a tenant without watches", _rate(None, readings), "facts/s")
    for name, rule in rules.items():
        say(f"facts through {name}")
        yield Result(f"facts through {name}", _rate(rule, lines if isinstance(rule, Failures) else readings), "facts/s")


# --- NAB


def _labels() -> Mapping[str, Sequence[Window]]:
    labels = json.loads((NAB / "anomaly_windows.json").read_text(encoding="utf-8"))
    return {name: [(_instant(begin), _instant(end)) for begin, end in windows] for name, windows in labels.items()}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _found(path: Path, windows: Sequence[Window]) -> Found:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(_instant(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
    rule = Anomaly(metric="value")
    watch = Watch(name="unusual", severity="warning", device_id=None, quiet_s=QUIET_S, rule=rule)
    scorer, seen, of = RiverScorer(rule.quantile), NOTHING_SEEN, Subject("nab", 1, path.stem)
    learned = rows[min(int(LEARNING * len(rows)), MOST_LEARNING)][0]
    raised: list[datetime] = []
    for at, value in rows:
        found = taken(rule, seen, Sample(at, value))
        if found is None:
            continue
        seen, sample = found
        seen, told = observe(of, watch, seen, sample._replace(bound=scorer.beyond(value, at)))
        raised += [at for command in told if isinstance(command, RaiseAlert) and at >= learned]
    return Found(raised, windows, (rows[-1][0] - rows[0][0]) / timedelta(days=1))


# --- facts a second


def _rate(rule: Rule | None, facts: Sequence[Envelope]) -> float:
    """Return how many facts a second are decided and kept, in batches of 5,000; what reads the log is not in it."""
    with TemporaryDirectory() as folder:
        states = SqliteWatchStates(Path(folder) / "states.sqlite")
        correlation = Correlation(0, states, _accept, RiverScorer, listening=Listening(datetime.now(UTC)))
        if rule is not None:
            correlation.read_events([_definition(rule)])
        begin = time.perf_counter()
        for first in range(0, len(facts), 5_000):
            correlation.read_facts(facts[first : first + 5_000])
            correlation.settle()
        took = time.perf_counter() - begin
        states.close()
        return len(facts) / took


def _accept(submissions: Sequence[Submission]) -> Sequence[Reply]:
    return [Reply(one.command_id, "accepted", one.command.stream, 1) for one in submissions]


def _definition(rule: Rule) -> Envelope:
    command = DefineWatch(watch_id="w", name="w", severity="warning", rule=rule)
    (event,) = decide_watch(command, None, GIVEN)
    assert isinstance(event, WatchDefined)
    return _envelope(1, event)._replace(topic=Topic.EVENTS, stream=StreamId("watch-w"), version=1)


def _readings() -> Sequence[Envelope]:
    return [
        _envelope(n, DeviceMetricsReported(metrics={"cpu": n * 7919 % 1_000 / 10, "load": 1.0}))
        for n in range(1, FACTS)
    ]


def _lines() -> Sequence[Envelope]:
    """Every fifth line is a failed login, of 40 hosts to each device."""
    texts = ("Failed password for root from 192.0.2.{} port 22", *("Connection closed by 192.0.2.{}",) * 4)
    return [
        _envelope(n, LogRecorded(severity="info", summary=texts[n % 5].format(n // 500 % 40))) for n in range(1, FACTS)
    ]


def _envelope(n: int, event: WatchDefined | Fact) -> Envelope:
    at = BEGAN + timedelta(seconds=n // DEVICES * 5)
    return Envelope(
        event_id=f"e{n}",
        type=event.TYPE,
        schema_version=1,
        tenant_id=TenantId("acme"),
        stream=StreamId(f"device-web-{n % DEVICES}"),
        version=0,
        topic=Topic.TELEMETRY,
        partition=0,
        position=n,
        happened_at=at,
        recorded_at=at,
        actor=Actor(ActorType.SYSTEM, "benchmark"),
        correlation_id="",
        causation_id="",
        data=payload_of(event),
    )
