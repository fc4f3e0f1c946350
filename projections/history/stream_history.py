"""What happened to one thing, from its beginning?"""

from projections.history.event_rows import project
from projections.projection import Projection
from projections.rows import EventRow, Role
from schemas.envelope import Topic

PROJECTION = Projection(
    name="stream_history", role=Role.TIMELINE, row=EventRow, topics=(Topic.EVENTS,), events=None, project=project
)
