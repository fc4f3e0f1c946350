"""Who did what, and when?"""

from projections.event_rows import project
from projections.ports import EventRow, Role
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="audit_trail", role=Role.TIMELINE, row=EventRow, topics=(Topic.EVENTS,), events=None, project=project
)
