"""How many events of which kind, over all?"""

from projections.event_rows import project
from projections.ports import EventRow, Role
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="events", role=Role.ANALYTICS, row=EventRow, topics=(Topic.EVENTS,), events=None, project=project
)
