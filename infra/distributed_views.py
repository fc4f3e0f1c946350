"""The read side of a gateway: the three stores, opened to be read, each of which may be away."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from infra.projector_stores import open_stores
from infra.scratch import scratch
from infra.settings import Settings
from infra.store_guard import StoreGuard
from projections.ports import AnalyticsReader, DocumentsReader, Role, TimelineReader
from streams.distributed_operations import DistributedOperations
from streams.ports import Clock, LogReader, Stores


class Views(NamedTuple):
    timeline: TimelineReader
    analytics: AnalyticsReader
    documents: DocumentsReader
    operations: DistributedOperations


@contextmanager
def open_views(settings: Settings, folder: Path, log: LogReader, clock: Clock) -> Iterator[Views]:
    """Open the stores; none is asked before somebody reads. Shape: `folder` is for what `verify` needs meanwhile."""
    with ExitStack() as opened:
        stores: dict[Role, Stores] = {}
        for role in Role:
            guard, found = StoreGuard(role.value), opened.enter_context(open_stores(role, settings))
            stores[role] = Stores(guard.over(found.views), guard.over(found.dead_letters))
        yield Views(
            # each class that keeps the views of a role answers from them too
            cast("TimelineReader", stores[Role.TIMELINE].views),
            cast("AnalyticsReader", stores[Role.ANALYTICS].views),
            cast("DocumentsReader", stores[Role.DOCUMENTS].views),
            DistributedOperations(stores, log=log, clock=clock, scratch=partial(scratch, folder)),
        )
