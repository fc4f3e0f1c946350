"""Who did what, and when?"""

from typing import Literal

from domain.catalog import DECIDED
from projections.history.event_rows import EXAMPLE, EventRow, project
from projections.layout import Days, Every, Series
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="audit_trail",
    layout=Series(
        row=EventRow,
        key=("tenant_id", "stream", "version"),
        day="recorded_at",
        scope="audit",
        example=EXAMPLE,
        # by position and not by time: a clock that is set back over midnight would tear the pages
        order=("position",),
        newest_first=True,
        bucket=Every("position", 20_000),
        noted=Days("recorded_at", column="recorded_day"),
        filters=("type",),
        values={"type": Literal[DECIDED]},
        # type and instant are there to pass over what was not asked for without a look at the row
        indexes=(("position", "type", "recorded_at"),),
    ),
    topics=(Topic.EVENTS,),
    events=None,
    project=project,
)
