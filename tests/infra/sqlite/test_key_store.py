"""The embedded key store keeps every promise of KeyStore, and its file alone opens nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite import key_store
from infra.sqlite.key_store import SqliteKeyStore
from projections.keys import KeysUnusable
from tests.contracts.key_store import ANN, ANN_OF_BOLT, BEN, KeyStoreContract
from tests.infra.sqlite.test_timeline import locked

WRAPPED = (
    "01000102030405060708090a0b36d7aadf94649fa114c1dd52a626ece97ff1dc6029fdfe90bb68556cd6bad7a5"
    "e71b4922be601dff952309722a3b9f03"
)
"""The key a1a1… of Ann, wrapped with the master key 0b0b…; it may never change."""


def opened(folder: Path) -> SqliteKeyStore:
    return SqliteKeyStore(folder / "keys.sqlite", folder / "master.key")


class TestSqliteKeyStore(KeyStoreContract):
    @staticmethod
    def open(place: str) -> SqliteKeyStore:
        return opened(Path(place).parent)

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "keys.sqlite")

    @pytest.fixture
    def store(self, place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteKeyStore]:
        with monkeypatch.context() as patch:
            patch.setattr(key_store, "BUSY_TIMEOUT_S", 0.02)
            store = self.open(place)
        yield store
        store.close()

    @pytest.fixture
    def outage(self, place: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: locked(place)


def wrapped(folder: Path) -> dict[tuple[str, str], Any]:
    with closing(sqlite3.connect(folder / "keys.sqlite")) as connection:
        return {(tenant, subject): raw for tenant, subject, raw in connection.execute("SELECT * FROM keys")}


def test_neither_a_key_nor_the_master_key_is_in_the_table(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        (key,) = store.make([ANN]).values()
    raw = (tmp_path / "keys.sqlite").read_bytes()
    assert key
    assert key not in raw
    assert bytes.fromhex((tmp_path / "master.key").read_text()) not in raw


def test_destroyed_key_is_in_no_file_any_more_not_even_wrapped(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        store.make([ANN, BEN])
        secret = wrapped(tmp_path)[ANN]
        parts = [secret[at : at + 8] for at in range(0, len(secret) - 8, 8)]
        assert secret in (tmp_path / "keys.sqlite").read_bytes()
        store.destroy(ANN)
        assert not any(part in path.read_bytes() for path in tmp_path.iterdir() for part in parts)


def test_master_key_is_for_its_owner_only(tmp_path: Path) -> None:
    opened(tmp_path).close()
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"keys.sqlite", "master.key"}
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        opened(tmp_path)


def test_master_key_that_was_put_there_before_is_used(tmp_path: Path) -> None:
    master = tmp_path / "master.key"
    master.write_text("ab" * 32)
    master.chmod(0o600)
    opened(tmp_path).close()
    assert master.read_text() == "ab" * 32


def test_missing_master_key_is_never_made_anew_beside_keys(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "master.key").rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(KeysUnusable, match=r"master\.key cannot be read: .*; put it back"):
            opened(tmp_path)
    assert not (tmp_path / "master.key").exists()
    (tmp_path / "away").rename(tmp_path / "master.key")
    opened(tmp_path).close()


@pytest.mark.parametrize(("text", "words"), [("cd" * 32, "is not the master key"), ("cd" * 16, "64 hex"), ("x", "64")])
def test_other_master_key_is_refused(tmp_path: Path, text: str, words: str) -> None:
    opened(tmp_path).close()
    (tmp_path / "master.key").write_text(text)
    with pytest.raises(KeysUnusable, match=words):
        opened(tmp_path)


def test_wrapped_key_in_the_row_of_another_subject_or_tenant_opens_nothing(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        store.make([ANN, BEN, ANN_OF_BOLT])
        for moved in (wrapped(tmp_path)[BEN], wrapped(tmp_path)[ANN_OF_BOLT], wrapped(tmp_path)[ANN][:-1], b"\x01"):
            with closing(sqlite3.connect(tmp_path / "keys.sqlite")) as connection, connection:
                connection.execute("UPDATE keys SET wrapped = ? WHERE (tenant_id, subject) = (?, ?)", (moved, *ANN))
            for use in (store.find, store.make):
                with pytest.raises(KeysUnusable, match="changed or moved"):
                    use([ANN])
        assert store.find([BEN])


def test_damaged_file_is_not_called_an_outage(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "keys.sqlite").write_bytes(b"not a database" * 400)
    with pytest.raises(KeysUnusable, match=r"keys\.sqlite is damaged"):
        opened(tmp_path)


def test_key_that_another_process_is_about_to_make_is_waited_for(tmp_path: Path) -> None:
    master = tmp_path / "master.key"
    master.write_text("0b" * 32)
    master.chmod(0o600)
    with closing(opened(tmp_path)) as store, ThreadPoolExecutor(1) as pool:
        with closing(sqlite3.connect(tmp_path / "keys.sqlite")) as other:
            other.execute("INSERT INTO keys VALUES (?, ?, ?)", (*ANN, bytes.fromhex(WRAPPED)))
            made = pool.submit(store.make, [ANN])
            wait([made], timeout=0.2)
            other.commit()
        assert made.result() == {ANN: bytes.fromhex("a1" * 32)}


def test_wrapped_key_of_the_first_release_is_opened(tmp_path: Path) -> None:
    master = tmp_path / "master.key"
    master.write_text("0b" * 32)
    master.chmod(0o600)
    with closing(opened(tmp_path)) as store:
        with closing(sqlite3.connect(tmp_path / "keys.sqlite")) as connection, connection:
            connection.execute("INSERT INTO keys VALUES (?, ?, ?)", (*ANN, bytes.fromhex(WRAPPED)))
        assert store.find([ANN]) == {ANN: bytes.fromhex("a1" * 32)}, "changed what was released: add a version"
