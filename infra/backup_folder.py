"""A backup is a folder with a manifest, which is written last and has a digest of every other file."""

import json
import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from infra.data_dir import DataDirError

MANIFEST = "backup.json"
FORMAT = 1

_EMBEDDED = "embedded"
"""The profile of a manifest that names none: those of earlier versions did not."""


def make_empty(folder: Path) -> None:
    """Make a folder that nobody else may look into. Raises: DataDirError, there is something in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise DataDirError(f"{folder} is not empty; name a new folder")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def finished(folder: Path, profile: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write the manifest once every other file is on the disk; return it. A folder without one is no backup."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "profile": profile, **said, "files": files}
    new = folder / f"{MANIFEST}.new"
    new.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in (*(folder / name for name in files), new, folder):
        _to_disk(path)
    new.rename(folder / MANIFEST)
    _to_disk(folder)
    return manifest


def checked(folder: Path, profile: str, *, says: Collection[str]) -> Mapping[str, Any]:
    """Return the manifest of a backup whose files are as they were written.

    Shape: `says` is what a manifest of this profile has to say.
    Raises: DataDirError, it is not whole.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataDirError(f"{folder} is no whole backup: {MANIFEST} is missing or damaged ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataDirError(f"{folder} was backed up by another version; this one knows format {FORMAT}")
    if (of := manifest.get("profile", _EMBEDDED)) != profile:
        raise DataDirError(f"{folder} is a backup of the {of} profile: restore it with --profile {of}")
    if missing := {"files", *says} - manifest.keys():
        raise DataDirError(f"{folder} is no whole backup: {MANIFEST} does not say {', '.join(sorted(missing))}")
    for name, expected in manifest["files"].items():
        if not (folder / name).is_file() or _digest(folder / name) != expected:
            raise DataDirError(f"{folder / name} is not as it was backed up; use another backup, nothing was restored")
    return manifest


def size_of(manifest: Mapping[str, Any]) -> int:
    """Return the bytes of a backup."""
    return sum(file["bytes"] for file in manifest["files"].values())


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "blake2b": file_digest(file, partial(blake2b, digest_size=32)).hexdigest(),
        }


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
