"""Whether a tenant has an API key that works, the log knows at once, and a view without reading all of it."""

import asyncio
from typing import Protocol

from domain.identity.api_key import ApiKeyIssued, ApiKeyRevoked
from projections.identity import api_keys
from projections.readers import DocumentsReader
from schemas.envelope import TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import LogReader

_READ_ROWS = 5_000
_PAGE = 100
_VIEW = api_keys.PROJECTION.name
# how far behind its log a view of keys may be
_LOOKS = 20
_LOOK_S = 0.1


class HasKey(Protocol):
    """Tells if a tenant has an API key that works. Shape: `issued` is the id of one that was issued at some time."""

    async def __call__(self, tenant_id: TenantId, *, issued: str | None = None) -> bool: ...


def by_log(log: LogReader) -> HasKey:
    async def has_key(tenant_id: TenantId, *, issued: str | None = None) -> bool:  # noqa: ARG001 - the log knows
        return await asyncio.to_thread(_in_log, log, tenant_id)

    return has_key


def by_view(documents: DocumentsReader) -> HasKey:
    """Shape: waits for the view to know of `issued`; while it does not, that one counts as one that works."""

    async def has_key(tenant_id: TenantId, *, issued: str | None = None) -> bool:
        looks = 0
        while issued and await asyncio.to_thread(documents.get, _VIEW, tenant_id, issued) is None:
            looks += 1
            if looks == _LOOKS:
                return True
            await asyncio.sleep(_LOOK_S)
        return await asyncio.to_thread(_in_view, documents, tenant_id)

    return has_key


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
    after: tuple[str, str] | None = None
    while found := documents.find(
        _VIEW, tenant_id, filters={}, sort="issued_at", descending=True, after=after, limit=_PAGE
    ):
        if any(not key.fields.get("revoked") for key in found):
            return True
        after = (str(found[-1].fields.get("issued_at", "")), found[-1].id)
    return False
