"""Which watches look at a fact, and what a definition makes of those before it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.fleet.definitions import NO_WATCHES, Definitions
from domain.fleet.facts import DeviceMetricsReported
from domain.fleet.rules import Failures, Threshold
from domain.fleet.seen import Subject
from domain.fleet.watch import WatchEvent, decide_watch
from domain.message import Fact
from schemas.envelope import Envelope, StreamId
from tests.examples import Place, envelope_of
from tests.examples.fleet import DEFINE_WATCH, HEARTBEAT, LOG, METRICS, WATCH_DEFINED, WATCH_REMOVED
from tests.examples.moments import RECORDED_AT
from tests.given_when_then import GIVEN

LOGINS = Failures(contains="Failed password", count=3, within_s=60)
CPU = Threshold(metric="cpu.load", above=90)


def defined(watches: Definitions, event: WatchEvent, *, watch_id: str = "w1", version: int = 1) -> Definitions:
    return watches.after(entry(event, watch_id, version), event)


def entry(event: WatchEvent, watch_id: str = "w1", version: int = 1) -> Envelope:
    return envelope_of(event, Place(version=version))._replace(stream=StreamId(f"watch-{watch_id}"))


def watching(device_id: str | None, *rules: Threshold | Failures) -> Definitions:
    watches = NO_WATCHES
    for n, rule in enumerate(rules):
        (event,) = decide_watch(replace(DEFINE_WATCH, rule=rule, device_id=device_id), None, GIVEN)
        watches = defined(watches, event, watch_id=f"w{n}")
    return watches


def looking(watches: Definitions, fact: Fact, later_s: int = 0) -> Sequence[tuple[str, str]]:
    shown = envelope_of(fact, Place(recorded_at=RECORDED_AT + timedelta(seconds=later_s)))
    return [(one.watch_id, device_id) for one, device_id in watches.looking_at(shown)]


def test_reading_is_looked_at_by_the_watches_of_its_metrics_and_a_log_line_by_those_of_logs() -> None:
    watches = watching(None, CPU, LOGINS, Threshold(metric="disk", above=1), CPU)
    assert looking(watches, METRICS) == [("w0", "42"), ("w3", "42")]
    assert looking(watches, LOG) == [("w1", "43")]
    assert looking(watches, DeviceMetricsReported(metrics={"other": 1.0})) == []
    assert looking(watches, HEARTBEAT) == []


def test_watch_of_one_device_looks_at_no_other() -> None:
    assert looking(watching("42", CPU, LOGINS), METRICS) == [("w0", "42")]
    assert looking(watching("42", CPU, LOGINS), LOG) == []


@pytest.mark.parametrize(("later_s", "seen"), [(-1, []), (0, [("w0", "42")])])
def test_watch_looks_at_what_is_recorded_from_its_definition_on(later_s: int, seen: list[tuple[str, str]]) -> None:
    assert looking(watching(None, CPU), METRICS, later_s) == seen


def test_watch_that_is_changed_is_no_longer_what_a_subject_was_of() -> None:
    first = defined(NO_WATCHES, WATCH_DEFINED)
    changed = defined(first, WATCH_DEFINED, version=2)
    assert first.current(Subject("w1", 1, "42")) == first.by_id["w1"]
    assert changed.current(Subject("w1", 1, "42")) is None
    assert changed.current(Subject("w1", 2, "42")) == changed.by_id["w1"]


def test_watch_that_is_removed_is_gone_and_others_stay() -> None:
    both = defined(defined(NO_WATCHES, WATCH_DEFINED), WATCH_DEFINED, watch_id="w2")
    assert defined(both, WATCH_REMOVED, version=2) == Definitions.of([both.by_id["w2"]])


def test_event_that_is_known_already_is_noticed() -> None:
    changed = defined(NO_WATCHES, WATCH_DEFINED, version=2)
    assert [changed.has(entry(WATCH_DEFINED, version=version)) for version in (1, 2, 3)] == [True, True, False]
    assert not changed.has(entry(WATCH_DEFINED, "w2"))
