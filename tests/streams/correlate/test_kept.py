"""What correlation keeps is what it was on the day of its release: a running deployment has kept it."""

from datetime import datetime

import pytest

from domain.fleet.alert import ResolveAlert
from domain.fleet.definitions import Defined
from domain.fleet.observe import Seen, Subject, Track
from domain.fleet.rules import Failures, Threshold
from domain.fleet.watch import Watch
from schemas.envelope import TenantId
from streams.correlate.kept import Kept, Progress, Unsent, definition_state, known_state, load, progress_state
from streams.ports import WatchState

ACME = TenantId("acme")
BEGAN, ENDS = datetime.fromisoformat("2026-01-31T00:00:00Z"), datetime.fromisoformat("2026-01-31T00:01:00Z")
LOAD = Threshold(metric="cpu", above=90.0, clear=80.0)
LOGINS = Failures(contains="Failed", key_after=" from ", count=2, within_s=60)


def defined(watch_id: str, rule: Threshold | Failures) -> Defined:
    watch = Watch(name="loud", severity="warning", device_id=None, quiet_s=5, rule=rule)
    return Defined(watch_id, 1, BEGAN, watch)


DEFINED = [
    (
        defined("t", LOAD),
        (
            b'["acme","t",1,"2026-01-31T00:00:00Z","loud","warning",null,5,'
            b'{"kind":"threshold","metric":"cpu","above":90.0,"below":null,"clear":80.0,"for_s":0}]'
        ),
    ),
    (
        defined("f", LOGINS),
        (
            b'["acme","f",1,"2026-01-31T00:00:00Z","loud","warning",null,5,'
            b'{"kind":"failures","contains":"Failed","key_after":" from ","count":2,"within_s":60}]'
        ),
    ),
]
KNOWN = [
    (
        Kept(
            tenant_id=ACME,
            of=Subject("t", 1, "web-1"),
            position=206,
            seen=Seen(BEGAN, {"": Track(alert_id="a1", breached_at=BEGAN)}),
            learned=b"learned",
            unsent=(Unsent(ResolveAlert(alert_id="a0", note="quiet for 5 s"), BEGAN),),
        ),
        (
            b'["acme",["t",1,"web-1"],206,["2026-01-31T00:00:00Z",{"":[null,[],"a1","2026-01-31T00:00:00Z"]},null],'
            b'"bGVhcm5lZA==",[[{"alert_id":"a0","note":"quiet for 5 s"},"2026-01-31T00:00:00Z"]]]'
        ),
    ),
    (
        Kept(ACME, Subject("f", 1, "web-2"), 87, Seen(BEGAN, {"h": Track(recent=((BEGAN, 1.0),))}, ENDS), None, ()),
        (
            b'["acme",["f",1,"web-2"],87,["2026-01-31T00:00:00Z",{"h":[null,[["2026-01-31T00:00:00Z",1.0]],null,null]},'
            b'"2026-01-31T00:01:00Z"],null,[]]'
        ),
    ),
]


def test_progress_is_kept_as_at_its_release() -> None:
    state = WatchState("progress", 504, b"[4,500]")
    assert progress_state(Progress(4, 500)) == state
    assert load([state]).progress == Progress(4, 500)


def test_progress_in_the_events_of_other_partitions_is_kept_beside_it() -> None:
    progress = Progress(4, 500, {1: 7, 3: 2})
    state = WatchState("progress", 513, b'[4,500,{"1":7,"3":2}]')
    assert progress_state(progress) == state
    assert load([state]).progress == progress


@pytest.mark.parametrize(("watch", "raw"), DEFINED, ids=["threshold", "failures"])
def test_definition_is_kept_as_at_its_release(watch: Defined, raw: bytes) -> None:
    state = WatchState(f"watch|acme|{watch.watch_id}", 7, raw)
    assert definition_state(ACME, watch.watch_id, 7, watch) == state
    assert load([state]).defined == [(ACME, watch)]


def test_definition_that_was_removed_is_no_more() -> None:
    state = definition_state(ACME, "t", 9, None)
    assert state == WatchState("watch|acme|t", 9, None)
    assert load([state]).defined == []


@pytest.mark.parametrize(("kept", "raw"), KNOWN, ids=["alert", "failures"])
def test_what_is_known_is_kept_as_at_its_release(kept: Kept, raw: bytes) -> None:
    state = WatchState(f"seen|acme|{kept.of.watch_id}|1|{kept.of.device_id}", kept.position, raw)
    assert known_state(kept) == state
    assert load([state]).known == [kept]
