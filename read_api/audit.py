"""These routes say what happened, and what was known of one stream at some version or time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import ValidationError

from projections.history.audit_trail import PROJECTION as TRAIL
from projections.history.event_rows import EventRow
from projections.history.events import FOUND
from projections.history.events import PROJECTION as EVENTS
from projections.history.stream_history import PROJECTION as HISTORY
from projections.history.stream_state import state_at
from projections.personal import Opening
from projections.readers import TimelineReader
from read_api.edge.moments import EXAMPLES, FORMS, MOMENT
from read_api.edge.parameters import LONGEST_NAME, Cursor, End, Limit, Start, StreamName, in_order, parse_version
from read_api.edge.problems import Problem
from read_api.edge.queries import filter_value
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read, Reading
from read_api.series import page
from read_api.tables import WINDOW_EXAMPLE, answer, listed, shown
from schemas.canonical_json import canonical_json
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, TenantId, Topic
from schemas.personal import Origin, is_personal
from schemas.shown import shown as plainly
from schemas.shown import shown_text
from schemas.values import Id

router = APIRouter(prefix="/v1/audit", tags=["audit"])

EVENT = tuple(TRAIL.layout.example)
"""The columns of an event."""

_FOLD_ROWS = 500
_END = 2**63 - 1


Types = Annotated[str, Query(max_length=2000, description="event types, with commas; none means all")]


def _types(types: str) -> list[str]:
    return sorted({filter_value(TRAIL.layout, "type", name.strip()) for name in types.split(",") if name.strip()})


@router.get("/events", summary="Decided events, newest first", responses=listed(TRAIL.layout.example, EVENT))
def events(
    *,
    read: Annotated[Read, Depends(Reading(TRAIL.layout.scope, TRAIL.name))],
    types: Types = "",
    start: Start = None,
    end: End = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    in_order(start, end)
    wanted = _types(types)
    cursors = read.cursors(types=wanted, start=start, end=end)
    of = {"type": tuple(wanted)} if wanted else {}

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        rows, next_ = page(read, TRAIL, cursors, of=of, start=start, end=end, limit=limit, cursor=cursor)
        return [event_answer(row, read.opening) for row in rows], next_

    return answer(read, EVENT, pages, limit=limit, cursor=cursor, window=shown(start, end))


_Text = Annotated[str, Query(max_length=LONGEST_NAME)]


@router.get(
    "/search",
    summary="Decided events by stream, type, who decided them, what they belong to, and when; newest first",
    responses=listed(TRAIL.layout.example, EVENT, window=WINDOW_EXAMPLE),
)
def search(
    *,
    read: Annotated[Read, Depends(Reading(TRAIL.layout.scope, EVENTS.name))],
    stream: Annotated[_Text, Query(description="the beginning of a stream's name, like invoice-91006")] = "",
    types: Types = "",
    actor: Annotated[_Text, Query(description="the id of who decided them, like that of an API key")] = "",
    correlation_id: Annotated[_Text, Query(description="all that came of one command of a caller: its id")] = "",
    causation_id: Annotated[_Text, Query(description="what came of one command or event directly: its id")] = "",
    start: Start = None,
    end: End = None,
    happened_from: Start = None,
    happened_before: End = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    in_order(start, end)
    in_order(happened_from, happened_before)
    asked = {
        "stream": stream,
        "types": ",".join(_types(types)),
        "actor": actor,
        "correlation_id": correlation_id,
        "causation_id": causation_id,
        "event_id": "",
        "start": start,
        "end": end,
        "happened_from": happened_from,
        "happened_before": happened_before,
    }
    cursors = read.cursors(**asked)

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        before = cursors.read(cursor)[0] if cursor else _END
        found = read.ask(FOUND, **asked, before=before, limit=limit + 1)
        next_ = cursors.write((found[limit - 1].position,)) if len(found) > limit else None
        return [event_answer(row, read.opening) for row in found[:limit]], next_

    return answer(read, EVENT, pages, limit=limit, cursor=cursor, window=shown(start, end))


@router.get("/events/{event_id}", summary="One decided event", responses=documented(TRAIL.layout.example))
def one_event(*, read: Annotated[Read, Depends(Reading(TRAIL.layout.scope, EVENTS.name))], event_id: Id) -> Response:
    nothing = dict.fromkeys(FOUND.parameters)
    found = read.ask(FOUND, **{**nothing, "event_id": event_id, "before": _END, "limit": 1})
    if not found:
        raise Problem(404, f"no event has the id {event_id}")
    return table([event_answer(found[0], read.opening)], read.as_of)


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
            description="a version, or a moment of the log",
            openapi_examples={"version": {"value": "3"}, **EXAMPLES},
        ),
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    until = _until(as_of)
    cursors = read.cursors(as_of=as_of)
    after = cursors.read(cursor)[0] if cursor else 0
    whole = history_of(read, StreamId(stream))
    if not whole:
        raise Problem(404, f"no stream is called {stream}")
    known = [row for row in whole if _is_known(row, until)]
    # versions count from 1 without a hole
    rows = known[after : after + limit]
    next_ = cursors.write((rows[-1].version,)) if len(known) > after + limit else None
    state = state_at(envelopes(read, known))
    return table(
        [event_answer(row, read.opening) for row in rows],
        read.as_of,
        next_=next_,
        version=known[-1].version if known else 0,
        state=None if state is None else plainly(state),
    )


def history_of(read: Read, stream: StreamId) -> Sequence[EventRow]:
    """Return all events of a stream, oldest first."""
    return list(_history(read.answers.timeline, read.tenant_id, stream))


def envelopes(read: Read, rows: Sequence[EventRow]) -> Sequence[Envelope]:
    """Return events as they were recorded, with what the caller may see of personal fields."""
    return [read.opening.event(_envelope(row)) for row in rows]


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
        return MOMENT.validate_python(as_of)
    except ValidationError:
        raise Problem(400, f"as_of must be a version like 3, {FORMS}") from None


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
