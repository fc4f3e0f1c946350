"""The first build of a view is not seen before it has read about as far as the others of its store."""

from collections.abc import Sequence

from projections.projection import Projection
from projections.rows import View
from projections.stores import ViewWriter
from streams.project.lag import positions_of

LEVEL = 5_000
"""Records of a partition by which it may be behind the others: about a batch that another worker has in hand."""


def is_level(store: ViewWriter, new: View, projections: Sequence[Projection]) -> bool:
    """Tell if a view has read about as much as the live views of the same store, of the topics that it reads.

    Shape: where none of them has read anything, as in a store that is new, it has.
    Raises: StoreUnavailable, safe to retry.
    """
    (topics,) = (projection.topics for projection in projections if projection.name == new.name)
    own = positions_of(store.checkpoints(new))
    others = [live for projection in projections if (live := store.live(projection.name)) and live.name != new.name]
    return all(
        own.get((at.topic, at.partition), 0) >= at.position - (LEVEL if own else 0)
        for live in others
        for at in store.checkpoints(live)
        if at.topic in topics
    )
