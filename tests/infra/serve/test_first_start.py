"""The operator's key: given once, by whoever starts first, whatever is lost on the way."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from domain.identity.api_key import RevokeApiKey, RotateApiKey
from infra.data_dir import operator_key
from infra.embedded import DEMO_TENANT, Embedded
from infra.serve import first_start as module
from infra.serve.first_start import first_start
from infra.sqlite.event_log import SqliteEventLog
from read_api.edge.auth import Authenticator, Unauthenticated
from schemas.envelope import SYSTEM_TENANT, Topic
from streams.ports import OutcomeUnknown, Reply, Submission, SystemClock
from streams.write.writer import Writer
from tests.streams.kit import register_tenant, submission

pytestmark = pytest.mark.full


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    log = SqliteEventLog(tmp_path)
    yield log
    log.close()


class Gate:
    """A writer whose first answers are lost after it has decided."""

    def __init__(self, log: SqliteEventLog, lost: int) -> None:
        self._writer = Writer(log, SystemClock())
        self._lost = lost

    async def execute(self, submission: Submission) -> Reply:
        [reply] = self._writer.write([submission])
        if self._lost:
            self._lost -= 1
            raise OutcomeUnknown("no reply came")
        return reply


def keys_issued(log: SqliteEventLog) -> list[str]:
    entries = log.read(Topic.EVENTS, 0, after=0, limit=100)
    return [entry.stream for entry in entries if entry.type == "api_key.issued"]


def started(log: SqliteEventLog, *, lost: int = 0) -> list[str]:
    kept: list[str] = []
    asyncio.run(first_start(Gate(log, lost), log, kept.append))
    return kept


@pytest.mark.parametrize("lost", range(4))
def test_key_that_was_kept_is_good_however_many_answers_were_lost(
    log: SqliteEventLog, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    [key] = started(log, lost=lost)
    assert [f"api_key-{key.removeprefix('ak_').partition('.sk_')[0]}"] == keys_issued(log)


def test_operator_gets_a_key_once_the_disk_takes_it(log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    kept: list[str] = []

    def keep(key: str) -> None:
        kept.append(key)
        if len(kept) == 1:
            raise OSError("no space left on device")

    asyncio.run(first_start(Gate(log, 0), log, keep))
    assert len(kept) == 2
    assert len(keys_issued(log)) == 1


def test_later_start_gives_no_second_key(log: SqliteEventLog) -> None:
    assert len(started(log)) == 1
    assert started(log) == []
    assert len(keys_issued(log)) == 1


def test_operator_that_was_left_without_a_key_by_a_crash_gets_one(log: SqliteEventLog) -> None:
    Writer(log, SystemClock()).write([register_tenant(SYSTEM_TENANT)])
    assert len(started(log)) == 1
    assert len(keys_issued(log)) == 1


def test_operator_whose_only_key_was_revoked_gets_another(log: SqliteEventLog) -> None:
    [key] = started(log)
    key_id = key.removeprefix("ak_").partition(".sk_")[0]
    Writer(log, SystemClock()).write([submission(RevokeApiKey(key_id=key_id), tenant=SYSTEM_TENANT)])
    assert len(started(log)) == 1
    assert len(keys_issued(log)) == 2


# --- the embedded profile


def embedded_start(folder: Path) -> str | None:
    with Embedded.open(folder) as embedded:
        return embedded.first_start()


def operator_may_ask(folder: Path) -> bool:
    """Ask as a server does: by way of the view."""
    with Embedded.open(folder) as embedded:
        embedded.views.catch_up()
        try:
            return Authenticator(embedded.credentials).authenticate(operator_key(folder)).tenant_id == SYSTEM_TENANT
        except Unauthenticated:
            return False


def test_start_that_was_killed_before_anything_was_recorded_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            embedded_start(tmp_path)
    assert embedded_start(tmp_path) is not None
    assert operator_may_ask(tmp_path)
    assert embedded_start(tmp_path) is None


def _lose(folder: Path) -> None:
    (folder / "operator.key").unlink()


def _spoil(folder: Path) -> None:
    (folder / "operator.key").write_text("no key")


def _of_a_start_that_was_killed(folder: Path) -> None:
    (folder / "operator.key").write_text("ak_never-recorded.sk_x")


def _revoke(folder: Path) -> None:
    key_id = (operator_key(folder) or "").removeprefix("ak_").partition(".sk_")[0]
    with Embedded.open(folder) as embedded:
        embedded.writer.write([submission(RevokeApiKey(key_id=key_id), tenant=SYSTEM_TENANT)])


def _rotate(folder: Path) -> None:
    key_id = (operator_key(folder) or "").removeprefix("ak_").partition(".sk_")[0]
    with Embedded.open(folder) as embedded:
        command = RotateApiKey(key_id=key_id, secret_sha256="0" * 64)
        embedded.writer.write([submission(command, tenant=SYSTEM_TENANT)])


@pytest.mark.parametrize("harm", [_lose, _spoil, _of_a_start_that_was_killed, _revoke, _rotate])
def test_operator_whose_kept_key_opens_nothing_gets_another(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    embedded_start(tmp_path)
    harm(tmp_path)
    assert not operator_may_ask(tmp_path)
    assert embedded_start(tmp_path) is None
    assert operator_may_ask(tmp_path)
    kept = operator_key(tmp_path)
    embedded_start(tmp_path)
    assert operator_key(tmp_path) == kept


@pytest.mark.parametrize("begun", [[], [SYSTEM_TENANT], [DEMO_TENANT]])
def test_start_completes_what_an_earlier_one_began(tmp_path: Path, begun: Sequence[str]) -> None:
    with Embedded.open(tmp_path) as embedded:
        embedded.writer.write([register_tenant(tenant) for tenant in begun])
        assert (embedded.first_start() is None) is (DEMO_TENANT in begun)
        assert embedded.has_tenant(SYSTEM_TENANT)
        assert embedded.has_tenant(DEMO_TENANT)
    assert operator_may_ask(tmp_path)
