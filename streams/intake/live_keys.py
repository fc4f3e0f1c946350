"""Whether a tenant has an API key that works, the log knows at once, and a view without reading all of it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from domain.identity.api_key import ApiKeyIssued, ApiKeyRevoked
from projections.identity import api_keys
from projections.readers import DocumentsReader
from schemas.envelope import TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import LogReader

HasKey = Callable[[TenantId], Awaitable[bool]]

_READ_ROWS = 5_000
_PAGE = 100


def by_log(log: LogReader) -> HasKey:
    return partial(asyncio.to_thread, _in_log, log)


def by_view(documents: DocumentsReader) -> HasKey:
    """Shape: a key that was issued a moment ago may be missed."""
    return partial(asyncio.to_thread, _in_view, documents)


def _in_log(log: LogReader, tenant_id: TenantId) -> bool:
    partition, after = partition_of(tenant_id, log.partitions), 0
    live: set[str] = set()
    while entries := log.read(Topic.EVENTS, partition, after=after, limit=_READ_ROWS):
        for entry in entries:
            if entry.tenant_id == tenant_id and entry.type == ApiKeyIssued.TYPE:
                live.add(entry.stream)
            elif entry.tenant_id == tenant_id and entry.type == ApiKeyRevoked.TYPE:
                live.discard(entry.stream)
        after = entries[-1].position
    return bool(live)


def _in_view(documents: DocumentsReader, tenant_id: TenantId) -> bool:
    view = api_keys.PROJECTION.name
    after: tuple[str, str] | None = None
    while found := documents.find(
        view, tenant_id, filters={}, sort="issued_at", descending=True, after=after, limit=_PAGE
    ):
        if any(not key.fields.get("revoked") for key in found):
            return True
        after = (str(found[-1].fields.get("issued_at", "")), found[-1].id)
    return False
