"""Callers invite users whose invitations are soon over, and the log must say that each one ended once."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from domain.identity.processes import INVITATION_EXPIRY
from domain.identity.user import user_stream
from domain.process import PROCESS_EVENTS, ProcessAnswered, ProcessAsked, ProcessFailed, TimerFired, TimerForgotten
from schemas.envelope import Envelope, StreamKey
from tests.chaos.history import Caller, Session

LASTS_S = 6.0
_ENDS = ("user.joined", "user.invitation.withdrawn", "user.invitation.expired")
_PAUSE_S = 0.15


class Invited(NamedTuple):
    """An invitation that was answered, and what its user did of it that was accepted."""

    user_id: str
    ended_by: str | None


class Ended(NamedTuple):
    """What the log says of processes and timers; all but the totals must be 0.

    Shape: `ends_wrong` counts invitations that did not end once, or otherwise than their user was told; `timers_wrong`
    those that fired twice, before they were due, or neither fired nor were taken back; `asks_wrong` what a process
    asked and was not answered once.
    """

    invitations: int
    expired: int
    timers_fired: int
    ends_wrong: int
    timers_wrong: int
    asks_wrong: int
    processes_failed: int


def invites(name: str) -> Caller:
    """Return a caller that invites one user after the other; some accept, some are taken back, in time or not."""

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            user_id = f"{name}-{n}"
            [reply] = session.commands([_invitation(user_id, random_.uniform(0.5, LASTS_S))])
            if reply["outcome"] == "accepted":
                session.history.invited.append(Invited(user_id, _end(session, user_id, random_)))
            time.sleep(random_.uniform(0, _PAUSE_S))

    return call


def over(invited: Sequence[Invited], events: Sequence[Envelope]) -> bool:
    """Return whether every invitation has ended."""
    ended = {event.stream for event in events if event.type in _ENDS}
    return all(user_stream(one.user_id) in ended for one in invited)


def ends_of(invited: Sequence[Invited], events: Sequence[Envelope]) -> Ended:
    """Compare what the log says of users and of processes with what callers were told."""
    ends: Mapping[str, list[str]] = defaultdict(list)
    of_processes: Mapping[StreamKey, list[Envelope]] = defaultdict(list)
    types = {event.TYPE for event in PROCESS_EVENTS}
    for event in events:
        if event.type in _ENDS:
            ends[event.stream].append(event.type)
        if event.type in types:
            of_processes[event.key].append(event)
    counts = Counter(event.type for event in events)
    mine = {INVITATION_EXPIRY.stream(one.user_id) for one in invited}
    return Ended(
        invitations=len(invited),
        expired=counts["user.invitation.expired"],
        timers_fired=counts[TimerFired.TYPE],
        ends_wrong=sum(
            len(found := ends.get(user_stream(one.user_id), [])) != 1 or (one.ended_by or found[0]) != found[0]
            for one in invited
        ),
        timers_wrong=sum(_timers_wrong(history) for history in of_processes.values())
        + len(mine - {stream for _, stream in of_processes}),
        asks_wrong=sum(map(_asks_wrong, of_processes.values())),
        processes_failed=counts[ProcessFailed.TYPE],
    )


def _timers_wrong(history: Sequence[Envelope]) -> int:
    """Count the timers of one instance that did not end once, or too early."""
    wrong, due = 0, dict[str, datetime]()
    for event in history:
        if event.type == TimerFired.TYPE:
            wrong += due.pop(event.data["name"], None) is None or event.recorded_at < event.data["due_at"]
        elif event.type == TimerForgotten.TYPE:
            wrong += due.pop(event.data["name"], None) is None
        elif event.type == "timer.set":
            due[event.data["name"]] = event.data["due_at"]
    return wrong + len(due)


def _asks_wrong(history: Sequence[Envelope]) -> int:
    asked = Counter(event.data["command_id"] for event in history if event.type == ProcessAsked.TYPE)
    answered = Counter(event.data["command_id"] for event in history if event.type == ProcessAnswered.TYPE)
    return sum(asked[id_] != 1 or answered[id_] != 1 for id_ in asked.keys() | answered.keys())


def _end(session: Session, user_id: str, random_: random.Random) -> str | None:
    """Let the user accept, or somebody take the invitation back, or nobody do anything; return the end it made."""
    chosen = random_.random()
    if chosen < 0.5:
        return None
    time.sleep(random_.uniform(0, 0.5))
    name = "AcceptInvitation" if chosen < 0.8 else "WithdrawInvitation"
    item = {"id": f"{user_id}-end", "command": f"identity.{name}", "body": {"user_id": user_id}}
    [reply] = session.commands([item])
    # one that is over already is refused, or there is nothing to be taken back
    events = reply["events"] if reply["outcome"] == "accepted" else ()
    return next((event["type"] for event in events), None)


def _invitation(user_id: str, lasts_s: float) -> dict[str, Any]:
    ends = datetime.now(UTC) + timedelta(seconds=lasts_s)
    body = {"user_id": user_id, "email": f"{user_id}@example.test", "roles": ["USER"], "expires_at": ends.isoformat()}
    return {"id": f"{user_id}-invite", "command": "identity.InviteUser", "body": body}
