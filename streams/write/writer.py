"""The writer decides commands, a batch at a time, and appends their events to the log in one step."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from domain import catalog
from domain.message import Process
from schemas.envelope import StreamKey
from streams.ports import Batch, Clock, EventLog, Reply, Submission
from streams.write.draft import Draft, Known, streams_of
from streams.write.snapshots import NoSnapshots, Snapshots, keep_long, load_streams
from streams.write.states import StreamState

MAX_CACHED_STREAMS = 20_000
"""Streams whose state stays in memory; the least recently used leave first and are read from the log again."""


class Writer:
    """Decides commands against one log; one instance at a time may write a partition.

    Not safe for threads: `write` is called by one at a time.
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
        self._log = log
        self._snapshots = snapshots or NoSnapshots()
        self._clock = clock
        self._processes = processes
        self._max_cached = max_cached_streams
        self._cache: OrderedDict[StreamKey, StreamState] = OrderedDict()
        self._recorded_at: dict[int, datetime] = {}

    def write(self, submissions: Sequence[Submission], commit: Callable[[Batch], None] | None = None) -> list[Reply]:
        """Decide a batch and make its events durable, all of them or none; one reply for each submission, in order.

        Shape: `commit` makes the batch durable in place of the log's `append`, where more is committed with it.
        Raises: LogUnavailable, nothing of the batch was kept; send it again under the same command ids.
        """
        answered = dict(self._log.find_commands({submission.key for submission in submissions}))
        known = Known(answered, self._load(submissions), self._recorded_at.copy())
        draft = Draft(known, self._log, self._clock.now(), self._processes)
        replies = [draft.answer(submission) for submission in submissions]
        try:
            (commit or self._log.append)(Batch(draft.events, replies, draft.marks))
        except Exception:
            # what became of the batch is the log's to say: the next one reads it again
            self.forget()
            raise
        self._keep(known.states)
        keep_long(self._snapshots, known.states, draft.events)
        self._recorded_at = dict(known.recorded_at)
        return replies

    def forget(self) -> None:
        """Drop from memory what is known of the log: another writer may have written since."""
        self._cache.clear()
        self._recorded_at.clear()

    def _load(self, submissions: Sequence[Submission]) -> dict[StreamKey, StreamState]:
        keys = {key for submission in submissions for key in streams_of(submission)}
        states = {key: self._cache[key] for key in keys if key in self._cache}
        missing = [key for key in keys if key not in states]
        if missing:
            states |= load_streams(self._log, self._snapshots, missing)
        return states

    def _keep(self, states: Mapping[StreamKey, StreamState]) -> None:
        for key, state in states.items():
            self._cache[key] = state
            self._cache.move_to_end(key)
        while len(self._cache) > self._max_cached:
            self._cache.popitem(last=False)
