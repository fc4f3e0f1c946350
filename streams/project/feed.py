"""This follows a tenant's own records as they are written, straight from the log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from domain.catalog import facts_of
from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, Position, StreamId, TenantId, Topic
from schemas.partitioning import facts_partition_of, partition_of
from streams.ports import LogReader, LogUnavailable


class LogFeed:
    """Feed on any log."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    def ends(self, tenant_id: TenantId, about: StreamId | None = None) -> Sequence[Position]:
        partitions = self._log.partitions
        home = partition_of(tenant_id, partitions)
        with _store_errors():
            events = Position(Topic.EVENTS, home, self._log.end(Topic.EVENTS, home))
            if about is not None:
                of_facts = facts_partition_of(tenant_id, about, partitions)
                return [events, Position(Topic.TELEMETRY, of_facts, self._log.end(Topic.TELEMETRY, of_facts))]
            facts = enumerate(self._log.ends(Topic.TELEMETRY))
            return [events, *(Position(Topic.TELEMETRY, partition, end) for partition, end in facts)]

    def since(self, tenant_id: TenantId, after: Position, *, limit: int) -> tuple[Sequence[Envelope], Position]:
        with _store_errors():
            entries = self._log.read(after.topic, after.partition, after=after.position, limit=limit)
        if not entries:
            return (), after
        own = [entry for entry in entries if entry.tenant_id == tenant_id and isinstance(entry, Envelope)]
        if after.topic is Topic.TELEMETRY:
            own = [fact for entry in own for fact in facts_of(entry)]
        return own, after._replace(position=entries[-1].position)

    def wait(self, after: Sequence[Position], timeout_s: float) -> bool:
        with _store_errors():
            return self._log.wait({(place.topic, place.partition): place.position for place in after}, timeout_s)


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except LogUnavailable as error:
        raise StoreUnavailable(str(error)) from error
