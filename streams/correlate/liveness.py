"""This knows of the devices of a partition which are to be heard of, and tells when one is silent or back."""

import heapq
import logging
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import cast

from domain.catalog import event_from, name_of
from domain.fleet.device import DEVICE, DeviceEvent
from domain.fleet.facts import LogRecorded
from domain.fleet.liveness import LIVENESS, Life, Listening, after_event, change_of, heard, missed_at
from domain.message import Fact
from domain.rejection import Kind
from schemas.envelope import Envelope, StreamId, StreamKey, id_of
from streams.correlate.kept import KeptLife, life_state
from streams.correlate.sending import Send
from streams.identifiers import system_id
from streams.ports import LogUnavailable, Submission, WatchState

_LOG = logging.getLogger(__name__)

_SENT_AT_ONCE = 5_000
"""Commands of one call: where all devices are silent at once, other work goes on in between."""

TYPES = frozenset(event.TYPE for event in DEVICE.events)


class Liveness:
    """Shape: `changed` is what is to be kept, by its key: something only where an event says something of a device.

    A fact costs a look into a dictionary. Each device that is ONLINE waits once in a heap; what was heard of it
    meanwhile is looked at when its time has come.
    """

    def __init__(self, kept: Iterable[KeptLife], listening: Listening) -> None:
        self.changed: dict[str, WatchState] = {}
        self._listening = listening
        self._lives: dict[StreamKey, Life] = {}
        self._heap: list[tuple[datetime, StreamKey]] = []
        self._awaited: set[StreamKey] = set()
        self._unsent: dict[StreamKey, Submission] = {}
        for one in kept:
            self._put((one.tenant_id, StreamId(f"{DEVICE.category}-{one.device_id}")), one.life())

    def __bool__(self) -> bool:
        """Return whether there is a device that is to be heard of."""
        return bool(self._lives)

    def read(self, entry: Envelope) -> None:
        """Learn of an event of a device of this partition."""
        before = self._lives.get(entry.key)
        life = after_event(before, cast("DeviceEvent", event_from(entry)), entry)
        if life is not None:
            self._put(entry.key, life)
        elif before is None:
            return
        else:
            del self._lives[entry.key]
        # what was asked of an earlier version would be refused
        self._unsent.pop(entry.key, None)
        state = life_state(entry.tenant_id, id_of(entry.stream), life, entry.position)
        self.changed[state.key] = state
        if life is not None and not life.is_online:
            self._ask(entry.key, life, entry.recorded_at)

    def hear(self, record: Envelope) -> None:
        """Learn of what was recorded about a device, by itself or in lines of another that name it."""
        key = record.key
        if record.type == LogRecorded.TYPE:
            # the lines of a record name the same device; one of before there were records is a line itself
            [line, *_] = record.data.get("lines", [record.data])
            if named := line["device_id"]:
                key = record.tenant_id, StreamId(f"{Fact.CATEGORY}-{named}")
        life = self._lives.get(key)
        if life is None:
            return
        self._lives[key] = life = heard(life, record.recorded_at)
        if not life.is_online and key not in self._unsent:
            self._ask(key, life, record.recorded_at)

    def tick(self, now: datetime) -> None:
        """Learn that nothing more was recorded up to an instant."""
        while self._heap and self._heap[0][0] <= now:
            _, key = heapq.heappop(self._heap)
            self._awaited.discard(key)
            life = self._lives.get(key)
            if life is None:
                continue
            self._ask(key, life, now)
            missed = missed_at(life, self._listening)
            if missed is not None:
                # where it is refused now, as of a tenant that is suspended, it is asked again later
                self._await(key, missed if missed > now else now + self._listening.silence)

    def send(self, send: Send) -> None:
        """Send what silences led to. Raises: LogUnavailable, Overloaded; safe to retry.

        Shape: a bounded part, the rest at the next call. What is sent again changes nothing, because it says which
        version the device must have.
        """
        if not self._unsent:
            return
        now = dict(islice(self._unsent.items(), _SENT_AT_ONCE))
        for submission, reply in zip(now.values(), send(list(now.values())), strict=True):
            if reply.refusal is not None and reply.refusal.kind is Kind.NOT_NOW:
                raise LogUnavailable(f"{submission.name} was refused for now: {reply.refusal.reason}")
            if reply.refusal is not None:
                _LOG.debug("%s of %s refused: %s", submission.command, submission.tenant_id, reply.refusal.reason)
        for key in now:
            del self._unsent[key]

    def _put(self, key: StreamKey, life: Life) -> None:
        self._lives[key] = life
        missed = missed_at(life, self._listening)
        if missed is not None:
            self._await(key, missed)

    def _await(self, key: StreamKey, at: datetime) -> None:
        if key not in self._awaited:
            self._awaited.add(key)
            heapq.heappush(self._heap, (at, key))

    def _ask(self, key: StreamKey, life: Life, now: datetime) -> None:
        tenant_id, stream = key
        command = change_of(id_of(stream), life, self._listening, now)
        if command is None:
            return
        self._unsent[key] = Submission(
            command_id=system_id("liveness", tenant_id, stream, str(life.version), now.isoformat()),
            tenant_id=tenant_id,
            name=name_of(type(command)),
            command=command,
            actor=LIVENESS,
            happened_at=missed_at(life, self._listening) or life.heard_at,
            expected_version=life.version,
        )
