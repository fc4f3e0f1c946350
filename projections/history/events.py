"""How many events of each kind are there?"""

from typing import NamedTuple

from projections.history.event_rows import EventRow, project
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Question
from schemas.envelope import Topic
from schemas.values import Instant


class EventCount(NamedTuple):
    type: str
    events: int


COUNTS = Question(
    name="events",
    summary="Number of decided events by type",
    view="events",
    sql="""
        SELECT type, count() AS rows
        FROM events
        WHERE recorded_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND recorded_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY type
        ORDER BY rows DESC, type
    """,
    parameters={"start": Instant, "end": Instant},
    row=EventCount,
    example={"type": "device.registered", "events": 12},
)
"""The number of decided events by type, greatest first, then by type. `start` ≤ recorded_at < `end`."""

PROJECTION = Projection(
    name="events",
    layout=Facts(
        row=EventRow,
        key=("tenant_id", "stream", "version"),
        day="recorded_at",
        scope="analytics",
        questions=(COUNTS,),
    ),
    topics=(Topic.EVENTS,),
    events=None,
    project=project,
)
