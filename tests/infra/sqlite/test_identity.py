import sqlite3
from typing import cast

import pytest

from infra.sqlite.identity import check
from streams.ports import LogDamaged, LogUnavailable


class _Fails:
    def __init__(self, code: int) -> None:
        self.error = sqlite3.OperationalError("disk I/O error")
        self.error.sqlite_errorcode = code

    def execute(self, _sql: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_IOERR, LogUnavailable),
        (sqlite3.SQLITE_FULL, LogUnavailable),
        (sqlite3.SQLITE_CORRUPT, LogDamaged),
    ],
)
def test_file_that_cannot_be_read_is_damaged_only_where_sqlite_says_so(code: int, said: type[Exception]) -> None:
    with pytest.raises(said) as caught:
        check(cast("sqlite3.Connection", _Fails(code)), "events.sqlite")
    assert ("restore a backup" in str(caught.value)) == (said is LogDamaged)
