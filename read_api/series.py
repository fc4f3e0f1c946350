"""This answers one page of the rows of a timeline view, in its order, and says where the next page begins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from projections.layout import Of
from projections.projection import Projection
from read_api.edge.cursors import Cursors
from read_api.reading import Read


def page(
    read: Read,
    view: Projection,
    cursors: Cursors,
    *,
    of: Of,
    start: datetime | None = None,
    end: datetime | None = None,
    contains: str | None = None,
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[Any], str | None]:
    """Return up to `limit` rows and the cursor of the next page, or None where there is none.

    Raises: Problem, the cursor is not one of these; StoreUnavailable, safe to retry.
    """
    layout = view.timeline
    after = None
    if cursor:
        types = [layout.columns[column] for column in layout.order]
        place = zip(types, cursors.read(cursor), strict=True)
        after = [datetime.fromisoformat(value) if type_ is datetime else value for type_, value in place]
    found = read.answers.timeline.rows(
        view.name, read.tenant_id, of=of, start=start, end=end, contains=contains, after=after, limit=limit + 1
    )
    if len(found) <= limit:
        return found, None
    return found[:limit], cursor_behind(view, cursors, found[limit - 1])


def cursor_behind(view: Projection, cursors: Cursors, row: Any) -> str:
    """Return the cursor of a page that begins behind a row."""
    place = [getattr(row, column) for column in view.timeline.order]
    return cursors.write([one.isoformat() if isinstance(one, datetime) else one for one in place])
