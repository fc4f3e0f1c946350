"""How many events of which kind, over all?"""

from projections.history.event_rows import EventRow, project
from projections.layout import Facts
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="events",
    layout=Facts(row=EventRow, key=("tenant_id", "stream", "version"), day="recorded_at"),
    topics=(Topic.EVENTS,),
    events=None,
    project=project,
)
