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

FOUND = Question(
    name="found_events",
    summary="Decided events by stream, type, who decided them, what they belong to, and when",
    view="events",
    sql="""
        SELECT
            tenant_id, stream, version, partition, position, event_id, type, schema_version, happened_at, recorded_at,
            actor_type, actor_id, correlation_id, causation_id, data
        FROM events
        WHERE recorded_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND recorded_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
            AND happened_at >= fromUnixTimestamp64Micro({happened_from:Int64}, 'UTC')
            AND happened_at < fromUnixTimestamp64Micro({happened_before:Int64}, 'UTC')
            AND position < {before:Int64}
            AND startsWith(stream, {stream:String})
            AND ({types:String} = '' OR has(splitByChar(',', {types:String}), type))
            AND ({actor:String} = '' OR actor_id = {actor:String})
            AND ({correlation_id:String} = '' OR correlation_id = {correlation_id:String})
            AND ({causation_id:String} = '' OR causation_id = {causation_id:String})
            AND ({event_id:String} = '' OR event_id = {event_id:String})
        ORDER BY position DESC
        LIMIT {limit:UInt32}
    """,
    parameters={
        "start": Instant,
        "end": Instant,
        "happened_from": Instant,
        "happened_before": Instant,
        "before": int,
        "stream": str,
        "types": str,
        "actor": str,
        "correlation_id": str,
        "causation_id": str,
        "event_id": str,
        "limit": int,
    },
    row=EventRow,
    example={},
)
"""Decided events, the newest first; all conditions hold, and one without a value holds for all.

Shape: `stream` is the beginning of a stream's name, `types` has commas between them. `before` is the position of the
last event that was seen: all that a tenant decides is in one partition. `start` ≤ recorded_at < `end`,
`happened_from` ≤ happened_at < `happened_before`.
"""

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
