"""The GraphQL schema is made from the document views: a type for each, its list, and what its fields name."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)

from projections.catalog import of_role
from projections.projection import Projection
from projections.rows import Role
from read_api.documents import columns_of, singular
from read_api.edge.responses import Answer
from read_api.graphql.context import FIRST, MOST_FIRST, Context

ANY = GraphQLScalarType("Any", description="A value of JSON: a number, a list or an object.")
INSTANT = GraphQLScalarType("Instant", description="RFC 3339 in UTC: 2026-01-31T08:30:00.250000Z.")

_PAGE_INFO = GraphQLObjectType(
    "PageInfo",
    {
        "hasNextPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
        "hasPreviousPage": GraphQLField(GraphQLNonNull(GraphQLBoolean), description="Whether `after` was said."),
        "startCursor": GraphQLField(GraphQLString),
        "endCursor": GraphQLField(GraphQLString),
    },
)
_Info = GraphQLResolveInfo[Context]
_SCALARS: Mapping[type, GraphQLScalarType] = {str: GraphQLString, bool: GraphQLBoolean, float: GraphQLFloat}


@cache
def schema() -> GraphQLSchema:
    views = {view.name: view for view in of_role(Role.DOCUMENTS) if view.layout.example}
    types: dict[str, GraphQLObjectType] = {}
    lists: dict[str, GraphQLField] = {}
    for view in views.values():
        types[view.name] = GraphQLObjectType(
            _type_name(view), partial(_fields, view, views, types, lists), description=f"One of the {view.name}."
        )
        lists[view.name] = _list(view, types[view.name])
    query: dict[str, GraphQLField] = {}
    for view in views.values():
        query[_camel(view.name)] = lists[view.name]
        query[_one_name(view)] = _one(view, types[view.name])
    return GraphQLSchema(GraphQLObjectType("Query", query))


def _type_name(view: Projection) -> str:
    name = _camel(singular(view.name))
    return name[0].upper() + name[1:]


def _one_name(view: Projection) -> str:
    one = _camel(singular(view.name))
    return f"{one}ById" if one == _camel(view.name) else one


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


# --- what a thing says


def _fields(
    view: Projection,
    views: Mapping[str, Projection],
    types: Mapping[str, GraphQLObjectType],
    lists: Mapping[str, GraphQLField],
) -> dict[str, GraphQLField]:
    fields = {_camel(column): _value(view, column) for column in columns_of(view)}
    fields["document"] = GraphQLField(
        GraphQLNonNull(ANY), resolve=lambda row, _info: row, description="All that is known of it, as over REST."
    )
    for column in columns_of(view):
        stem = column.removesuffix("_id")
        for other in views.values():
            if stem != column and singular(other.name) == stem:
                fields[_camel(stem)] = _named(other, types[other.name], column)
    for other, column in _pointing(view, views):
        # the value of this filter is the thing's own id
        arguments = {name: of for name, of in lists[other.name].args.items() if of.out_name != column}
        resolve = _resolve_list(other, partial(_own, column))
        fields[_camel(other.name)] = GraphQLField(lists[other.name].type, arguments, resolve)
    return fields


def _own(column: str, row: Answer) -> Mapping[str, str]:
    return {column: row["id"]}


def _pointing(view: Projection, views: Mapping[str, Projection]) -> Iterator[tuple[Projection, str]]:
    """Yield the other views that can be filtered by this one's id, with the field that names it."""
    column = f"{singular(view.name)}_id"
    yield from ((other, column) for other in views.values() if column in other.documents.filters)


def _value(view: Projection, column: str) -> GraphQLField:
    kind = _kind(view, column)
    return GraphQLField(kind, resolve=lambda row, _info: row.get(column))


def _kind(view: Projection, column: str) -> GraphQLOutputType:
    if column == "id":
        return GraphQLNonNull(GraphQLID)
    if column == "version":
        return GraphQLNonNull(GraphQLInt)
    layout = view.documents
    if column in layout.instants:
        return INSTANT
    example = layout.example.get(column)
    if isinstance(example, list) and all(isinstance(one, str) for one in example):
        return GraphQLList(GraphQLNonNull(GraphQLString))
    if example is None and column in layout.filters:
        return GraphQLString
    # a number may be greater than the language's own Int
    return _SCALARS.get(type(example), ANY)


# --- one thing


def _one(view: Projection, of: GraphQLObjectType) -> GraphQLField:
    async def resolve(_root: Any, info: _Info, id: str) -> Answer | None:  # noqa: A002
        return await info.context.one(view, id)

    return GraphQLField(of, {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))}, resolve)


def _named(view: Projection, of: GraphQLObjectType, column: str) -> GraphQLField:
    async def resolve(row: Answer, info: _Info) -> Answer | None:
        id_ = row.get(column)
        return await info.context.one(view, id_) if isinstance(id_, str) and id_ else None

    return GraphQLField(of, resolve=resolve)


# --- lists


def _list(view: Projection, of: GraphQLObjectType) -> GraphQLField:
    edge = GraphQLObjectType(
        f"{of.name}Edge",
        {"cursor": GraphQLField(GraphQLNonNull(GraphQLString)), "node": GraphQLField(GraphQLNonNull(of))},
    )
    connection = GraphQLObjectType(
        f"{of.name}Connection",
        {
            "edges": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(edge)))),
            "nodes": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(of)))),
            "pageInfo": GraphQLField(GraphQLNonNull(_PAGE_INFO)),
        },
    )
    return GraphQLField(connection, dict(_arguments(view)), _resolve_list(view, lambda _root: {}))


def _arguments(view: Projection) -> Iterator[tuple[str, GraphQLArgument]]:
    layout = view.documents
    yield "first", GraphQLArgument(GraphQLInt, FIRST, description=f"rows of a page, 1 to {MOST_FIRST}")
    yield "after", GraphQLArgument(GraphQLString, description="the cursor of an edge, or endCursor; also one of REST")
    orders = f"one of {', '.join(layout.sorts)}; with - before it, greatest first"
    yield "sort", GraphQLArgument(GraphQLString, layout.default_sort, description=orders)
    if layout.search:
        words = f"all of these words are in id, {', '.join(layout.search)}"
        yield "q", GraphQLArgument(GraphQLString, description=words)
    for field in layout.filters:
        texts = GraphQLList(GraphQLNonNull(GraphQLString))
        yield _camel(field), GraphQLArgument(texts, out_name=field, description="any of these")
    for field in layout.ranges:
        for end, meant in (("from", "this or greater"), ("before", "less than this")):
            name = f"{field}_{end}"
            yield _camel(name), GraphQLArgument(GraphQLString, out_name=name, description=meant)


def _resolve_list(view: Projection, bound: Callable[[Any], Mapping[str, str]]) -> Callable[..., Any]:
    async def resolve(row: Any, info: _Info, **asked: Any) -> Answer:
        first, after, sort = asked.pop("first"), asked.pop("after", None), asked.pop("sort")
        query = [*bound(row).items(), *_query(asked)]
        return await info.context.page(view, query, sort=sort, first=first, after=after)

    return resolve


def _query(asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is asked for as the parameters of the same list over REST."""
    for name, value in asked.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield name, one
