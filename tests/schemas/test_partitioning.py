"""Partitions are those that Kafka's own partitioner chooses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import TenantId
from schemas.partitioning import murmur2, partition_of

KAFKA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2."""


@pytest.mark.parametrize(("data", "expected"), KAFKA.items())
def test_hash_is_the_one_kafka_computes(data: bytes, expected: int) -> None:
    signed = int.from_bytes(murmur2(data).to_bytes(4, "big"), "big", signed=True)
    assert signed == expected


@pytest.mark.parametrize(("data", "expected"), KAFKA.items())
def test_partition_is_the_positive_hash_modulo_the_partitions(data: bytes, expected: int) -> None:
    assert partition_of(TenantId(data.decode()), 16) == (expected & 0x7FFFFFFF) % 16


@given(st.text(), st.integers(1, 1_000))
def test_every_tenant_has_a_partition(tenant: str, partitions: int) -> None:
    assert 0 <= partition_of(TenantId(tenant), partitions) < partitions
