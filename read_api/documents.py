"""Lists of things as they are now: devices, alerts, watches, invoices, with filters, facets and cursors."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response

from projections.catalog import PROJECTIONS
from projections.projection import Projection
from projections.rows import Document
from read_api.edge.parameters import Cursor, DocumentId, Limit
from read_api.edge.problems import Problem
from read_api.edge.reading import Read, Reading
from read_api.edge.responses import Answer, documented, table


class Resource(NamedTuple):
    view: str
    sort: str
    example: Mapping[str, Any]


RESOURCES = (
    Resource(
        "devices",
        "hostname",
        {"id": "web-1", "version": 3, "hostname": "web-1.example.com", "os_type": "linux", "status": "ONLINE"},
    ),
    Resource(
        "alerts",
        "-raised_at",
        {"id": "cpu-web-1", "version": 1, "severity": "critical", "device_id": "web-1", "status": "OPEN"},
    ),
    Resource(
        "watches",
        "name",
        {"id": "cpu", "version": 1, "name": "CPU high", "kind": "threshold", "severity": "warning", "status": "ACTIVE"},
    ),
    Resource(
        "invoices",
        "-issue_date",
        {"id": "536365", "version": 1, "number": "536365", "direction": "out", "net": "139.1200", "currency": "GBP"},
    ),
)
_ONES_OWN = ("sort", "limit", "cursor")


def document_routers() -> list[APIRouter]:
    projections = {projection.name: projection for projection in PROJECTIONS}
    return [_router(resource, projections[resource.view]) for resource in RESOURCES]


def _router(resource: Resource, view: Projection) -> APIRouter:
    name = view.name
    router = APIRouter(prefix=f"/v1/{name}", tags=[name])
    reads = Annotated[Read, Depends(Reading(name, name))]
    sorts = Annotated[
        str, Query(description=f"one of {', '.join(view.documents.sorts)}; with - before it, greatest first")
    ]

    @router.get(
        "",
        summary=f"List {name}",
        responses=documented(resource.example),
        openapi_extra={"parameters": [_parameter(field) for field in view.documents.filters]},
    )
    def find(
        request: Request, read: reads, sort: sorts = resource.sort, limit: Limit = 20, cursor: Cursor = None
    ) -> Response:
        return _list(read, view, filters=_filters(request, view), sort=sort, limit=limit, cursor=cursor)

    @router.get(
        "/filters",
        summary=f"Values that {name} can be filtered by, with counts",
        responses=documented({"field": view.documents.filters[0], "value": "…", "count": 12}),
    )
    def facets(read: reads) -> Response:
        rows = [
            {"field": field, "value": found.group, "count": found.rows}
            for field in view.documents.filters
            for found in read.answers.documents.facets(name, read.tenant_id, field)
        ]
        return table(rows, read.as_of)

    @router.get("/{id}", summary=f"One of the {name}", responses=documented(resource.example))
    def get(read: reads, id: DocumentId) -> Response:  # noqa: A002
        document = read.answers.documents.get(name, read.tenant_id, id)
        if document is None:
            raise Problem(404, f"no {name.removesuffix('s')} has the id {id}")
        answer = table([_row(document)], read.as_of)
        answer.headers["ETag"] = f'"{document.version}"'
        return answer

    return router


def _parameter(field: str) -> Mapping[str, Any]:
    return {"name": field, "in": "query", "required": False, "schema": {"type": "string"}}


def _filters(request: Request, view: Projection) -> Mapping[str, str]:
    filters: dict[str, str] = {}
    for field, value in request.query_params.multi_items():
        if field in _ONES_OWN:
            continue
        if field not in view.documents.filters:
            raise Problem(
                400, f"{view.name} have no filter {field[:100]}; there are {', '.join(view.documents.filters)}"
            )
        if field in filters:
            raise Problem(400, f"the filter {field} is given twice")
        filters[field] = value
    return filters


def _list(
    read: Read, view: Projection, *, filters: Mapping[str, str], sort: str, limit: int, cursor: str | None
) -> Response:
    field = sort.removeprefix("-")
    if field not in view.documents.sorts:
        raise Problem(
            400, f"{view.name} cannot be sorted by {field[:100]}; there are {', '.join(view.documents.sorts)}"
        )
    cursors = read.cursors(filters=filters, sort=sort)
    after = cursors.read(cursor) if cursor else None
    found = read.answers.documents.find(
        view.name,
        read.tenant_id,
        filters=filters,
        sort=field,
        descending=sort.startswith("-"),
        after=(after[0], after[1]) if after else None,
        limit=limit + 1,
    )
    page = found[:limit]
    next_ = cursors.write((sort_text(page[-1], field), page[-1].id)) if len(found) > limit else None
    return table([_row(document) for document in page], read.as_of, next_=next_)


def sort_text(document: Document, field: str) -> str:
    value = document.fields.get(field)
    return "" if value is None else str(value)


def _row(document: Document) -> Answer:
    return {**document.fields, "id": document.id, "version": document.version}
