"""These routes say what happened, and what was known of one stream at some version or time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import ValidationError

from projections.history.audit_trail import PROJECTION as TRAIL
from projections.history.event_rows import EventRow
from projections.history.stream_history import PROJECTION as HISTORY
from projections.history.stream_state import state_at
from projections.personal import Opening
from projections.readers import TimelineReader
from read_api.edge.parameters import INSTANT, Cursor, End, Limit, Start, StreamName, in_order, parse_version
from read_api.edge.problems import Problem
from read_api.edge.queries import filter_value
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read, Reading
from read_api.series import page
from schemas.canonical_json import canonical_json
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, TenantId, Topic
from schemas.personal import Origin, is_personal
from schemas.shown import shown, shown_text

router = APIRouter(prefix="/v1/audit", tags=["audit"])

_FOLD_ROWS = 500


@router.get("/events", summary="Decided events, newest first", responses=documented(TRAIL.layout.example))
def events(
    *,
    read: Annotated[Read, Depends(Reading(TRAIL.layout.scope, TRAIL.name))],
    types: Annotated[str, Query(max_length=2000, description="event types, with commas; none means all")] = "",
    start: Start = None,
    end: End = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    in_order(start, end)
    wanted = sorted({filter_value(TRAIL.layout, "type", name.strip()) for name in types.split(",") if name.strip()})
    cursors = read.cursors(types=wanted, start=start, end=end)
    of = {"type": tuple(wanted)} if wanted else {}
    rows, next_ = page(read, TRAIL, cursors, of=of, start=start, end=end, limit=limit, cursor=cursor)
    return table([event_answer(row, read.opening) for row in rows], read.as_of, next_=next_)


@router.get(
    "/streams/{stream}",
    summary="One stream's events up to a version or an instant, and the state they give",
    responses=documented(HISTORY.layout.example, state={"hostname": "web-1.example.com", "status": "ONLINE"}),
)
def stream_as_of(
    *,
    read: Annotated[Read, Depends(Reading(HISTORY.layout.scope, HISTORY.name))],
    stream: StreamName,
    as_of: Annotated[
        str | None,
        Query(
            max_length=64,
            description="a version, or an instant of the log",
            openapi_examples={"version": {"value": "3"}, "instant": {"value": "2026-01-31T08:30:00Z"}},
        ),
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    until = _until(as_of)
    cursors = read.cursors(as_of=as_of)
    after = cursors.read(cursor)[0] if cursor else 0
    whole = list(_history(read.answers.timeline, read.tenant_id, StreamId(stream)))
    if not whole:
        raise Problem(404, f"no stream is called {stream}")
    known = [row for row in whole if _is_known(row, until)]
    # versions count from 1 without a hole
    rows = known[after : after + limit]
    next_ = cursors.write((rows[-1].version,)) if len(known) > after + limit else None
    state = state_at([read.opening.event(_envelope(row)) for row in known])
    return table(
        [event_answer(row, read.opening) for row in rows],
        read.as_of,
        next_=next_,
        version=known[-1].version if known else 0,
        state=None if state is None else shown(state),
    )


def event_answer(row: EventRow, opening: Opening) -> Answer:
    return {
        "position": str(Position(Topic.EVENTS, row.partition, row.position)),
        "stream": row.stream,
        "version": row.version,
        "event_id": row.event_id,
        "type": row.type,
        "schema_version": row.schema_version,
        "happened_at": row.happened_at,
        "recorded_at": row.recorded_at,
        "actor": {"type": row.actor_type, "id": row.actor_id},
        "correlation_id": row.correlation_id,
        "causation_id": row.causation_id,
        "data": orjson.Fragment(shown_text(_data(row, opening))),
    }


def _data(row: EventRow, opening: Opening) -> str:
    origin = Origin(row.tenant_id, row.stream, row.type, row.schema_version)
    return canonical_json(opening.payload(origin, orjson.loads(row.data))) if is_personal(origin) else row.data


def _until(as_of: str | None) -> int | datetime | None:
    if as_of is None:
        return None
    if (version := parse_version(as_of)) is not None:
        return version
    try:
        return INSTANT.validate_python(as_of)
    except ValidationError:
        raise Problem(400, "as_of must be a version like 3 or an instant like 2026-01-31T08:30:00Z") from None


def _is_known(row: EventRow, until: int | datetime | None) -> bool:
    match until:
        case None:
            return True
        case int():
            return row.version <= until
        case datetime():
            return row.recorded_at <= until


def _history(timeline: TimelineReader, tenant_id: TenantId, stream: StreamId) -> Iterator[EventRow]:
    found: Sequence[EventRow] = ()
    while True:
        after = (found[-1].version,) if found else None
        found = timeline.rows(HISTORY.name, tenant_id, of={"stream": stream}, after=after, limit=_FOLD_ROWS)
        yield from found
        if len(found) < _FOLD_ROWS:
            return


def _envelope(row: EventRow) -> Envelope:
    return Envelope(
        event_id=row.event_id,
        type=row.type,
        schema_version=row.schema_version,
        tenant_id=row.tenant_id,
        stream=row.stream,
        version=row.version,
        topic=Topic.EVENTS,
        partition=row.partition,
        position=row.position,
        happened_at=row.happened_at,
        recorded_at=row.recorded_at,
        actor=Actor(ActorType(row.actor_type), row.actor_id),
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        data=orjson.loads(row.data),
    )
