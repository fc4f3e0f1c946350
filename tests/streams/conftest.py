from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sqlite.event_log import SqliteEventLog
from streams.ports import SystemClock
from streams.write.writer import Writer
from tests.streams.kit import register_tenant


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    log = SqliteEventLog(tmp_path)
    yield log
    log.close()


@pytest.fixture
def writer(log: SqliteEventLog) -> Writer:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), register_tenant("acme")])
    return writer
