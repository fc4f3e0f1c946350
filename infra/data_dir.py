"""A data directory belongs to one process at a time, and its format must be one that this version knows."""

import errno
import fcntl
import json
import logging
import os
import secrets
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from streams.ports import LogIdentity

_log = logging.getLogger(__name__)

FORMAT = 3
"""Raised when an older version could not read what this one writes."""

GATEWAYS = "gateways"
"""The folder of a machine's gateways, which have a numbered one each."""

VECTORS = "vectors"
"""The folder of the vectors of documents, which no log has: it is worth keeping, but documents can be put in again."""

KEYS_FILE = "keys.sqlite"
MASTER_KEY_FILE = "master.key"
"""Without both of them no personal field of the log opens."""

LOG_FILES = ("events.sqlite", "telemetry.sqlite")
"""The log itself; with the keys of its personal fields all that must be kept of a directory."""

_FORMAT_FILE = "factline.json"
_LOCK_FILE = "lock"
_SERVER_FILE = "server.json"
OPERATOR_FILE = "operator.key"
_CURSOR_FILE = "cursor.key"


class DataDirError(Exception):
    """The data directory cannot be used as it is; the message says what to do. A retry gives the same answer."""


class DataDirInUse(DataDirError):  # noqa: N818
    """Another process has the directory open; stop it, then try again, or talk to its server."""


class Log(NamedTuple):
    """The log of a directory.

    Shape: `made` says that its files were there once, so they have to be there now; `has_keys` the same of the keys of
    its personal fields, which earlier versions did not have.
    """

    identity: LogIdentity
    made: bool
    has_keys: bool = False


class RunningServer(NamedTuple):
    """Where the process that has a directory open answers."""

    url: str
    pid: int


class DataDir:
    """A folder held open by this process.

    Raises: DataDirInUse; DataDirError, a newer version wrote it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (path / _LOCK_FILE).open("a+")
        except OSError as error:
            raise DataDirError(f"data directory {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            server = running_server(path)
            who = f"the server at {server.url} (pid {server.pid})" if server else "another process"
            raise DataDirInUse(f"data directory {path} is in use by {who}; stop it first, or use its API") from None
        try:
            self._check_format()
            # of a server that was killed: whoever finds the directory in use must not be sent to it
            (path / _SERVER_FILE).unlink(missing_ok=True)
        except OSError as error:
            self._lock.close()
            raise DataDirError(f"data directory {path} cannot be used: {error.strerror}") from error
        except BaseException:
            self._lock.close()
            raise

    def _check_format(self) -> None:
        found = _read_json(self.path / _FORMAT_FILE)
        if found is None:
            if any((self.path / name).exists() for name in LOG_FILES):
                raise DataDirError(f"data directory {self.path} has a log but no {_FORMAT_FILE}; restore that file")
            _write(self.path / _FORMAT_FILE, json.dumps({"format": FORMAT}), mode=0o600)
        elif not isinstance(found.get("format"), int) or found["format"] > FORMAT:
            raise DataDirError(
                f"data directory {self.path} has format {found.get('format')}, written by a newer version; this version"
                f" knows formats up to {FORMAT}: install the newer version, nothing here was changed"
            )

    def log(self) -> Log:
        """Return what the log in this directory is; a directory without one gets the identity of a new one.

        Raises: DataDirError.
        """
        found = (_read_json(self.path / _FORMAT_FILE) or {}).get("log")
        if isinstance(found, dict):
            return Log(
                LogIdentity(str(found["id"]), int(found["epoch"])), bool(found["made"]), bool(found.get("has_keys"))
            )
        # a version before this one wrote no identity: whatever it left shows that its log was made
        made = any((self.path / name).exists() for name in (*LOG_FILES, "views", OPERATOR_FILE))
        log = Log(LogIdentity(str(uuid.uuid4()), 1), made)
        self.keep_log(log)
        return log

    def keep_log(self, log: Log) -> None:
        """Write down what the log in this directory is; before its files are made, and again once they are."""
        write_log(self.path, log)

    def announce(self, url: str) -> None:
        """Tell other processes where this one answers; on a full disk none is told, and this one still answers."""
        try:
            _write(self.path / _SERVER_FILE, json.dumps({"url": url, "pid": os.getpid()}), mode=0o600)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _log.warning("the disk is full, so other commands do not find this server; free some space and restart it")

    def keep_operator_key(self, key: str) -> None:
        _write(self.path / OPERATOR_FILE, key + "\n", mode=0o600)

    def folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        (self.path / _SERVER_FILE).unlink(missing_ok=True)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_log(path: Path, log: Log) -> None:
    identity = {**log.identity._asdict(), "made": log.made, "has_keys": log.has_keys}
    _write(path / _FORMAT_FILE, json.dumps({"format": FORMAT, "log": identity}), mode=0o600)


def log_of(path: Path) -> LogIdentity | None:
    """Return the log of a directory that another process may have open, None where there is none.

    Raises: DataDirError.
    """
    found = (_read_json(path / _FORMAT_FILE) or {}).get("log")
    return LogIdentity(str(found["id"]), int(found["epoch"])) if isinstance(found, dict) else None


def running_server(path: Path) -> RunningServer | None:
    """Return the server that says it has the directory open."""
    found = _read_json(path / _SERVER_FILE)
    return RunningServer(str(found["url"]), int(found["pid"])) if found else None


def operator_key(path: Path) -> str | None:
    """Return the key that the first start left for the operator of this machine."""
    try:
        return (path / OPERATOR_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def cursor_secret(path: Path) -> bytes:
    """Return the key that signs cursors, made once by whoever comes first: a cursor stays good over a restart."""
    file = path / _CURSOR_FILE
    if not file.exists():
        new = path / f"{_CURSOR_FILE}.{os.getpid()}"
        _write(new, secrets.token_hex(32), mode=0o600)
        with suppress(FileExistsError):
            file.hardlink_to(new)
        new.unlink()
    return file.read_bytes()


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataDirError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataDirError(f"{path} is not a JSON object; restore that file")
    return found


def _write(path: Path, text: str, *, mode: int) -> None:
    """Write a small file whole or not at all."""
    new = path.with_suffix(path.suffix + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
