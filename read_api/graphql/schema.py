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
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)

from projections.catalog import of_role
from projections.fleet import devices
from projections.projection import Projection
from projections.rows import Role
from read_api.documents import columns_of, singular
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer
from read_api.graphql.context import FIRST, MOST_FIRST
from read_api.graphql.subscription import SUBSCRIPTION
from read_api.graphql.telemetry import telemetry
from read_api.graphql.types import ANY, INSTANT, Info, camel, connection

_SCALARS: Mapping[type, GraphQLScalarType] = {str: GraphQLString, bool: GraphQLBoolean, float: GraphQLFloat}

_MOST_OF_A_FILTER = 100


@cache
def schema() -> GraphQLSchema:
    views = {view.name: view for view in of_role(Role.DOCUMENTS) if view.layout.example}
    types: dict[str, GraphQLObjectType] = {}
    of_device: dict[str, GraphQLField] = {}
    lists: dict[str, GraphQLField] = {}
    for view in views.values():
        types[view.name] = GraphQLObjectType(
            _type_name(view),
            partial(_fields, view, views, types, lists, of_device),
            description=f"One of the {view.name}.",
        )
        lists[view.name] = _list(view, types[view.name])
    series = telemetry(_named(devices.PROJECTION, types[devices.PROJECTION.name], "device_id"))
    of_device.update(series.of_device)
    query: dict[str, GraphQLField] = {**series.query}
    for view in views.values():
        query[camel(view.name)] = lists[view.name]
        query[_one_name(view)] = _one(view, types[view.name])
    return GraphQLSchema(GraphQLObjectType("Query", query), subscription=SUBSCRIPTION)


def _type_name(view: Projection) -> str:
    name = camel(singular(view.name))
    return name[0].upper() + name[1:]


def _one_name(view: Projection) -> str:
    one = camel(singular(view.name))
    return f"{one}ById" if one == camel(view.name) else one


# --- what a thing says


def _fields(
    view: Projection,
    views: Mapping[str, Projection],
    types: Mapping[str, GraphQLObjectType],
    lists: Mapping[str, GraphQLField],
    of_device: Mapping[str, GraphQLField],
) -> dict[str, GraphQLField]:
    fields = {camel(column): _value(view, column) for column in columns_of(view)}
    fields["document"] = GraphQLField(
        GraphQLNonNull(ANY), resolve=lambda row, _info: row, description="All that is known of it, as over REST."
    )
    for column in columns_of(view):
        stem = column.removesuffix("_id")
        for other in views.values():
            if stem != column and singular(other.name) == stem:
                fields[camel(stem)] = _named(other, types[other.name], column)
    for other, column in _pointing(view, views):
        # the value of this filter is the thing's own id
        arguments = {name: of for name, of in lists[other.name].args.items() if of.out_name != column}
        resolve = _resolve_list(other, partial(_own, column))
        fields[camel(other.name)] = GraphQLField(lists[other.name].type, arguments, resolve)
    return {**fields, **of_device} if view is devices.PROJECTION else fields


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
    async def resolve(_root: Any, info: Info, id: str) -> Answer | None:  # noqa: A002
        return await info.context.one(view, id)

    return GraphQLField(of, {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))}, resolve)


def _named(view: Projection, of: GraphQLObjectType, column: str) -> GraphQLField:
    async def resolve(row: Answer, info: Info) -> Answer | None:
        id_ = row.get(column)
        return await info.context.one(view, id_) if isinstance(id_, str) and id_ else None

    return GraphQLField(of, resolve=resolve)


# --- lists


def _list(view: Projection, of: GraphQLObjectType) -> GraphQLField:
    return GraphQLField(connection(of), dict(_arguments(view)), _resolve_list(view, lambda _root: {}))


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
        yield camel(field), GraphQLArgument(texts, out_name=field, description="any of these")
    for field in layout.ranges:
        for end, meant in (("from", "this or greater"), ("before", "less than this")):
            name = f"{field}_{end}"
            yield camel(name), GraphQLArgument(GraphQLString, out_name=name, description=meant)


def _resolve_list(view: Projection, bound: Callable[[Any], Mapping[str, str]]) -> Callable[..., Any]:
    async def resolve(row: Any, info: Info, **asked: Any) -> Answer:
        first, after, sort = asked.pop("first"), asked.pop("after", None), asked.pop("sort")
        query = [*bound(row).items(), *_query(asked)]
        values = info.context.values_of_row(info)
        return await info.context.page(view, query, sort=sort, first=first, after=after, values=values)

    return resolve


def _query(asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is asked for as the parameters of the same list over REST. Raises: Problem."""
    for name, value in asked.items():
        # before all else: one variable may be the value of many lists
        if isinstance(value, list) and len(value) > _MOST_OF_A_FILTER:
            said = f"{name} is asked for with {len(value)} values; ask for at most {_MOST_OF_A_FILTER}"
            raise Problem(400, said)
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield name, one
