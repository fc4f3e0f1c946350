"""What was changed of a partition's correlation is kept, and then what follows from it is sent, in this order."""

from collections.abc import Sequence
from typing import Protocol

from streams.correlate.kept import Progress, progress_state
from streams.correlate.known import Known
from streams.correlate.sending import Send, send_all
from streams.ports import WatchState, WatchStates

KEEP_EVERY = 10_000
"""Records after which it is kept how far they were read, where nothing else was to be kept: they are read again."""


class Beside(Protocol):
    """What is known beside the watches. Shape: `changed` is what is to be kept of it, by its key."""

    changed: dict[str, WatchState]


class Keeping:
    """Shape: `changed` is what watches learned since it was kept, `gone` what they need not know any more, both by key.

    `to_keep` are definitions that changed. `progress` says how far everything was read.
    """

    def __init__(self, partition: int, states: WatchStates, progress: Progress, besides: Sequence[Beside]) -> None:
        self.progress = progress
        self.changed: dict[str, Known] = {}
        self.gone: dict[str, Known] = {}
        self.to_keep: dict[str, WatchState] = {}
        self._kept = progress
        self._partition = partition
        self._states = states
        self._besides = besides

    def drop(self, known: Known) -> None:
        self.changed.pop(known.key, None)
        self.gone[known.key] = known
        known.defined = None
        # past every fact it can have seen, so that no worker that is behind brings it back
        known.position = max(known.position, self.progress.facts)

    def settle(self, send: Send) -> None:
        """Keep what is known, send what follows from it, and keep that it was sent.

        Raises: StoreUnavailable, LogUnavailable, Overloaded: call it again, now or after more facts.
        """
        read = self.progress.records - self._kept.records
        noted = self.to_keep or any(beside.changed for beside in self._besides)
        if self.changed or self.gone or noted or read >= KEEP_EVERY:
            self.keep()
        told = [*self.gone.values(), *(known for known in self.changed.values() if known.unsent)]
        self.changed = {known.key: known for known in told if known.key not in self.gone}
        if not told:
            return
        send_all(send, told)
        for known in told:
            known.unsent = ()
        forgotten = [WatchState(key, self.progress.facts, None) for key in self.gone]
        self._states.keep(self._partition, [*(known.state() for known in self.changed.values()), *forgotten])
        self.changed, self.gone = {}, {}

    def keep(self) -> None:
        """Raises: StoreUnavailable, safe to retry."""
        gone = [known.state() for known in self.gone.values()]
        changed = [known.state() for known in self.changed.values()]
        # where not all is kept at once: what ends before what ends it, what it is known by before what is known, and
        # the progress last, so that what is missing is read again
        made = [*self.to_keep.values(), *(state for beside in self._besides for state in beside.changed.values())]
        self._states.keep(self._partition, [*gone, *made, *changed, progress_state(self.progress)])
        self._kept, self.to_keep = self.progress, {}
        for beside in self._besides:
            beside.changed.clear()
