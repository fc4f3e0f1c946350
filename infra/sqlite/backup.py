"""A copy of the embedded log, taken while a server writes it, and a folder made from such a copy."""

import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from infra.backup_folder import checked, finished, make_empty, now, size_of
from infra.data_dir import (
    KEYS_FILE,
    LOG_FILES,
    MASTER_KEY_FILE,
    OPERATOR_FILE,
    DataDirError,
    Log,
    log_of,
    write_log,
)
from infra.sqlite.facts import FACTS_END
from infra.sqlite.identity import check
from streams.ports import LogDamaged, LogIdentity

_PROFILE = "embedded"
_SAYS = ("log", "taken_at", "events", "facts")


class Backup(NamedTuple):
    """What a backup holds. Shape: `events` and `facts` are the positions of the last of each that are in it."""

    identity: LogIdentity
    taken_at: str
    events: int
    facts: int
    size_bytes: int


def back_up(data_dir: Path, to: Path) -> Backup:
    """Copy the log of a data directory, whose server may go on writing, into a new folder.

    Shape: all that was answered before the call is in it, with the keys of its personal fields; the views are not, they
    are made from the log again.
    Raises: DataDirError, there is no log, or the folder is not empty; LogDamaged, a file cannot be read whole.
    """
    identity = log_of(data_dir)
    if identity is None:
        raise DataDirError(
            f"there is no factline log in {data_dir}; name its folder with --data-dir, and start its server once if an"
            " earlier version wrote it"
        )
    make_empty(to)
    taken_at = now()
    # events first: facts are never decided from events, but alerts are decided from facts
    for name in LOG_FILES:
        _copy(data_dir / name, to / name)
    # after the events: a key is there before the events that need it
    if (data_dir / KEYS_FILE).exists():
        _copy(data_dir / KEYS_FILE, to / KEYS_FILE)
    for name in (MASTER_KEY_FILE, OPERATOR_FILE):
        if (data_dir / name).exists():
            (to / name).touch(mode=0o600)
            shutil.copyfile(data_dir / name, to / name)
    said = {
        "log": identity._asdict(),
        "taken_at": taken_at,
        "events": _end(to / "events.sqlite", "SELECT COALESCE(MAX(rowid), 0) FROM stored_events"),
        "facts": _end(to / "telemetry.sqlite", FACTS_END),
    }
    return _described(finished(to, _PROFILE, said))


def restore(source: Path, data_dir: Path) -> Backup:
    """Make a data directory from a backup.

    Shape: the log's epoch grows, so that files and views of the time after the backup are not taken for parts of it.
    Pages of lists and tokens from before are refused. A restored folder has no views; the next start makes them.
    Raises: DataDirError, the folder is not empty, or the backup is not whole.
    """
    manifest = checked(source, _PROFILE, says=_SAYS)
    make_empty(data_dir)
    old = LogIdentity(manifest["log"]["id"], manifest["log"]["epoch"])
    # seconds and not the next number: two restores of one backup are two logs
    new = LogIdentity(old.id, max(old.epoch + 1, int(time.time())))
    for name in manifest["files"]:
        (data_dir / name).touch(mode=0o600)
        shutil.copyfile(source / name, data_dir / name)
    has_keys = KEYS_FILE in manifest["files"]
    for name in (*LOG_FILES, KEYS_FILE) if has_keys else LOG_FILES:
        with closing(sqlite3.connect(data_dir / name, isolation_level=None)) as connection:
            check(connection, name)
            connection.execute("UPDATE belongs_to SET epoch = ?", (new.epoch,))
    # last: without it the folder is no data directory
    write_log(data_dir, Log(new, made=True, has_keys=has_keys))
    return _described(manifest)._replace(identity=new)


def _copy(source: Path, target: Path) -> None:
    with (
        _damage(source.name),
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as there,
        closing(sqlite3.connect(target)) as here,
    ):
        # in one step: a copy in several begins anew whenever the server writes in between
        there.backup(here, pages=-1)
        # one file without a journal beside it
        here.execute("PRAGMA journal_mode=DELETE")
        check(here, source.name)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise LogDamaged(f"{name} cannot be copied whole: {error}; restore an earlier backup") from error


def _end(file: Path, query: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute(query).fetchone()[0])


def _described(manifest: Mapping[str, Any]) -> Backup:
    identity = LogIdentity(manifest["log"]["id"], manifest["log"]["epoch"])
    return Backup(identity, manifest["taken_at"], manifest["events"], manifest["facts"], size_of(manifest))
