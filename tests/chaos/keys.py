"""A caller uses its idempotency keys again, for the same command and for others, and what it was told is compared."""

import random
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.envelope import Envelope
from tests.chaos.history import Answered, Caller, History, Session, register, tag

NEVER = "a value of a command that had the key of another"
_FINAL = (200, 404, 409, 422)
_SAID = ("command_id", "outcome", "kind", "version", "events", "position")


def uses_keys_again(device: str) -> Caller:
    """Return a caller whose commands change something, change nothing or are refused, and come again under their keys.

    Between the first time and the next ones others change what the first one saw.
    """

    def call(session: Session, random_: random.Random, stop: threading.Event) -> None:
        session.commands([register(device)])
        n, value = 0, "none"
        seen: deque[tuple[Mapping[str, Any], Mapping[str, Any]]] = deque(maxlen=20)
        while not stop.is_set():
            n += 1
            item: Mapping[str, Any]
            id_ = f"{device}-again-{n}"
            if random_.random() < 0.5:
                value = str(n)
                item = tag(id_, device, value)
            else:
                # changes nothing, or is refused
                item = random_.choice([tag(id_, device, value), tag(id_, f"{device}-nowhere", value)])
            seen.append((item, _first(session, item)))
            item, first = random_.choice(seen)
            again = _ask(session, item)
            session.history.repeated.append(({**first, "repeated": True}, again))
            other = {**item, "body": {**item["body"], "value": NEVER}}
            session.history.reused.append(_ask(session, other))

    return call


class Again(NamedTuple):
    """How keys were used again; all but the totals must be 0.

    Shape: `told_otherwise` counts commands that came again and were not told what they were told first, `not_refused`
    other commands under a known key that were not refused as such, `effects` those of them that are in the log.
    """

    repeated: int
    reused: int
    told_otherwise: int
    not_refused: int
    effects: int


def used_again(history: History, events: Sequence[Envelope]) -> Again:
    """Compare what callers were told when they used a key again, and the log."""
    return Again(
        repeated=len(history.repeated),
        reused=len(history.reused),
        told_otherwise=sum(_said(first) != _said(again) for first, again in history.repeated),
        not_refused=sum((one.get("status"), one.get("kind")) != (422, "reused") for one in history.reused),
        effects=sum(event.data.get("value") == NEVER for event in events),
    )


def _first(session: Session, item: Mapping[str, Any]) -> Mapping[str, Any]:
    session.history.asked.append(item["id"])
    reply = _ask(session, item)
    session.history.commands.append(Answered(item["id"], None, reply))
    return reply


def _ask(session: Session, item: Mapping[str, Any]) -> Mapping[str, Any]:
    path = "/v1/commands/" + item["command"].replace(".", "/")
    answer: Mapping[str, Any] = session.ask(path, item["body"], {"Idempotency-Key": item["id"]}, final=_FINAL)
    return answer


def _said(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: reply.get(name) for name in (*_SAID, "repeated")}
