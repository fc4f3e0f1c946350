"""This route says what happened in one execution of a workflow."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from projections.automation.execution_logs import PROJECTION as LOGS
from projections.automation.executions import PROJECTION as EXECUTIONS
from read_api.documents import require_visible
from read_api.edge.parameters import Cursor, Limit
from read_api.edge.responses import Answer
from read_api.reading import Read, Reading
from read_api.series import page
from read_api.tables import answer, listed
from schemas.values import Id

router = APIRouter(prefix="/v1", tags=["executions"])

_STEP = tuple(LOGS.layout.example)


@router.get(
    "/executions/{id}/logs",
    summary="What happened in an execution, from its beginning",
    responses=listed(LOGS.layout.example, _STEP),
)
def logs(
    *,
    read: Annotated[Read, Depends(Reading(LOGS.layout.scope, LOGS.name, own=True))],
    id: Id,  # noqa: A002
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    require_visible(read, EXECUTIONS, id)

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        rows, next_ = page(read, LOGS, read.cursors(), of={"execution_id": id}, limit=limit, cursor=cursor)
        shown = [{name: value for name, value in row._asdict().items() if name not in _INSIDE} for row in rows]
        return shown, next_

    return answer(read, _STEP, pages, limit=limit, cursor=cursor)


_INSIDE = ("tenant_id", "position")
