"""Whether a tenant has an API key that works, the log knows, and credentials know it without reading all of it."""

import asyncio
from typing import Protocol

from domain.identity.api_key import ApiKeyIssued, ApiKeyRevoked
from projections.credentials import Credentials
from schemas.envelope import TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import LogReader

_READ_ROWS = 5_000
# how far behind the log a gateway's credentials may be
_LOOKS = 20
_LOOK_S = 0.1


class HasKey(Protocol):
    """Tells if a tenant has an API key that works. Shape: `issued` is the id of one that was issued at some time."""

    async def __call__(self, tenant_id: TenantId, *, issued: str | None = None) -> bool: ...


def by_log(log: LogReader) -> HasKey:
    async def has_key(tenant_id: TenantId, *, issued: str | None = None) -> bool:  # noqa: ARG001 - the log knows
        return await asyncio.to_thread(_in_log, log, tenant_id)

    return has_key


def by_credentials(credentials: Credentials) -> HasKey:
    """Shape: waits for `issued` to be known; while it is not, that one counts as one that works."""

    async def has_key(tenant_id: TenantId, *, issued: str | None = None) -> bool:
        looks = 0
        while issued and not any(
            found.tenant_id == tenant_id for found in await asyncio.to_thread(credentials.find, issued)
        ):
            looks += 1
            if looks == _LOOKS:
                return True
            await asyncio.sleep(_LOOK_S)
        return any(not key.revoked for key in await asyncio.to_thread(credentials.of_tenant, tenant_id))

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
