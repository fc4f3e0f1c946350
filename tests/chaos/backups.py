"""Backups are taken while the embedded server is killed; one that is broken off may not pass for a backup."""

import random
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Topic
from tests.chaos.history import History, names_in, read_all
from tests.infra.server_process import FACTLINE, factline

_LONGEST_S = 0.6


class Backed(NamedTuple):
    """What became of the backups; all but the totals must be 0.

    Shape: `refused` counts those that were broken off and that nothing is restored from, `missing` what was answered
    before a backup began and is not in the log that was made from it.
    """

    whole: int
    refused: int
    missing: int


class _Begun(NamedTuple):
    """A backup, and what was answered before it began."""

    folder: Path
    events: Sequence[str]
    facts: Sequence[str]


class Backups:
    """Backups of one data directory, in folders beside it."""

    def __init__(self, data_dir: Path, history: History, chance: random.Random) -> None:
        self._data_dir = data_dir
        self._history = history
        self._chance = chance
        self._whole: list[_Begun] = []
        self._torn: list[_Begun] = []

    def take(self) -> None:
        """Take one to its end."""
        begun = self._begin()
        done = factline("backup", str(begun.folder), "--data-dir", str(self._data_dir))
        assert done.returncode == 0, done.stderr
        self._whole.append(begun)

    def tear(self) -> None:
        """Begin one, and kill what takes it."""
        begun = self._begin()
        command = (*FACTLINE, "backup", str(begun.folder), "--data-dir", str(self._data_dir))
        taking = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        # it begins after Python has started
        deadline = time.monotonic() + 10
        while not begun.folder.exists() and taking.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(self._chance.uniform(0, self._chance.uniform(0, _LONGEST_S)))
        taking.kill()
        taking.wait()
        self._torn.append(begun)

    def check(self) -> Backed:
        """Restore every one of them, each into a folder of its own; one that is taken for a backup has to be whole."""
        missing = refused = 0
        for begun in [*self._whole, *self._torn]:
            done = factline("restore", str(begun.folder), "--data-dir", str(_restored(begun.folder)))
            if done.returncode == 0:
                missing += _missing(begun)
            else:
                assert begun in self._torn, done.stderr
                refused += 1
        return Backed(len(self._whole), refused, missing)

    def _begin(self) -> _Begun:
        told = [event["event_id"] for one in [*self._history.commands] for event in one.reply.get("events", ())]
        folder = self._data_dir.with_name(f"backup-{len(self._whole) + len(self._torn)}")
        return _Begun(folder, told, [*self._history.facts])


def _missing(begun: _Begun) -> int:
    with closing(SqliteEventLog(_restored(begun.folder))) as log:
        events = {entry.event_id for entry in read_all(log, Topic.EVENTS)}
        facts = {name for entry in read_all(log, Topic.TELEMETRY) for name in names_in(entry)}
    return len(set(begun.events) - events) + len(set(begun.facts) - facts)


def _restored(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-restored")
