"""These routes say all of one thing: a device at any moment with its metrics, and an invoice as a document."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from projections.finance.invoice_document import document_of
from projections.fleet.metrics_5m import LAST
from projections.fleet.metrics_5m import PROJECTION as METRICS
from projections.history.stream_history import PROJECTION as HISTORY
from projections.history.stream_state import state_at
from read_api.audit import envelopes, history_of
from read_api.edge.moments import EXAMPLES, Moment
from read_api.edge.parameters import DocumentId
from read_api.edge.problems import Problem
from read_api.edge.responses import documented, table
from read_api.reading import Read, Reading
from schemas.envelope import StreamId
from schemas.shown import shown
from schemas.values import Id

router = APIRouter(prefix="/v1")


@router.get(
    "/devices/{id}/state",
    tags=["devices"],
    summary="A device as it was at a moment: its state, and the last reading of each of its metrics",
    responses=documented(
        {
            "id": "web-1",
            "version": 3,
            "state": {"status": "ONLINE", "description": {"hostname": "web-1.example.com"}},
            "metrics": [{"metric": "cpu", "value": 0.25, "unit": "percent", "at": "2026-01-31T08:30:00Z"}],
        }
    ),
)
def device_at(
    *,
    read: Annotated[Read, Depends(Reading("devices", HISTORY.name, METRICS.name))],
    id: Id,  # noqa: A002
    as_of: Annotated[
        Moment | None,
        Query(
            description="a moment: events recorded and readings measured until then; else now",
            openapi_examples=EXAMPLES,
        ),
    ] = None,
) -> Response:
    at = as_of or read.as_of.at
    known = [row for row in history_of(read, StreamId(f"device-{id}")) if row.recorded_at <= at]
    readings = read.ask(LAST, device_id=id, as_of=at)
    if not known and not readings:
        raise Problem(404, f"nothing is known of a device {id} at that moment")
    state = state_at(envelopes(read, known))
    row = {
        "id": id,
        "version": known[-1].version if known else 0,
        "state": None if state is None else shown(state),
        "metrics": [reading._asdict() for reading in readings],
    }
    return table([row], read.as_of, at=at)


@router.get(
    "/invoices/{id}/document",
    tags=["invoices"],
    summary="An invoice with its lines, its payments, its due date and what is left to pay",
    responses=documented(
        {
            "id": "91006:R-1",
            "version": 2,
            "number": "R-1",
            "status": "PART_PAID",
            "due_date": "2026-02-14T00:00:00.000000Z",
            "currency": "EUR",
            "total": "150.0000",
            "paid_total": "50.0000",
            "open": "100.0000",
            "lines": [{"line": 1, "product": "tea", "quantity": "3", "unit_price": "50.0000", "amount": "150.0000"}],
            "payments": [{"payment_id": "p1", "paid_at": "2026-02-01T09:00:00.000000Z", "amount": "50.0000"}],
        }
    ),
)
def invoice(*, read: Annotated[Read, Depends(Reading("invoices", HISTORY.name))], id: DocumentId) -> Response:  # noqa: A002
    rows = history_of(read, StreamId(f"invoice-{id}"))
    if not rows:
        raise Problem(404, f"no invoice has the id {id}")
    answer = table(
        [{"id": id, "version": rows[-1].version, **document_of(envelopes(read, rows))}],
        read.as_of,
    )
    answer.headers["ETag"] = f'"{rows[-1].version}"'
    return answer
