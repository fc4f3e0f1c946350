"""This follows a tenant's own records as they are written, straight from the log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, Position, TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import LogReader, LogUnavailable


class LogFeed:
    """Feed on any log."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    def ends(self, tenant_id: TenantId) -> Sequence[Position]:
        partition = partition_of(tenant_id, self._log.partitions)
        with _store_errors():
            return [Position(topic, partition, self._log.end(topic, partition)) for topic in Topic]

    def since(self, tenant_id: TenantId, after: Position, *, limit: int) -> tuple[Sequence[Envelope], Position]:
        with _store_errors():
            entries = self._log.read(after.topic, after.partition, after=after.position, limit=limit)
        if not entries:
            return (), after
        own = [entry for entry in entries if entry.tenant_id == tenant_id and isinstance(entry, Envelope)]
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
