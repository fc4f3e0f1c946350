"""Who did what, and when?"""

from projections.history.event_rows import project
from projections.projection import Projection
from projections.rows import EventRow, Role
from schemas.envelope import Topic

PROJECTION = Projection(
    name="audit_trail", role=Role.TIMELINE, row=EventRow, topics=(Topic.EVENTS,), events=None, project=project
)
