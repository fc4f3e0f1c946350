"""The writer decides commands, a batch at a time, and appends their events to the log in one step."""

import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from domain import catalog
from domain.process import Process
from schemas.envelope import StreamKey
from streams.ports import Batch, Clock, Due, EventLog, LogDamaged, LogUnavailable, Reply, Submission
from streams.write.draft import Draft, Known, streams_of, tenant_key
from streams.write.due import in_turns
from streams.write.outcomes import Inquiry, outcome
from streams.write.processes import Listeners, Reactions
from streams.write.snapshots import NoSnapshots, Snapshots, keep_long, load_streams
from streams.write.states import StreamState
from streams.write.turn import WriterLost

_LOG = logging.getLogger(__name__)

MAX_CACHED_STREAMS = 20_000
"""Streams whose state stays in memory; the least recently used leave first and are read from the log again."""

MAX_DUE = 500
"""Timers that fire in one transaction: commands that came meanwhile wait no longer than that takes."""

_AT_ONCE = datetime.min.replace(tzinfo=UTC)


class Writer:
    """Decides commands against one log, and fires the timers of its processes; one at a time may write a partition.

    Shape: `failed` counts by process how often its code failed.
    Not safe for threads: `write` and `tick` are called by one at a time.
    """

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        *,
        processes: Sequence[Process] = catalog.PROCESSES,
        snapshots: Snapshots | None = None,
        max_cached_streams: int = MAX_CACHED_STREAMS,
    ) -> None:
        self.failed: Counter[str] = Counter()
        self._log = log
        self._snapshots = snapshots or NoSnapshots()
        self._clock = clock
        self._listeners = Listeners.of(processes, lambda name: self.failed.update([name]))
        self._max_cached = max_cached_streams
        self._cache: OrderedDict[StreamKey, StreamState] = OrderedDict()
        self._recorded_at: dict[int, datetime] = {}
        self._max_due = MAX_DUE

    def write(
        self, asked: Sequence[Submission | Inquiry], commit: Callable[[Batch], None] | None = None
    ) -> list[Reply]:
        """Decide a batch and make its events durable, all of them or none; one reply for each, in order.

        Shape: `commit` makes the batch durable in place of the log's `append`, where more is committed with it.
        Raises: LogUnavailable, nothing of the batch was kept; send it again under the same command ids.
        """
        answered = dict(self._log.find_commands({one.key for one in asked}))
        keys = {key for one in asked if isinstance(one, Submission) for key in streams_of(one)}
        known = Known(answered, self._load(keys), self._recorded_at.copy())
        draft = self._draft(known)
        reactions = Reactions(draft, self._listeners, self._log.partitions)
        replies = [outcome(one, known.answered) if isinstance(one, Inquiry) else reactions.answer(one) for one in asked]
        self._make_durable(known, Batch(draft.events, replies, draft.marks), commit or self._log.append)
        return replies

    def wait_s(self) -> float:
        """Return the time until `tick` has something to do, 0 if it has now; any thread may ask."""
        next_due = self._log.next_due()
        if next_due is None:
            return math.inf
        return 0.0 if next_due == _AT_ONCE else max(0.0, (next_due - self._clock.now()).total_seconds())

    def tick(self) -> int:
        """Fire the timers that are due, and go on with what processes asked before; return how many that were.

        Shape: some at a time; 0 when nothing is due. What makes the writer itself fail is found by taking half as
        many, and is done without the code of its process.
        Raises: LogUnavailable, nothing was kept, safe to retry; LogDamaged; WriterLost.
        """
        if self.wait_s() > 0:
            return 0
        bare = self._max_due == 0
        limit = max(1, self._max_due)
        due = _timers_and_asked(self._log.due(self._clock.now(), limit))[:limit]
        if not due:
            return 0
        try:
            done = self._go_on(due, bare=bare)
        except (LogUnavailable, LogDamaged, WriterLost):
            raise
        except Exception:
            if bare:
                raise
            _LOG.exception("going on with what was due failed; it is taken in smaller parts")
            self._max_due //= 2
            return 0
        self._max_due = min(MAX_DUE, 2 * self._max_due + 1)
        return done

    def _go_on(self, due: Sequence[Due], *, bare: bool) -> int:
        keys = {(one.tenant_id, one.stream) for one in due} | {tenant_key(one.tenant_id) for one in due}
        known = Known({}, self._load(keys), self._recorded_at.copy())
        draft = self._draft(known)
        reactions = Reactions(draft, self._listeners, self._log.partitions)
        known.states.update(self._load({key for one in due for key in reactions.foreseen(one)} - keys))
        done = 0
        while done < len(due) and not reactions.is_full:
            reactions.go_on(due[done], bare=bare)
            done += 1
        self._make_durable(known, Batch(draft.events, ()), self._log.append)
        return done

    def forget(self) -> None:
        """Drop from memory what is known of the log: another writer may have written since."""
        self._cache.clear()
        self._recorded_at.clear()

    def _draft(self, known: Known) -> Draft:
        return Draft(known, self._log, self._clock.now(), listened=self._listeners.by_event, load=self._load)

    def _make_durable(self, known: Known, batch: Batch, append: Callable[[Batch], None]) -> None:
        try:
            append(batch)
        except Exception:
            # what became of the batch is the log's to say: the next one reads it again
            self.forget()
            raise
        self._keep(known.states)
        keep_long(self._snapshots, known.states, batch.events)
        self._recorded_at = dict(known.recorded_at)

    def _load(self, keys: Collection[StreamKey]) -> dict[StreamKey, StreamState]:
        states = {key: self._cache[key] for key in keys if key in self._cache}
        missing = [key for key in keys if key not in states]
        if missing:
            states |= load_streams(self._log, self._snapshots, missing, self._listeners.by_name)
        return states

    def _keep(self, states: Mapping[StreamKey, StreamState]) -> None:
        for key, state in states.items():
            self._cache[key] = state
            self._cache.move_to_end(key)
        while len(self._cache) > self._max_cached:
            self._cache.popitem(last=False)


def _timers_and_asked(due: Sequence[Due]) -> Sequence[Due]:
    timers = [one for one in due if one.due_at is not None]
    asked = [one for one in due if one.due_at is None]
    return in_turns([timers, asked])
