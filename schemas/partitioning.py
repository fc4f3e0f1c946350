"""Partitions are chosen here and nowhere else, as Kafka's own default partitioner would choose them from the key."""

from functools import lru_cache

from schemas.envelope import StreamId, TenantId

_M = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash of `data`.

    Source: org.apache.kafka.common.utils.Utils.murmur2, so that Java producers choose the same partition.
    """
    h = (_SEED ^ len(data)) & _MASK
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


@lru_cache(65_536)
def partition_of(tenant_id: TenantId, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, that holds all that a tenant decided."""
    return _partition(tenant_id, partitions)


@lru_cache(65_536)
def facts_partition_of(tenant_id: TenantId, stream: StreamId, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, that holds the facts of one stream.

    Shape: those of earlier versions are in the partition of their tenant.
    """
    return _partition(f"{tenant_id}|{stream}", partitions)


def _partition(key: str, partitions: int) -> int:
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
