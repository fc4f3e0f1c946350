"""What correlation keeps is what it was on the day of its release: a running deployment has kept it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from domain.fleet.alert import ResolveAlert
from domain.fleet.definitions import Defined
from domain.fleet.liveness import Life
from domain.fleet.planned import Window
from domain.fleet.rules import Failures, Level, Threshold
from domain.fleet.seen import Seen, Subject, Track
from domain.fleet.watch import Watch
from schemas.envelope import TenantId, Topic
from streams.correlate.kept import (
    FORMAT,
    Ended,
    Kept,
    KeptLife,
    Progress,
    Tags,
    Unsent,
    definition_state,
    ended_state,
    known_state,
    life_state,
    load,
    progress_state,
    tags_state,
    window_state,
)
from streams.ports import WatchState

ACME = TenantId("acme")
BEGAN, ENDS = datetime.fromisoformat("2026-01-31T00:00:00Z"), datetime.fromisoformat("2026-01-31T00:01:00Z")
LOAD = Threshold(metric="cpu", above=90.0, clear=80.0)
LOGINS = Failures(contains="Failed", key_after=" from ", count=2, within_s=60)


def defined(watch_id: str, rule: Threshold | Failures) -> Defined:
    levels = (Level(severity="critical", limit=99.0),) if isinstance(rule, Threshold) else ()
    more: Any = {"again_s": 60, "flap_count": 5, "flap_s": 3_600, "look_back_s": 120, "levels": levels}
    watch = Watch(name="loud", severity="warning", device_id=None, quiet_s=5, rule=rule, **more)
    return Defined(watch_id, 1, BEGAN, watch)


DEFINED = [
    (
        defined("t", LOAD),
        (
            b'["acme","t",1,"2026-01-31T00:00:00Z","loud","warning",null,5,'
            b'{"kind":"threshold","metric":"cpu","above":90.0,"below":null,"clear":80.0,"for_s":0,"gap_s":null},'
            b'[{"severity":"critical","limit":99.0}],60,5,3600,120,3]'
        ),
    ),
    (
        defined("f", LOGINS),
        (
            b'["acme","f",1,"2026-01-31T00:00:00Z","loud","warning",null,5,'
            b'{"kind":"failures","contains":"Failed","key_after":" from ","count":2,"within_s":60,"late_s":60},'
            b"[],60,5,3600,120,3]"
        ),
    ),
]
KNOWN = [
    (
        Kept(
            tenant_id=ACME,
            of=Subject("t", 1, "web-1"),
            position=206,
            seen=Seen(BEGAN, {"": Track(alert_id="a1", breached_at=BEGAN, intervals=(60.0,), ended_at=ENDS)}),
            learned=b"learned",
            unsent=(Unsent(ResolveAlert(alert_id="a0", note="quiet for 5 s"), BEGAN),),
        ),
        (
            b'["acme",["t",1,"web-1",0],206,["2026-01-31T00:00:00Z",{"":[null,[],"a1","2026-01-31T00:00:00Z",[60.0],'
            b'"2026-01-31T00:01:00Z",[]]},null,0.0,null,null],'
            b'"bGVhcm5lZA==",[[{"alert_id":"a0","note":"quiet for 5 s"},"2026-01-31T00:00:00Z"]]]'
        ),
    ),
    (
        Kept(
            tenant_id=ACME,
            of=Subject("f", 1, "web-2"),
            position=87,
            seen=Seen(BEGAN, {"h": Track(recent=((BEGAN, 1.0),), raised=(BEGAN,))}, ENDS, 2.5, "h", BEGAN),
            learned=None,
            unsent=(),
        ),
        (
            b'["acme",["f",1,"web-2",0],87,["2026-01-31T00:00:00Z",{"h":[null,[["2026-01-31T00:00:00Z",1.0]],null,null,'
            b'[],null,["2026-01-31T00:00:00Z"]]},"2026-01-31T00:01:00Z",2.5,"h","2026-01-31T00:00:00Z"],'
            b"null,[]]"
        ),
    ),
]

OF_BEFORE = [
    WatchState("progress", 504, b"[4,500]"),
    WatchState(
        "watch|acme|t",
        7,
        b'["acme","t",1,"2026-01-31T00:00:00Z","loud","warning",null,5,'
        b'{"kind":"threshold","metric":"cpu","above":90.0,"below":null,"clear":80.0,"for_s":0}]',
    ),
    WatchState(
        "watch|acme|f",
        7,
        b'["acme","f",1,"2026-01-31T00:00:00Z","loud","warning",null,5,'
        b'{"kind":"failures","contains":"Failed","key_after":" from ","count":2,"within_s":60}]',
    ),
    WatchState(
        "seen|acme|t|1|web-1",
        206,
        b'["acme",["t",1,"web-1"],206,["2026-01-31T00:00:00Z",{"":[null,[],"a1","2026-01-31T00:00:00Z"]},null],'
        b'"bGVhcm5lZA==",[[{"alert_id":"a0","note":"quiet for 5 s"},"2026-01-31T00:00:00Z"]]]',
    ),
    WatchState(
        "seen|acme|f|1|web-2",
        87,
        b'["acme",["f",1,"web-2"],87,["2026-01-31T00:00:00Z",{"h":[null,[["2026-01-31T00:00:00Z",1.0]],null,null]},'
        b'"2026-01-31T00:01:00Z"],null,[]]',
    ),
]
"""As version 1 kept it."""


def test_what_an_earlier_version_kept_is_read_with_its_meaning() -> None:
    loaded = load(OF_BEFORE)
    assert loaded.progress == Progress(4, 500, 1)
    assert [one.watch for _, one in loaded.defined] == [
        Watch(name="loud", severity="warning", device_id=None, quiet_s=5, rule=rule)
        for rule in (LOAD, replace(LOGINS, late_s=0))
    ]
    alert, failures = (kept.seen for kept in loaded.known)
    assert alert == Seen(BEGAN, {"": Track(alert_id="a1", breached_at=BEGAN)})
    assert failures == Seen(BEGAN, {"h": Track(recent=((BEGAN, 1.0),))}, ENDS)


@pytest.mark.parametrize(
    "broken",
    [
        WatchState("progress", 9, b"[4,500,4]"),
        WatchState("progress", 9, b"[4]]"),
        WatchState("seen|acme|t|1|web-1", 9, b'["acme"]'),
        WatchState("watch|acme|t", 9, b"\x00"),
        WatchState("seen|acme|t|1|web-3", 9, b'["acme",["t",1,"web-3"],"many"]'),
    ],
    ids=lambda state: state.value.decode(errors="replace"),
)
def test_what_cannot_be_read_is_made_again_from_the_log(broken: WatchState) -> None:
    kept = [state for state in OF_BEFORE if state.key != broken.key]
    assert load([*kept, broken]) == load([])
    assert load([]).progress == Progress(0, 0, FORMAT)


def test_progress_is_kept_as_at_its_release() -> None:
    state = WatchState("progress", 504, b"[4,500,3]")
    assert progress_state(Progress(4, 500)) == state
    assert load([state]).progress == Progress(4, 500, 3)
    # as it was kept before devices were to be heard of
    assert load([WatchState("progress", 504, b"[4,500,2]")]).progress == Progress(4, 500, 2)


def test_maintenance_tags_and_ended_alerts_are_kept_as_at_their_release() -> None:
    window = Window("m1", 2, BEGAN, ENDS, None, "site", None)
    tags, ended = Tags(ACME, "web-1", {"site": "Berlin"}), Ended(ACME, "a1", BEGAN)
    states = [window_state(ACME, window, 3), tags_state(tags, 4), ended_state(ended, 5)]
    assert states == [
        WatchState(
            "maintenance|acme|m1|2",
            3,
            b'["acme",["m1",2,"2026-01-31T00:00:00Z","2026-01-31T00:01:00Z",null,"site",null]]',
        ),
        WatchState("tags|acme|web-1", 4, b'["acme","web-1",{"site":"Berlin"}]'),
        WatchState("ended|acme|a1", 5, b'["acme","a1","2026-01-31T00:00:00Z"]'),
    ]
    loaded = load(states)
    assert (loaded.windows, loaded.tags, loaded.ended) == ([(ACME, window)], [tags], [ended])


def test_devices_that_are_to_be_heard_of_are_kept_as_at_their_release() -> None:
    life = Life(version=3, is_online=True, since=BEGAN, heard_at=ENDS)
    state = life_state(ACME, "web-1", life, 7)
    assert state == WatchState("life|acme|web-1", 7, b'["acme","web-1",3,true,"2026-01-31T00:00:00Z"]')
    assert load([state]).lives == [KeptLife(ACME, "web-1", 3, is_online=True, since=BEGAN)]
    assert life_state(ACME, "web-1", None, 8) == WatchState("life|acme|web-1", 8, None)


def test_progress_in_the_events_of_other_partitions_is_kept_beside_it() -> None:
    progress = Progress(4, 500, FORMAT, {1: 7, 3: 2})
    state = WatchState("progress", 513, b'[4,500,3,{"1":7,"3":2}]')
    assert progress_state(progress) == state
    assert load([state]).progress == progress


def test_progress_says_of_which_log_it_is() -> None:
    progress = Progress(4, 500, FORMAT, {1: 7}, {Topic.EVENTS: "one/1", Topic.TELEMETRY: "two/1"})
    state = WatchState("progress", 511, b'[4,500,3,{"1":7},{"events":"one/1","telemetry":"two/1"}]')
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
