"""This route says what happened in one execution of a workflow."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from projections.automation.execution_logs import PROJECTION as LOGS
from read_api.edge.parameters import Cursor, Limit
from read_api.edge.responses import documented, table
from read_api.reading import Read, Reading
from read_api.series import page
from schemas.values import Id

router = APIRouter(prefix="/v1", tags=["executions"])


@router.get(
    "/executions/{id}/logs",
    summary="What happened in an execution, from its beginning",
    responses=documented(LOGS.layout.example),
)
def logs(
    *,
    read: Annotated[Read, Depends(Reading(LOGS.layout.scope, LOGS.name))],
    id: Id,  # noqa: A002
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    rows, next_ = page(read, LOGS, read.cursors(), of={"execution_id": id}, limit=limit, cursor=cursor)
    shown = [{name: value for name, value in row._asdict().items() if name not in _INSIDE} for row in rows]
    return table(shown, read.as_of, next_=next_)


_INSIDE = ("tenant_id", "position")
