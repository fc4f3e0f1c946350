"""Each document view that has an example gets its routes here: lists with filters and cursors, and documents."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from projections.catalog import of_role
from projections.documents import sort_text
from projections.projection import Projection
from projections.rows import Document, Role
from read_api.edge.parameters import Cursor, DocumentId, Limit
from read_api.edge.problems import Problem
from read_api.edge.queries import filter_value, nearest
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read, Reading

_FACETS = "filters"


def document_routers() -> list[APIRouter]:
    return [_router(view) for view in of_role(Role.DOCUMENTS) if view.layout.example]


def _router(view: Projection) -> APIRouter:
    name, layout = view.name, view.documents
    router = APIRouter(prefix=f"/v1/{name}", tags=[name])
    reads = Annotated[Read, Depends(Reading(layout.scope, name))]
    sorts = Annotated[str, Query(description=f"one of {', '.join(layout.sorts)}; with - before it, greatest first")]

    @router.get(
        "",
        summary=f"List {name}",
        responses=documented(layout.example),
        openapi_extra={"parameters": [_parameter(field) for field in layout.filters]},
    )
    def find(
        request: Request, read: reads, sort: sorts = layout.default_sort, limit: Limit = 20, cursor: Cursor = None
    ) -> Response:
        return _list(read, view, filters=_filters(request, view), sort=sort, limit=limit, cursor=cursor)

    def facets(read: reads) -> Response:
        rows = [
            {"field": field, "value": found.group, "count": found.rows}
            for field in layout.filters
            for found in read.answers.documents.facets(name, read.tenant_id, field)
        ]
        return table(rows, read.as_of)

    def facets_or_one(read: reads) -> Response:
        document = read.answers.documents.get(name, read.tenant_id, _FACETS)
        return facets(read) if document is None else _one(read, view, document)

    # no id begins with _, so that this path is no document's; the other one is where something has that id
    for path, answer, of in (("/_filters", facets, ""), ("/filters", facets_or_one, "; or the one with this id")):
        router.add_api_route(
            path,
            answer,
            summary=f"Values that {name} can be filtered by, with counts{of}",
            responses=documented({"field": layout.filters[0], "value": "…", "count": 12}),
        )

    @router.get("/{id}", summary=f"One of the {name}", responses=documented(layout.example))
    def get(read: reads, id: DocumentId) -> Response:  # noqa: A002
        document = read.answers.documents.get(name, read.tenant_id, id)
        if document is None:
            raise Problem(404, f"no {_singular(name)} has the id {id}")
        return _one(read, view, document)

    return router


def _singular(name: str) -> str:
    return name.removesuffix("es") if name.endswith("sses") else name.removesuffix("s")


def _one(read: Read, view: Projection, document: Document) -> Response:
    answer = table(_rows(read, view, [document]), read.as_of)
    answer.headers["ETag"] = f'"{document.version}"'
    return answer


def _parameter(field: str) -> Mapping[str, Any]:
    return {"name": field, "in": "query", "required": False, "schema": {"type": "string"}}


def _filters(request: Request, view: Projection) -> Mapping[str, str]:
    # the others are declared, and what is neither was refused
    asked = request.query_params.items()
    return {field: filter_value(view.layout, field, value) for field, value in asked if field in view.documents.filters}


def _list(
    read: Read, view: Projection, *, filters: Mapping[str, str], sort: str, limit: int, cursor: str | None
) -> Response:
    field = sort.removeprefix("-")
    if field not in view.documents.sorts:
        raise Problem(
            400,
            f"{view.name} cannot be sorted by {field[:100]!r}: {nearest(field, view.documents.sorts)}there are"
            f" {', '.join(view.documents.sorts)}",
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
    next_ = None
    if len(found) > limit:
        last = page[-1]
        next_ = cursors.write((sort_text(view.documents, field, last.fields.get(field)), last.id))
    return table(_rows(read, view, page), read.as_of, next_=next_)


def _rows(read: Read, view: Projection, documents: Sequence[Document]) -> Sequence[Answer]:
    opening, personal = read.opening, view.personal
    return [
        {**opening.document(one.tenant_id, one.fields, personal), "id": one.id, "version": one.version}
        for one in documents
    ]
