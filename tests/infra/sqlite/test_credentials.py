"""The hash of a secret is in no event any more, and keys of before keep working."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from domain.identity.api_key import IssueApiKey, RequestLimits, RevokeApiKey, RotateApiKey
from domain.identity.tenant import SetQuota
from infra.sqlite.credentials import SqliteCredentials
from infra.sqlite.event_log import SqliteEventLog
from projections.credentials import NO_QUOTA, Quota, RateLimits
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.key_ids import key_tag
from streams.ports import Batch, LogIdentity, SystemClock
from streams.write.writer import Writer
from tests.streams.kit import register_tenant, submission

DEMO = TenantId("demo")
KEY = key_tag(DEMO) + "one"
IDENTITY = LogIdentity("a log", 1)


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def issue(secret: str, key: str = KEY) -> Any:
    return submission(IssueApiKey(key_id=key, secret_sha256=digest(secret), scopes=("*",), name="ci"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    with closing(SqliteEventLog(tmp_path, identity=IDENTITY)) as log:
        yield log


@pytest.fixture
def credentials(log: SqliteEventLog, tmp_path: Path) -> Iterator[SqliteCredentials]:
    assert log.partitions
    with closing(SqliteCredentials(tmp_path / "events.sqlite")) as credentials:
        yield credentials


def payloads(log: SqliteEventLog) -> list[Mapping[str, Any]]:
    return [one.data for one in log.read(Topic.EVENTS, 0, after=0, limit=100) if isinstance(one, Envelope)]


def test_key_is_known_at_once_and_its_hash_is_in_no_event(
    log: SqliteEventLog, credentials: SqliteCredentials, tmp_path: Path
) -> None:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), issue("first")])
    [known] = credentials.find(KEY)
    assert known[:3] == (DEMO, KEY, digest("first"))
    assert (known.scopes, known.revoked, credentials.status_of(DEMO)) == (("*",), False, "ACTIVE")
    assert credentials.tenants() == {DEMO: "ACTIVE"}
    writer.write([submission(RotateApiKey(key_id=KEY, secret_sha256=digest("second")))])
    assert [one.secret_sha256 for one in credentials.find(KEY)] == [digest("second")]
    writer.write([submission(RevokeApiKey(key_id=KEY))])
    assert [one.revoked for one in credentials.of_tenant(DEMO)] == [True]
    assert not any("secret_sha256" in data for data in payloads(log))
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as db:
        states = b"".join(state for (state,) in db.execute("SELECT state FROM stored_events"))
    assert not any(digest(secret).encode() in states for secret in ("first", "second"))


def test_limits_of_a_key_and_the_quota_of_its_tenant_are_known_at_once(
    log: SqliteEventLog, credentials: SqliteCredentials
) -> None:
    writer = Writer(log, SystemClock())
    assert credentials.quota_of(DEMO) == NO_QUOTA
    own = IssueApiKey(key_id=KEY, secret_sha256=digest("first"), scopes=("*",), limits=RequestLimits(minute=5))
    quota = SetQuota(tenant_id="demo", events_per_day=9, requests_per_day=7)
    writer.write([register_tenant("demo"), submission(own), submission(quota)])
    assert [one.limits for one in credentials.find(KEY)] == [RateLimits(minute=5)]
    assert credentials.quota_of(DEMO) == Quota(events_per_day=9, requests=RateLimits(day=7))
    writer.write([submission(SetQuota(tenant_id="demo"))])
    assert credentials.quota_of(DEMO) == NO_QUOTA


def test_key_and_event_are_written_together_or_not_at_all(
    log: SqliteEventLog, credentials: SqliteCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo")])

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("for a test")

    with monkeypatch.context() as patch:
        patch.setattr("infra.sqlite.event_log.insert_many", fails)
        patch.setattr("infra.sqlite.credentials.insert_many", fails)
        with pytest.raises(Exception, match="for a test"):
            writer.write([issue("lost")])
    assert credentials.find(KEY) == []
    assert log.end(Topic.EVENTS, 0) == 1


def test_keys_of_an_earlier_version_are_taken_over_once_from_their_events(tmp_path: Path) -> None:
    with closing(SqliteEventLog(tmp_path)) as log:
        Writer(log, SystemClock()).write([register_tenant("demo"), issue("v2")])
        [registered, *_] = [one for one in log.read(Topic.EVENTS, 0, after=0, limit=1) if isinstance(one, Envelope)]
        issued = {"key_id": "old", "prefix": "ak_old", "secret_sha256": digest("v1"), "scopes": ["*"], "name": None}
        rotated = {"key_id": "old", "secret_sha256": digest("rotated")}
        stream = StreamId("api_key-old")
        earlier = registered._replace(
            stream=stream, type="api_key.issued", data=issued, position=log.end(Topic.EVENTS, 0) + 1
        )
        later = earlier._replace(type="api_key.rotated", version=2, data=rotated, position=earlier.position + 1)
        log.append(Batch([earlier, later], ()))
    with closing(sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)) as db:
        # as the version before left it, but for the key of this one
        db.execute("DELETE FROM credentials WHERE stream = 'api_key-old' OR stream GLOB 'tenant-*'")
    for _ in range(2):
        with (
            closing(SqliteEventLog(tmp_path, identity=IDENTITY)),
            closing(SqliteCredentials(tmp_path / "events.sqlite")) as credentials,
        ):
            assert [one.secret_sha256 for one in credentials.find("old")] == [digest("rotated")]
            assert [one.secret_sha256 for one in credentials.find(KEY)] == [digest("v2")]
            # a key of before is not limited, one of today that says nothing has the limits that are usual
            assert [one.limits for one in credentials.find("old")] == [None]
            assert [one.limits for one in credentials.find(KEY)] == [RateLimits()]
            assert credentials.status_of(DEMO) == "ACTIVE"
