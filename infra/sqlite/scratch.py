"""`verify` folds the log into this empty store, whatever store keeps the view."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.timeline import SqliteTimeline
from projections.projection import Projection
from projections.rows import Role
from projections.stores import ViewWriter
from streams.ports import DeadLetters

_PREFIX = "verify-"


@contextmanager
def scratch(folder: Path, projection: Projection) -> Iterator[tuple[ViewWriter, DeadLetters]]:
    """Make a store of one projection in a folder, and remove it afterwards."""
    with TemporaryDirectory(prefix=_PREFIX, dir=folder) as place:
        kind = SqliteDocuments if projection.role is Role.DOCUMENTS else SqliteTimeline
        with (
            closing(kind(Path(place) / "scratch.sqlite", [projection])) as store,
            closing(SqliteDeadLetters(Path(place) / "dead_letters.sqlite")) as letters,
        ):
            yield store, letters


def clear(folder: Path) -> None:
    """Remove what processes left that were killed while they verified; none may be at it."""
    for left_over in folder.glob(f"{_PREFIX}*"):
        rmtree(left_over, ignore_errors=True)
