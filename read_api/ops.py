"""How the system is: health, lag, projections, dead letters."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from projections.ports import DeadLetter, ProjectionStatus
from read_api.answers import Asked
from read_api.parameters import Cursor, Limit
from read_api.problems import RETRY_AFTER_S, problem_response
from read_api.reading import Read, Reading
from read_api.responses import Answer, AsOf, Json, documented, place_names, table
from schemas.envelope import Position, Topic

router = APIRouter(prefix="/v1/ops", tags=["ops"])

OK = "ok"

Operator = Annotated[Read, Depends(Reading("ops"))]

_LAG_EXAMPLE = {"projection": "devices", "role": "documents", "state": "live", "lag_events": 0, "lag_s": 0.0}
_STATUS_EXAMPLE = {**_LAG_EXAMPLE, "live": "devices_v1", "builds": ["devices_v1"], "parked": 0, "error": None}
_LETTER_EXAMPLE = {
    "view": "devices_v1",
    "position": "events/0/12",
    "stream": "device-web-1",
    "type": "device.registered",
    "reason": "…",
    "attempts": 1,
    "parked_at": "2026-01-31T08:30:00Z",
}


@router.get("/alive", summary="Whether this process answers, whatever else does not; needs no key")
def alive() -> Response:
    return Json({"alive": True})


@router.get("/health", summary="Alive, and ready or not; needs no key", responses={503: {"description": "not ready"}})
def health(answers: Asked) -> Response:
    # without a key nothing is said but which part it is
    parts = {name: OK if state == OK else "failing" for name, state in answers.operations.health().items()}
    as_of = AsOf(answers.now())._asdict()
    failing = [name for name, state in parts.items() if state != OK]
    if failing:
        detail = f"not ready: {', '.join(failing)}"
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return problem_response(503, detail, headers, ready=False, parts=parts, as_of=as_of)
    return Json({"ready": True, "parts": parts, "as_of": as_of})


@router.get("/lag", summary="How far each projection is behind the log", responses=documented(_LAG_EXAMPLE))
def lag(read: Operator) -> Response:
    return table([_lag(status) for status in read.answers.operations.projections()], read.as_of)


@router.get("/projections", summary="How each projection is doing", responses=documented(_STATUS_EXAMPLE))
def projections(read: Operator) -> Response:
    rows = [
        {
            **_lag(status),
            "live": status.live.table if status.live else None,
            "builds": [view.table for view in status.builds],
            "parked": status.parked,
            "error": status.error,
        }
        for status in read.answers.operations.projections()
    ]
    return table(rows, read.as_of)


def _lag(status: ProjectionStatus) -> dict[str, Any]:
    return {
        "projection": status.name,
        "role": status.role,
        "state": status.state,
        "lag_events": status.lag_events,
        "lag_s": status.lag_s,
        "reached": place_names(status.reached),
    }


@router.get("/dead-letters", summary="Records that a view could not take", responses=documented(_LETTER_EXAMPLE))
def dead_letters(
    *,
    read: Operator,
    view: Annotated[str | None, Query(max_length=200, description="a build, like devices_v1")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    cursors = read.cursors(view=view)
    after = cursors.read(cursor) if cursor else None
    found = read.answers.operations.dead_letters(
        read.tenant_id,
        view=view,
        after=(after[0], Position.parse(after[1])) if after else None,
        limit=limit + 1,
    )
    page = found[:limit]
    next_ = cursors.write((page[-1].view, str(_position(page[-1])))) if len(found) > limit else None
    return table([_letter(letter) for letter in page], read.as_of, next_=next_)


def _position(letter: DeadLetter) -> Position:
    return Position(Topic(letter.topic), letter.partition, letter.position)


def _letter(letter: DeadLetter) -> Answer:
    return {
        "view": letter.view,
        "position": str(_position(letter)),
        "stream": letter.stream,
        "type": letter.type,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "parked_at": letter.parked_at,
    }
