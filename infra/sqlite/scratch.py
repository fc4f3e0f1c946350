"""`verify` keeps what the log says here, whatever store keeps the view: digests, and rows that have to be seen."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.identity import is_damage
from infra.sqlite.remembered import SqliteRemembered
from infra.sqlite.timeline import SqliteTimeline
from projections.projection import Projection
from projections.rows import Role
from projections.stores import StoreUnavailable, ViewWriter
from streams.ports import DeadLetters
from streams.project.remembered import Remembered

_LOG = logging.getLogger(__name__)

_PREFIX = "verify-"
_KEPT = "verified"
"""The folder of what stays from one comparison to the next; it may be removed at any time while nothing runs."""


@contextmanager
def scratch(folder: Path, projection: Projection) -> Iterator[tuple[ViewWriter, DeadLetters, Remembered]]:
    """Make a store of one projection in a folder, and remove it afterwards; documents and what is remembered stay."""
    kept = folder / _KEPT
    with TemporaryDirectory(prefix=_PREFIX, dir=folder) as place, ExitStack() as opened:
        try:
            parts = _opened(opened, kept, Path(place), projection)
        except StoreUnavailable as error:
            if not is_damage(error):
                raise
            opened.close()
            _forget(kept, error)
            parts = _opened(opened, kept, Path(place), projection)
        try:
            yield parts
        except StoreUnavailable as error:
            if is_damage(error):
                # of these files, or of the view's own: without them the next comparison reads all of the log
                opened.close()
                _forget(kept, error)
            raise


def _opened(
    opened: ExitStack, kept: Path, place: Path, projection: Projection
) -> tuple[ViewWriter, DeadLetters, Remembered]:
    kept.mkdir(exist_ok=True, mode=0o700)
    store = (
        SqliteDocuments(kept / "documents.sqlite", [projection])
        if projection.role is Role.DOCUMENTS
        else SqliteTimeline(place / "scratch.sqlite", [projection])
    )
    opened.enter_context(closing(store))
    letters = opened.enter_context(closing(SqliteDeadLetters(place / "dead_letters.sqlite")))
    return store, letters, opened.enter_context(closing(SqliteRemembered(kept / "remembered.sqlite")))


def _forget(kept: Path, error: StoreUnavailable) -> None:
    _LOG.warning("what verify remembers in %s is removed: %s", kept, error)
    rmtree(kept, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what processes left that were killed while they verified; none may be at it."""
    for left_over in folder.glob(f"{_PREFIX}*"):
        rmtree(left_over, ignore_errors=True)
