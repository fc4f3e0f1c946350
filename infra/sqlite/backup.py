"""A copy of the embedded log, taken while a server writes it, and a folder made from such a copy."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

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

MANIFEST = "backup.json"
FORMAT = 1
_CHUNK_BYTES = 1 << 20


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
    _empty(to)
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
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
    files = {path.name: _digest(path) for path in sorted(to.iterdir())}
    manifest = {
        "format": FORMAT,
        "log": identity._asdict(),
        "taken_at": taken_at,
        "events": _end(to / "events.sqlite", "SELECT COALESCE(MAX(rowid), 0) FROM stored_events"),
        "facts": _end(to / "telemetry.sqlite", FACTS_END),
        "files": files,
    }
    # last: a folder without it is no backup
    (to / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return _described(manifest)


def restore(source: Path, data_dir: Path) -> Backup:
    """Make a data directory from a backup.

    Shape: the log's epoch grows, so that files and views of the time after the backup are not taken for parts of it.
    Pages of lists and tokens from before are refused. A restored folder has no views; the next start makes them.
    Raises: DataDirError, the folder is not empty, or the backup is not whole.
    """
    manifest = _manifest(source)
    for name, expected in manifest["files"].items():
        if not (source / name).is_file() or _digest(source / name) != expected:
            raise DataDirError(f"{source / name} is not as it was backed up; use another backup, nothing was restored")
    _empty(data_dir)
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


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise DataDirError(f"{folder} is not empty; name a new folder")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataDirError(f"{folder} is no whole backup: {MANIFEST} is missing or damaged ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataDirError(f"{folder} was backed up by another version; this one knows format {FORMAT}")
    return manifest


def _digest(path: Path) -> dict[str, Any]:
    digest, size = blake2b(digest_size=32), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "blake2b": digest.hexdigest()}


def _described(manifest: dict[str, Any]) -> Backup:
    size = sum(file["bytes"] for file in manifest["files"].values())
    identity = LogIdentity(manifest["log"]["id"], manifest["log"]["epoch"])
    return Backup(identity, manifest["taken_at"], manifest["events"], manifest["facts"], size)
