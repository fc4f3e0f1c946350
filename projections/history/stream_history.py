"""What happened to one thing, from its beginning?"""

from projections.history.event_rows import project
from projections.layout import Series
from projections.projection import Projection
from projections.rows import EventRow
from schemas.envelope import Topic

PROJECTION = Projection(
    name="stream_history",
    layout=Series(row=EventRow, key=("tenant_id", "stream", "version"), day="recorded_at"),
    topics=(Topic.EVENTS,),
    events=None,
    project=project,
)
