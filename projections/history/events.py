"""How many events of which kind, over all?"""

from projections.history.event_rows import project
from projections.projection import Projection
from projections.rows import EventRow, Role
from schemas.envelope import Topic

PROJECTION = Projection(
    name="events", role=Role.ANALYTICS, row=EventRow, topics=(Topic.EVENTS,), events=None, project=project
)
