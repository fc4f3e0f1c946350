"""Facts of a tenant are in all partitions: this says which are here, and asks what is kept of other partitions."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from domain.fleet.definitions import Defined
from schemas.envelope import StreamId, StreamKey, TenantId
from schemas.partitioning import facts_partition_of, partition_of
from streams.correlate.kept import Kept, key_of, load
from streams.ports import WatchStates


class Here(NamedTuple):
    """The partition that is followed, of so many."""

    partition: int
    partitions: int

    @property
    def others(self) -> Sequence[int]:
        return [number for number in range(self.partitions) if number != self.partition]

    def has(self, stream: StreamKey) -> bool:
        """Say if the facts of a stream are in this partition."""
        return facts_partition_of(*stream, self.partitions) == self.partition

    def has_device(self, tenant_id: TenantId, device_id: str) -> bool:
        return self.has((tenant_id, StreamId(f"device-{device_id}")))

    def has_facts_of(self, kept: Kept) -> bool:
        return self.has_device(kept.tenant_id, kept.of.device_id)

    def ask_others(
        self, states: WatchStates, mine: Collection[str]
    ) -> tuple[list[tuple[TenantId, Defined]], list[Kept]]:
        """Return what is kept of others: their tenants' watches, and what these know of devices that are here.

        Shape: earlier versions kept what is known of a device with its tenant's partition, where its facts were then;
        the positions of that partition say nothing here. `mine` are the keys of what is known here already.
        """
        defined: list[tuple[TenantId, Defined]] = []
        known: list[Kept] = []
        for partition in self.others:
            theirs = load(states.load(partition))
            defined += [one for one in theirs.defined if partition_of(one[0], self.partitions) == partition]
            known += [
                kept._replace(position=0)
                for kept in theirs.known
                if self.has_facts_of(kept) and key_of(kept.tenant_id, kept.of) not in mine
            ]
        return defined, known
