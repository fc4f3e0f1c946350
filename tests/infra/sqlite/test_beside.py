"""What a gateway keeps of a topic in a file of its own, where the disk fails."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infra.sqlite.beside import BesideFile, Noted
from projections.stores import StoreUnavailable
from streams.topics import Beside

RECORD = Noted(b"acme|lead-1", b"wrapped", 1)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BesideFile]:
    with closing(BesideFile(tmp_path / "keys.sqlite")) as file:
        yield file


def refuse_commits(action: int, what: str | None, *_: str | None) -> int:
    is_commit = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
    return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK


def test_after_a_commit_that_failed_nothing_is_kept_and_the_next_one_works(file: BesideFile) -> None:
    file._db.set_authorizer(refuse_commits)
    with pytest.raises(StoreUnavailable):
        file.keep(Beside.KEYS, {0: [RECORD]}, {0: 1})
    file._db.set_authorizer(None)
    assert file.next_offset(Beside.KEYS, 0) == 0
    file.keep(Beside.KEYS, {0: [RECORD]}, {0: 1})
    assert file.find(Beside.KEYS, [RECORD.key]) == {RECORD.key: RECORD.value}
