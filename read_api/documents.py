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
    reads = Annotated[Read, Depends(reading_of(view))]
    sorts = Annotated[str, Query(description=f"one of {', '.join(layout.sorts)}; with - before it, greatest first")]

    @router.get(
        "",
        summary=f"List {name}",
        responses=listed(layout.example, columns_of(view), sometimes=_ranges(view)),
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


def reading_of(view: Projection) -> Reading:
    """Return what authorises who asks for documents of a view: those who may see them all, or only some."""
    layout = view.documents
    return Reading(layout.scope, view.name, own=bool(layout.owner), organization=bool(layout.organization))


def found_by_id(read: Read, view: Projection, id_: str) -> Document | None:
    """Return the document of an id, None where there is none, or the caller may not see it."""
    document = read.answers.documents.get(view.name, read.tenant_id, id_)
    is_hidden = document and any(document.fields.get(field) != only for field, only in _limits(read, view).items())
    return None if is_hidden else document


def no_such(view: Projection, id_: str) -> Problem:
    return Problem(404, f"no {singular(view.name)} has the id {id_}")


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


def singular(name: str) -> str:
    return name.removesuffix("es") if name.endswith(("sses", "ches")) else name.removesuffix("s")


def _one(read: Read, view: Projection, document: Document) -> Response:
    one = table(rows_of(read, view, [document]), read.as_of)
    one.headers["ETag"] = f'"{document.version}"'
    return one


def _list(
    read: Read, view: Projection, query: Sequence[tuple[str, str]], *, sort: str, limit: int, cursor: str | None
) -> Response:
    found = DocumentList(read, view, query, sort)

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        page, more = found.page(cursor, limit)
        return rows_of(read, view, page), found.cursor_of(page[-1]) if more else None

    more = {"ranges": found.question.shown} if found.question.shown else {}
    return answer(read, columns_of(view), pages, limit=limit, cursor=cursor, **more)


class DocumentList:
    """A tenant's documents that a question is about, in its order, page by page.

    Shape: `query` are the parameters of `read_api.lists`; a cursor of one list is good for the same question again.
    Raises: Problem, the question is none.
    """

    def __init__(self, read: Read, view: Projection, query: Sequence[tuple[str, str]], sort: str) -> None:
        self._field = field = sort.removeprefix("-")
        sorts = view.documents.sorts
        if field not in sorts:
            raise Problem(
                400,
                f"{view.name} cannot be sorted by {field[:100]!r}: {nearest(field, sorts)}there are {', '.join(sorts)}",
            )
        self.question = _asked(read, view, query)
        self._read, self._view, self._descending = read, view, sort.startswith("-")
        self._cursors = read.cursors(**self.question.said, sort=sort)

    def page(self, cursor: str | None, limit: int) -> tuple[Sequence[Document], bool]:
        """Return up to `limit` documents behind a cursor, and whether there are more. Raises: Problem."""
        after = self._cursors.read(cursor) if cursor else None
        found = self._read.answers.documents.find(
            self._view.name,
            self._read.tenant_id,
            filters=self.question.filters,
            ranges=self.question.ranges,
            words=self.question.words,
            sort=self._field,
            descending=self._descending,
            after=(after[0], after[1]) if after else None,
            limit=limit + 1,
        )
        return found[:limit], len(found) > limit

    def cursor_of(self, document: Document) -> str:
        """Return where the list goes on behind a document of it."""
        value = document.fields.get(self._field)
        return self._cursors.write((sort_text(self._view.documents, self._field, value), document.id))


def _ranges(view: Projection) -> Answer:
    """Return an example of how ranges are shown, in the answer to a question that has some."""
    return {"ranges": {field: {"from": "…", "before": None} for field in view.documents.ranges[:1]}}


def columns_of(view: Projection) -> Sequence[str]:
    layout = view.documents
    named = ("id", "version", *layout.example, *layout.filters, *layout.sorts, *layout.search)
    return tuple(dict.fromkeys(named))


def rows_of(read: Read, view: Projection, documents: Sequence[Document]) -> Sequence[Answer]:
    opening, personal, instants = read.opening, view.personal, view.documents.instants
    return [
        {
            **opening.document(one.tenant_id, one.fields, personal),
            # a view keeps "" where there is no instant any more
            **{field: None for field in instants if one.fields.get(field) == ""},
            "id": one.id,
            "version": one.version,
        }
        for one in documents
    ]
