"""These routes say how the system is: health, lag, projections and dead letters."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from projections.operations import DEGRADED, OK, UPDATE, DeadLetter, PartitionLag, ProjectionStatus, WorkerStatus, sums
from read_api.answers import Asked
from read_api.edge.parameters import Cursor, Limit
from read_api.edge.problems import RETRY_AFTER_S, Problem
from read_api.edge.responses import Answer, AsOf, Json, answered, place_names
from read_api.edge.scopes import require_operator
from read_api.reading import Read, Reading, own_places
from read_api.tables import answer, listed, whole
from schemas.envelope import SYSTEM_TENANT, Position, TenantId, Topic
from schemas.partitioning import partition_of

router = APIRouter(prefix="/v1/ops", tags=["ops"])

Operator = Annotated[Read, Depends(Reading("ops"))]

_AT = "2026-01-31T08:30:00Z"
_LAG_EXAMPLE = {"projection": "devices", "role": "documents", "state": "live", "lag_events": 0, "lag_s": 0.0}
_PARTITIONS_EXAMPLE = {
    "partitions": [{"topic": "events", "partition": 3, "lag_events": 0, "lag_s": 0.0}],
    "tenant": {"tenant_id": "acme", "partition": 3, "lag_events": 0, "lag_s": 0.0},
}
_LAG = (*_LAG_EXAMPLE, *_PARTITIONS_EXAMPLE)
_WORKERS_EXAMPLE = [
    {
        "worker": "correlate",
        "running": 1,
        "lag_events": 0,
        "lag_s": 0.0,
        "partitions": [{"topic": "telemetry", "partition": 3, "lag_events": 0, "lag_s": 0.0}],
        "error": None,
    }
]
_STATUS_EXAMPLE = {
    **_LAG_EXAMPLE,
    "live": "devices_v1",
    "builds": ["devices_v1"],
    "parked": 0,
    "parked_records": 0,
    "error": None,
}
_LETTER_EXAMPLE = {
    "view": "devices_v1",
    "position": "events/0/12",
    "stream": "device-web-1",
    "type": "device.registered",
    "reason": "…",
    "attempts": 1,
    "parked_at": _AT,
}


@router.get(
    "/alive",
    summary="Whether this process answers, whatever else does not; needs no key",
    responses=answered({"alive": True}),
)
def alive() -> Response:
    return Json({"alive": True})


@router.get(
    "/health",
    summary="Alive, and ready or not; needs no key",
    responses=answered({"ready": True, "parts": {"log": OK}, "as_of": {"at": _AT, "positions": []}}, "Ready"),
)
def health(answers: Asked) -> Response:
    # without a key nothing is said but which part it is, and whether a newer release is all that it waits for
    parts = {name: _without_reasons(state) for name, state in answers.operations.health().items()}
    as_of = AsOf(answers.now())._asdict()
    failing = [name for name, state in parts.items() if state not in (OK, DEGRADED)]
    if failing:
        detail = f"not ready: {', '.join(failing)}"
        if UPDATE in parts.values():
            detail += f"; a newer release wrote to the log: {UPDATE}"
        raise Problem(503, detail, retry_after_s=RETRY_AFTER_S, ready=False, parts=parts, as_of=as_of)
    return Json({"ready": True, "parts": parts, "as_of": as_of})


def _without_reasons(state: str) -> str:
    if state == OK:
        return OK
    return UPDATE if UPDATE in state else DEGRADED if state.startswith(DEGRADED) else "failing"


@router.get(
    "/lag",
    summary="How far each projection is behind the log: in all, by partition, and for the tenant that asks",
    description="`tenant` is the lag of the partitions that hold what the tenant decided and reported, which others may"
    " share: a tenant's own records are at most so many, and no older. The operator's key sees all partitions, and may"
    " name any tenant. `lag_s` is the age of the oldest record that was not read yet. A number is null where it is not"
    " known, because a store or the log does not answer. `workers` keep no view: `correlate` reads the log, `commands`"
    " the queue of commands.",
    responses=listed(_LAG_EXAMPLE | _PARTITIONS_EXAMPLE, _LAG, workers=_WORKERS_EXAMPLE),
)
def lag(read: Operator, tenant: Annotated[str | None, Query(max_length=200, description="whose")] = None) -> Response:
    if tenant is not None and tenant != read.tenant_id:
        require_operator(read.caller, "ask for another tenant's lag")
    whose = TenantId(tenant) if tenant is not None else None if read.tenant_id == SYSTEM_TENANT else read.tenant_id
    operations = read.answers.operations
    statuses = [_own(read, status) for status in operations.projections()]
    rows = [{**_lag(status), **_by_partition(status.lags, whose)} for status in statuses]
    workers = [_worker(status, whose) for status in operations.workers()]
    return whole(read, _LAG, rows, workers=workers)


def _worker(status: WorkerStatus, whose: TenantId | None) -> Answer:
    return {
        "worker": status.kind,
        "running": status.running,
        "lag_events": status.lag_events,
        "lag_s": status.lag_s,
        "partitions": _by_partition(status.lags, whose)["partitions"],
        "error": status.error,
    }


def _by_partition(every: Sequence[PartitionLag], whose: TenantId | None) -> dict[str, Any]:
    """Return the lag of one tenant's partitions, or of all of them where it is nobody's in particular."""
    if whose is None or not every:
        return {"partitions": [lag._asdict() for lag in every], "tenant": None}
    home = partition_of(whose, 1 + max(lag.partition for lag in every))
    # facts of a tenant are in all partitions
    lags = [lag for lag in every if lag.partition == home or lag.topic is Topic.TELEMETRY]
    lag_events, lag_s = sums(lags)
    of_tenant = {"tenant_id": whose, "partition": home, "lag_events": lag_events, "lag_s": lag_s}
    return {"partitions": [lag._asdict() for lag in lags], "tenant": of_tenant}


@router.get(
    "/projections",
    summary="How each projection is doing",
    description="`parked` counts the streams that wait behind a record which the live build could not take,"
    " `parked_records` all records that are parked; null where it is not known, because the store does not answer.",
    responses=listed(_STATUS_EXAMPLE, tuple(_STATUS_EXAMPLE)),
)
def projections(read: Operator) -> Response:
    rows = [status_answer(_own(read, status)) for status in read.answers.operations.projections()]
    return whole(read, tuple(_STATUS_EXAMPLE), rows)


def _own(read: Read, status: ProjectionStatus) -> ProjectionStatus:
    """Return a status without the positions of other tenants' partitions."""
    return status._replace(reached=own_places(read.caller, status.reached, read.answers.partitions))


def status_answer(status: ProjectionStatus) -> Answer:
    return {
        **_lag(status),
        "live": status.live.table if status.live else None,
        "builds": [view.table for view in status.builds],
        "parked": status.parked_streams,
        "parked_records": status.parked_records,
        "error": status.error,
    }


def _lag(status: ProjectionStatus) -> dict[str, Any]:
    return {
        "projection": status.name,
        "role": status.role.value,
        "state": status.state,
        "lag_events": status.lag_events,
        "lag_s": status.lag_s,
        "reached": place_names(status.reached),
    }


@router.get(
    "/dead-letters",
    summary="Records that a view could not take",
    responses=listed(_LETTER_EXAMPLE, tuple(_LETTER_EXAMPLE)),
)
def dead_letters(
    *,
    read: Operator,
    view: Annotated[str | None, Query(max_length=200, description="a build, like devices_v1")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    cursors = read.cursors(view=view)

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        after = cursors.read(cursor) if cursor else None
        found = read.answers.operations.dead_letters(
            read.tenant_id,
            table=view,
            after=(after[0], Position.parse(after[1])) if after else None,
            limit=limit + 1,
        )
        page = found[:limit]
        next_ = cursors.write((page[-1].view, str(_position(page[-1])))) if len(found) > limit else None
        return [_letter(letter) for letter in page], next_

    return answer(read, tuple(_LETTER_EXAMPLE), pages, limit=limit, cursor=cursor)


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
