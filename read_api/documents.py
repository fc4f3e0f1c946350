"""Each document view that has an example gets its routes here: lists with filters and cursors, and documents."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from projections.catalog import of_role
from projections.documents import sort_text
from projections.projection import Projection
from projections.rows import Document, Role
from projections.stores import OlderBuild
from read_api.edge.auth import Forbidden
from read_api.edge.parameters import Cursor, DocumentId, Limit
from read_api.edge.problems import Problem
from read_api.edge.queries import nearest
from read_api.edge.responses import Answer, documented, table
from read_api.lists import Asked, asked, parameters
from read_api.reading import Read, Reading
from read_api.tables import answer, listed, whole

_FACETS = "filters"
_FACET = {"field": "status", "value": "…", "count": 12}


def document_routers() -> list[APIRouter]:
    return [_router(view) for view in of_role(Role.DOCUMENTS) if view.layout.example]


def _router(view: Projection) -> APIRouter:
    name, layout = view.name, view.documents
    router = APIRouter(prefix=f"/v1/{name}", tags=[name])
    limited = Reading(layout.scope, name, own=bool(layout.owner), organization=bool(layout.organization))
    reads = Annotated[Read, Depends(limited)]
    sorts = Annotated[str, Query(description=f"one of {', '.join(layout.sorts)}; with - before it, greatest first")]

    @router.get(
        "",
        summary=f"List {name}",
        responses=listed(layout.example, _columns(view), sometimes=_ranges(view)),
        openapi_extra={"parameters": parameters(layout)},
    )
    def find(
        request: Request, read: reads, sort: sorts = layout.default_sort, limit: Limit = 20, cursor: Cursor = None
    ) -> Response:
        return _list(read, view, request.query_params.multi_items(), sort=sort, limit=limit, cursor=cursor)

    def facets(request: Request, read: reads) -> Response:
        question = _asked(read, view, request.query_params.multi_items())
        rows = [found for field in layout.filters for found in _facets(read, view, field, question)]
        return whole(read, tuple(_FACET), rows)

    def facets_or_one(request: Request, read: reads) -> Response:
        document = found_by_id(read, view, _FACETS)
        return facets(request, read) if document is None else _one(read, view, document)

    # no id begins with _, so that this path is no document's; the other one is where something has that id
    for path, told, of in (("/_filters", facets, ""), ("/filters", facets_or_one, "; or the one with this id")):
        router.add_api_route(
            path,
            told,
            summary=f"Values that {name} can be filtered by, with counts under what else is asked for{of}",
            responses=listed({**_FACET, "field": layout.filters[0]}, tuple(_FACET)),
            openapi_extra={"parameters": parameters(layout)},
        )

    @router.get("/{id}", summary=f"One of the {name}", responses=documented(layout.example))
    def get(read: reads, id: DocumentId) -> Response:  # noqa: A002
        document = found_by_id(read, view, id)
        if document is None:
            raise no_such(view, id)
        return _one(read, view, document)

    return router


def found_by_id(read: Read, view: Projection, id_: str) -> Document | None:
    """Return the document of an id, None where there is none, or the caller may not see it."""
    document = read.answers.documents.get(view.name, read.tenant_id, id_)
    is_hidden = document and any(document.fields.get(field) != only for field, only in _limits(read, view).items())
    return None if is_hidden else document


def no_such(view: Projection, id_: str) -> Problem:
    return Problem(404, f"no {_singular(view.name)} has the id {id_}")


def require_visible(read: Read, view: Projection, id_: str) -> None:
    """Do nothing where the caller may see what belongs to a document. Raises: Problem, as if it were not there."""
    if _limits(read, view) and found_by_id(read, view, id_) is None:
        raise no_such(view, id_)


def _limits(read: Read, view: Projection) -> Mapping[str, str]:
    """Return the values that fields of documents must have, that the caller may see them."""
    own = {view.documents.owner: read.caller.actor.id} if read.own else {}
    organization = read.caller.organization_id
    return own if organization is None else {**own, view.documents.organization: organization}


def _asked(read: Read, view: Projection, query: Sequence[tuple[str, str]]) -> Asked:
    """Return what a caller asks for, of what they may see. Raises: as `asked`; Forbidden."""
    question, limits = asked(view.documents, query), _limits(read, view)
    for field, only in limits.items():
        if question.filters.get(field, only) != only:
            raise Forbidden(f"you see only what is yours: leave {field} out, or say {only}")
    return question._replace(filters={**question.filters, **limits})


def _facets(read: Read, view: Projection, field: str, question: Asked) -> Iterator[Answer]:
    """Yield the values of a filter under all that is asked for but this filter itself: what else one could choose."""
    limits = _limits(read, view)
    others = {name: wanted for name, wanted in question.filters.items() if name != field or name in limits}
    try:
        found = read.answers.documents.facets(
            view.name, read.tenant_id, field, filters=others, ranges=question.ranges, words=question.words
        )
    except OlderBuild as error:
        if error.part != f"filter_{field}":
            raise
        # a filter that a build of before does not know yet
        return
    yield from ({"field": field, "value": one.group, "count": one.rows} for one in found)


def _singular(name: str) -> str:
    return name.removesuffix("es") if name.endswith("sses") else name.removesuffix("s")


def _one(read: Read, view: Projection, document: Document) -> Response:
    one = table(_rows(read, view, [document]), read.as_of)
    one.headers["ETag"] = f'"{document.version}"'
    return one


def _list(
    read: Read, view: Projection, query: Sequence[tuple[str, str]], *, sort: str, limit: int, cursor: str | None
) -> Response:
    field, layout = sort.removeprefix("-"), view.documents
    if field not in layout.sorts:
        raise Problem(
            400,
            f"{view.name} cannot be sorted by {field[:100]!r}: {nearest(field, layout.sorts)}there are"
            f" {', '.join(layout.sorts)}",
        )
    question = _asked(read, view, query)
    cursors = read.cursors(**question.said, sort=sort)

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        after = cursors.read(cursor) if cursor else None
        found = read.answers.documents.find(
            view.name,
            read.tenant_id,
            filters=question.filters,
            ranges=question.ranges,
            words=question.words,
            sort=field,
            descending=sort.startswith("-"),
            after=(after[0], after[1]) if after else None,
            limit=limit + 1,
        )
        page, next_ = found[:limit], None
        if len(found) > limit:
            last = page[-1]
            next_ = cursors.write((sort_text(layout, field, last.fields.get(field)), last.id))
        return _rows(read, view, page), next_

    more = {"ranges": question.shown} if question.shown else {}
    return answer(read, _columns(view), pages, limit=limit, cursor=cursor, **more)


def _ranges(view: Projection) -> Answer:
    """Return an example of how ranges are shown, in the answer to a question that has some."""
    return {"ranges": {field: {"from": "…", "before": None} for field in view.documents.ranges[:1]}}


def _columns(view: Projection) -> Sequence[str]:
    layout = view.documents
    named = ("id", "version", *layout.example, *layout.filters, *layout.sorts, *layout.search)
    return tuple(dict.fromkeys(named))


def _rows(read: Read, view: Projection, documents: Sequence[Document]) -> Sequence[Answer]:
    opening, personal = read.opening, view.personal
    return [
        {**opening.document(one.tenant_id, one.fields, personal), "id": one.id, "version": one.version}
        for one in documents
    ]
