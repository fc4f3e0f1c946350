"""The embedded log keeps what says who may ask in a table, written with the events that it follows from."""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eventsourcing.sqlite import SQLiteCursor

from infra.sqlite.bulk import insert_many
from infra.sqlite.datastore import store_errors
from projections.credentials import (
    NO_QUOTA,
    QUOTA,
    STATUS,
    Credential,
    Part,
    Quota,
    TrustedIssuer,
    credentials_of,
    issuers_of,
    parts_of,
    quota_of,
    sign_in_providers_of,
    status_of,
    tenant_stream,
)
from projections.sign_in import Provider
from schemas.envelope import Envelope, StreamId, TenantId

CREATE_CREDENTIALS = """
    CREATE TABLE IF NOT EXISTS credentials (
        stream TEXT, tenant_id TEXT, part TEXT, value BLOB, PRIMARY KEY (stream, tenant_id, part)
    ) WITHOUT ROWID
"""

_FILLED = ("", "", "filled", b"")
"""Says that the events of before there was this table are in it."""


def keep_parts(c: SQLiteCursor, parts: Sequence[Part]) -> None:
    insert_many(c, "INSERT OR REPLACE INTO credentials", parts)


def is_filled(c: SQLiteCursor) -> bool:
    c.execute("SELECT 1 FROM credentials WHERE (stream, tenant_id, part) = (?, ?, ?)", _FILLED[:3])
    return c.fetchone() is not None


def fill(c: SQLiteCursor, events: Iterable[Envelope]) -> None:
    """Take over what the events of earlier versions say, in their order; what was written since stays."""
    last = {part[:3]: part for event in events for part in parts_of(event)}
    insert_many(c, "INSERT OR IGNORE INTO credentials", [*last.values(), _FILLED])


class SqliteCredentials:
    """Credentials of the embedded profile, read from the log's file; any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._using = threading.Lock()
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def close(self) -> None:
        with self._using:
            self._connection.close()

    def find(self, key_id: str) -> Sequence[Credential]:
        return credentials_of(self._parts("stream = ?", f"api_key-{key_id}"))

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Credential]:
        return credentials_of(self._parts("tenant_id = ? AND stream GLOB 'api_key-*'", tenant_id))

    def tenants(self) -> Mapping[TenantId, str]:
        return {part.tenant_id: status_of(part) for part in self._parts("part = ?", STATUS)}

    def issuers(self, tenant_id: TenantId) -> Sequence[TrustedIssuer]:
        return issuers_of(self._parts("tenant_id = ? AND stream GLOB 'issuer-*'", tenant_id))

    def sign_in_providers(self, tenant_id: TenantId) -> Sequence[Provider]:
        return sign_in_providers_of(self._parts("tenant_id = ? AND stream GLOB 'sign_in_provider-*'", tenant_id))

    def of_stream(self, tenant_id: TenantId, stream: StreamId) -> Sequence[Part]:
        return self._parts("(stream, tenant_id) = (?, ?)", stream, tenant_id)

    def status_of(self, tenant_id: TenantId) -> str | None:
        found = self._part_of(tenant_id, STATUS)
        return status_of(found) if found else None

    def quota_of(self, tenant_id: TenantId) -> Quota:
        found = self._part_of(tenant_id, QUOTA)
        return quota_of(found) if found else NO_QUOTA

    def _part_of(self, tenant_id: TenantId, name: str) -> Part | None:
        of = "(stream, tenant_id, part) = (?, ?, ?)"
        [*found] = self._parts(of, tenant_stream(tenant_id), tenant_id, name)
        return found[0] if found else None

    def _parts(self, where: str, *values: Any) -> list[Part]:
        with self._using, store_errors(self._path):
            rows = self._connection.execute(
                f"SELECT stream, tenant_id, part, value FROM credentials WHERE {where}", values
            ).fetchall()
        return [Part(*row) for row in rows]
