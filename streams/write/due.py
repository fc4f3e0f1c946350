"""From the events of processes follows what they wait for: timers, and commands that are asked and not decided yet."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from domain.process import ProcessAnswered, ProcessAsked, TimerFired, TimerForgotten, TimerSet
from schemas.envelope import Envelope, StreamId, TenantId
from streams.ports import Due

TYPES = frozenset(event.TYPE for event in (ProcessAsked, ProcessAnswered, TimerFired, TimerForgotten, TimerSet))
"""The types of the events that say so."""

Key = tuple[TenantId, StreamId, str]


def changes(events: Iterable[Envelope]) -> tuple[list[Due], list[Key]]:
    """Return what is waited for after events, in their order, and the keys of what is done or taken back."""
    now_waiting: dict[Key, Due] = {}
    gone: dict[Key, None] = {}
    answered_at_once: set[Key] = set()
    for event in events:
        if event.type not in TYPES:
            continue
        data = event.data
        key = (event.tenant_id, event.stream, data["command_id" if event.type.startswith("process.") else "name"])
        if event.type == TimerSet.TYPE:
            now_waiting[key] = Due(*key, data["due_at"])
        elif event.type == ProcessAsked.TYPE:
            if data["message"] is None:
                answered_at_once.add(key)
            else:
                now_waiting[key] = Due(*key, None)
        else:
            now_waiting.pop(key, None)
            if key not in answered_at_once:
                gone[key] = None
    return list(now_waiting.values()), list(gone)


def in_turns(queues: Iterable[Sequence[Due]]) -> list[Due]:
    """Return what waits in several queues, one of each after the other: much in one does not hold up the others."""
    return [one for turn in zip_longest(*queues) for one in turn if one is not None]
