"""A gateway opens the three stores here to read from them; each of them may be away."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from infra.serve.store_guard import StoreGuard
from infra.settings import Settings
from infra.sqlite.scratch import scratch
from infra.stores import open_stores
from projections.readers import AnalyticsReader, DocumentsReader, TimelineReader
from projections.rows import Role
from streams.ports import Clock, Stores, WorkerGroup
from streams.project.distributed_operations import DistributedOperations
from streams.viewed_log import ViewedLog

_PROBED = "probe"
"""No view is called so: that nothing of it is live is a quick answer."""


class Views(NamedTuple):
    timeline: TimelineReader
    analytics: AnalyticsReader
    documents: DocumentsReader
    operations: DistributedOperations


@contextmanager
def open_views(
    settings: Settings, folder: Path, log: ViewedLog, clock: Clock, groups: Callable[[], Sequence[WorkerGroup]]
) -> Iterator[Views]:
    """Open the stores; none is asked before somebody reads.

    Shape: `folder` is for what `verify` needs meanwhile, `groups` says how the workers are that keep no view.
    """
    with ExitStack() as opened:
        stores: dict[Role, Stores] = {}
        for role in Role:
            found = opened.enter_context(open_stores(role, settings))
            guard = StoreGuard(role.value, partial(found.views.live, _PROBED))
            stores[role] = Stores(guard.over(found.views), guard.over(found.dead_letters))
        yield Views(
            # each class that keeps the views of a role answers from them too
            cast("TimelineReader", stores[Role.TIMELINE].views),
            cast("AnalyticsReader", stores[Role.ANALYTICS].views),
            cast("DocumentsReader", stores[Role.DOCUMENTS].views),
            DistributedOperations(stores, log=log, clock=clock, scratch=partial(scratch, folder), groups=groups),
        )
