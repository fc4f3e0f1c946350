"""What happened to one thing, from its beginning?"""

from projections.history.event_rows import EXAMPLE, EventRow, project
from projections.layout import Every, Series
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="stream_history",
    layout=Series(
        row=EventRow,
        key=("tenant_id", "stream", "version"),
        day="recorded_at",
        scope="audit",
        example=EXAMPLE,
        series=("stream",),
        order=("version",),
        bucket=Every("version", 10_000),
    ),
    topics=(Topic.EVENTS,),
    events=None,
    project=project,
)
